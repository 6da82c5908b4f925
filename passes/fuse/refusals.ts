/**
 * The account of what was not fused: each edge between two ops once, with the rule that refused it first. An edge may
 * go through memory in one kernel and not in another that computes the consumer too.
 */
import type { FusionRefusal } from '../../ir/lowered.ts';
import type { Op } from '../../ir/types.ts';

export class Refusals {
  readonly all: FusionRefusal[] = [];
  readonly #known = new Map<Op, Set<Op>>();

  constructor(known: readonly FusionRefusal[] = []) {
    for (const refusal of known) this.add(refusal.producer, [refusal.consumer], refusal);
  }

  add(producer: Op, consumers: Iterable<Op>, { rule, detail }: Omit<FusionRefusal, 'producer' | 'consumer'>): void {
    let known = this.#known.get(producer);
    if (!known) {
      known = new Set();
      this.#known.set(producer, known);
    }
    for (const consumer of consumers) {
      if (known.has(consumer)) continue;
      known.add(consumer);
      this.all.push({ producer, consumer, rule, detail });
    }
  }
}
