/**
 * Runs passes. A pass is a named function from a module to a module; a pipeline is a list of them.
 * The manager times each one, checks what it made, and shows it to whoever asked:
 *
 *     runPasses(module, optimizePipeline, {
 *       precision: 'fast', verify: flags.verify, constantBudget: 1 << 16,
 *       trace: ({ pass, changed, milliseconds, after }) => { ... },
 *     });
 *
 * A pass that changes nothing returns the very module it was given: that is how "unchanged" is said everywhere.
 */
import { internalError, KilnError } from '../base/error.ts';
import type { Graph, Module, Op } from '../ir/types.ts';
import { verifyModule } from '../ir/verifier.ts';
import type { Without } from './features.ts';
import type { FusionTarget } from './fuse/target.ts';

/** What every pass may rely on. */
export interface PassContext {
  /** `strict` keeps every bit; `fast` may also reassociate. */
  readonly precision: 'fast' | 'strict';
  /** Whether the module is verified after each pass (`KILN_VERIFY=1`, and in tests). */
  readonly verify: boolean;
  /** The most bytes that one folded constant may hold. */
  readonly constantBudget: number;
  /** What passes have to know of the target; WASM unless given. */
  readonly target?: FusionTarget;
  /** Passes and rule families that are left out, to see what they are worth. */
  readonly without?: Without;
  /** Told about each pass after it ran, before its result is verified: the place to time and to print. */
  trace?(record: PassRecord): void;
  /** Told about each rewrite: the name of the rule and the op that it replaces. */
  watch?(rule: string, op: Op): void;
}

/** One run of one pass. Both modules are complete, so a caller can print them. */
export interface PassRecord {
  /** The pass; for one inside a `Repeat`, `simplify/foldConstants`. */
  readonly pass: string;
  readonly before: Module;
  readonly after: Module;
  readonly changed: boolean;
  readonly milliseconds: number;
}

export interface Pass {
  /** A verb: `inlineCalls`, `foldConstants`. */
  readonly name: string;
  /** The new module, or the same object when there was nothing to do. */
  run(module: Module, context: PassContext): Module;
}

/** Passes that run in turn until none of them changes anything, at most `rounds` times. */
export interface Repeat {
  readonly name: string;
  readonly repeat: readonly Pass[];
  readonly rounds: number;
}

/** A pipeline is a list of these. */
export type Step = Pass | Repeat;

/**
 * Runs the steps of a pipeline in order.
 * @throws KilnError what a pass says to the user (such as `not_differentiable`) unchanged; anything else that a pass
 *   or the verifier throws as `internal`, with the name of the pass
 */
export function runPasses(module: Module, steps: readonly Step[], context: PassContext): Module {
  let current = module;
  for (const step of steps) {
    current = 'repeat' in step ? runRepeat(current, step, context) : runPass(current, step, step.name, context);
  }
  return current;
}

function runRepeat(module: Module, { name, repeat, rounds }: Repeat, context: PassContext): Module {
  if (context.without?.has(name)) return module;
  let current = module;
  for (let round = 0; round < rounds; round++) {
    const before = current;
    for (const pass of repeat) current = runPass(current, pass, `${name}/${pass.name}`, context);
    if (current === before) break;
  }
  return current;
}

function runPass(before: Module, pass: Pass, name: string, context: PassContext): Module {
  if (context.without?.has(pass.name)) return before;
  const start = performance.now();
  let after: Module;
  try {
    after = pass.run(before, context);
  } catch (error) {
    if (error instanceof KilnError && error.code !== 'internal' && error.code !== 'invalid_ir') throw error;
    throw internalError(`pass ${name} failed: ${reason(error)}`, error);
  }
  const changed = after !== before;
  context.trace?.({ pass: name, before, after, changed, milliseconds: performance.now() - start });
  if (changed && context.verify) verifyAfter(name, after);
  return after;
}

function verifyAfter(name: string, module: Module): void {
  try {
    verifyModule(module);
  } catch (error) {
    throw internalError(`pass ${name} made a module that does not verify: ${reason(error)}`, error);
  }
}

const reason = (error: unknown): string =>
  error instanceof KilnError ? error.summary : error instanceof Error ? error.message : String(error);

/** Applies a function to every graph of a module; the same module comes back when every graph does. */
export function mapGraphs(module: Module, transform: (graph: Graph) => Graph): Module {
  let changed = false;
  const functions = module.functions.map((func) => {
    const graph = transform(func.graph);
    if (graph === func.graph) return func;
    changed = true;
    return { ...func, graph };
  });
  return changed ? { ...module, functions } : module;
}
