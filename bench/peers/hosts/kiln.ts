/**
 * Kiln as a host: `KILN_THREADS` and `KILN_RELAXED_SIMD` say how many threads and whether relaxed SIMD. Its modes are
 * the two precisions.
 */
import { tierName } from '../../../runtime/program.ts';
import { currentDevice } from '../../../runtime/session.ts';
import type { Adapter, Prepare } from '../adapter.ts';
import { type FunctionKind, type Precision, prepareKiln } from '../adapters/kiln.ts';
import type { Absent } from '../protocol.ts';
import type { Work, WorkOf } from '../rows.ts';
import type { NamedArray } from '../work.ts';
import { Machine } from './machine.ts';
import { serve } from './serve.ts';

class KilnHost implements Adapter {
  readonly name = 'Kiln';
  readonly features: readonly string[];
  readonly #threads: 1 | 2;
  readonly #relaxed: boolean;
  /** With and without relaxed SIMD. */
  readonly #machines = new Map<boolean, Machine>();

  constructor(threads: 1 | 2, relaxed: boolean) {
    this.#threads = threads;
    this.#relaxed = relaxed;
    this.features = [`${threads} threads`, tierName(currentDevice().tier)];
  }

  async prepare(work: Work, inputs: readonly NamedArray[], mode: string): Promise<Prepare> {
    if (work.kind === 'copy' || work.kind === 'read' || work.kind === 'registerTile')
      return this.#ofMachine(work, mode);
    return prepareKiln(work as WorkOf<FunctionKind>, inputs, mode as Precision);
  }

  /** The machine's own figures: strict code knows no fused multiplication and addition. */
  #ofMachine(work: WorkOf<'copy' | 'read' | 'registerTile'>, mode: string): Prepare {
    const machine = this.#machine(mode === 'fast' && this.#relaxed);
    if (!('bytes' in work)) return machine.registerTile();
    return work.kind === 'copy' ? machine.copy(work.bytes) : machine.read(work.bytes);
  }

  #machine(relaxed: boolean): Machine {
    const known = this.#machines.get(relaxed) ?? new Machine(this.#threads, relaxed);
    this.#machines.set(relaxed, known);
    return known;
  }
}

/** What was asked for must be what is measured. */
function start(threads: 1 | 2, relaxed: boolean): Adapter | Absent {
  const { tier } = currentDevice();
  if (tier.target !== 'wasm') return { absent: `the tier is ${tierName(tier)}` };
  if (tier.threads !== threads > 1) return { absent: `no ${threads} threads here: the tier is ${tierName(tier)}` };
  if (tier.relaxedSimd !== relaxed) return { absent: `the tier is ${tierName(tier)}` };
  return new KilnHost(threads, relaxed);
}

await serve(async () => start(process.env.KILN_THREADS === '2' ? 2 : 1, process.env.KILN_RELAXED_SIMD !== '0'));
