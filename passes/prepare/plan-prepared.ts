/**
 * What of a program is done once and not at every call. A compiled function reads the tensors that it has captured anew
 * at each call, but they are the same ones, mostly; so what follows from them alone is computed at the first call and
 * kept. Each function of the module is taken apart for itself: what its callers hand over is fixed where all of them
 * hand over something fixed.
 *
 *     planPrepared(module, { held: [true, false], without })        Map { 'main' → { prepare, main } }
 */
import { symbolsOf } from '../../base/dim.ts';
import { type Func, type Graph, type Module, mainOf, type Value } from '../../ir/types.ts';
import type { Without } from '../features.ts';
import { estimate, GraphUses } from '../fuse/graph-uses.ts';
import { type FusionTarget, wasmTarget } from '../fuse/target.ts';
import { bytesOf } from '../plan/plan-memory.ts';
import { chooseStored, leastSaved as leastSavedByDefault, StorageBudget } from './choose-stored.ts';
import { fixedValues } from './fixed-values.ts';
import { type SplitGraph, splitGraph } from './split-graph.ts';
import { turnFactors } from './turn-factors.ts';

export interface PrepareOptions {
  /** For each parameter of the main function, whether it is the same at every call. */
  readonly held: readonly boolean[];
  readonly without: Without;
  readonly target?: FusionTarget;
  /** Operations and bytes that keeping a value must save at each call. */
  readonly leastSaved?: number;
}

/** The functions of which a part is done once, by name. */
export function planPrepared(
  module: Module,
  { held, without, target = wasmTarget, leastSaved = leastSavedByDefault }: PrepareOptions,
): ReadonlyMap<string, SplitGraph> {
  const splits = new Map<string, SplitGraph>();
  if (without.has('prepare/values')) return splits;
  const main = mainOf(module);
  const heldBytes = main.graph.parameters.reduce(
    (sum, { type }, at) => sum + (held[at] ? estimate(bytesOf(type)) : 0),
    0,
  );
  const budget = new StorageBudget(heldBytes);
  const hasSymbols = module.functions.some(({ graph }) =>
    graph.parameters.some(({ type }) => symbolsOf(...type.shape).length > 0),
  );
  const calls = new CallSites(main.name, held);
  // Callees come before callers: from the end, every function is seen after all that call it.
  for (const { name, graph: original } of callersFirst(module)) {
    const site = calls.of(name);
    if (!site) continue;
    const { graph, turned, fixed, uses } = withTurnedFactors(original, {
      ...site,
      hasSymbols,
      budget,
      without,
      target,
    });
    const stored = chooseStored({ graph, uses, fixed, budget, copies: site.copies, leastSaved, given: turned });
    if (stored.size > 0) splits.set(name, splitGraph(graph, stored));
    const stays = (value: Value): boolean => {
      const root = uses.storageOf(value);
      return stored.has(root) || (fixed.has(root) && uses.producerOf(root) === undefined);
    };
    for (const op of graph.ops) {
      if (op.opcode === 'call') calls.add(op.attributes.function, op.operands.map(stays), site.copies);
    }
  }
  return splits;
}

interface Site extends CallSite {
  readonly hasSymbols: boolean;
  readonly budget: StorageBudget;
  readonly without: Without;
  readonly target: FusionTarget;
}

/** The graph with turned factors, and what is known of it. */
function withTurnedFactors(original: Graph, { held, copies, hasSymbols, budget, without, target }: Site) {
  const known = (graph: Graph) => ({
    graph,
    fixed: fixedValues(graph, held, hasSymbols),
    uses: new GraphUses(graph, without, target),
  });
  const before = known(original);
  if (!target.turnsFactors) return { ...before, turned: new Set<Value>() };
  const { graph, turned } = turnFactors({ ...before, budget, copies });
  return { ...(graph === original ? before : known(graph)), turned };
}

function callersFirst({ functions, main }: Module): Func[] {
  const entered = functions.filter(({ name }) => name === main);
  return [...entered, ...functions.filter(({ name }) => name !== main).reverse()];
}

interface CallSite {
  /** For each parameter, whether every call hands over what stays the same. */
  held: boolean[];
  /** How often the program calls the function. */
  copies: number;
}

class CallSites {
  readonly #sites = new Map<string, CallSite>();

  constructor(main: string, held: readonly boolean[]) {
    this.add(main, held, 1);
  }

  /** What is known of a function; `undefined` for one that nobody calls. */
  of(name: string): CallSite | undefined {
    return this.#sites.get(name);
  }

  add(name: string, held: readonly boolean[], copies: number): void {
    const known = this.#sites.get(name);
    if (!known) this.#sites.set(name, { held: [...held], copies });
    else {
      known.held = known.held.map((before, at) => before && held[at]);
      known.copies += copies;
    }
  }
}
