/**
 * What passes hand to codegen: kernels, the launches that run them, where every buffer lives, and an account of what
 * was fused and what was not.
 *
 *     inputs      x: f32[8,4], w: f32[4,2]
 *     kernels     [dot_general_tanh]
 *     launches    [{ kernel: 0, buffers: [input 0, input 1, output 0] }]
 *     outputs     [f32[8,2], own]
 *
 * Everything here is plain data but for the `Op`s in the report, which are there for people and belong to no key.
 */
import type { Dim, SymbolRange } from '../base/dim.ts';
import type { Kernel } from './kernel.ts';
import type { Literal, Op, TensorType, Value } from './types.ts';

export interface Lowered {
  readonly name: string;
  /** Symbols that sizes are expressions over, by name. */
  readonly symbols: readonly SymbolRange[];
  readonly inputs: readonly LoweredInput[];
  readonly outputs: readonly LoweredOutput[];
  /** Arrays that launches read or outputs are; single-element constants stand in the kernels instead. */
  readonly constants: readonly Literal[];
  /** What stays from call to call: the first launches write it, and those that are run at every call read it. */
  readonly prepared: readonly LoweredPrepared[];
  readonly temporaries: readonly LoweredTemporary[];
  /** Bytes of the arena that holds all temporaries, when every size is a number. */
  readonly arenaBytes?: number;
  /** Each different kernel once. */
  readonly kernels: readonly Kernel[];
  /** In the order in which they run. */
  readonly launches: readonly Launch[];
  /** How many of them, from the first on, are run only once and whenever a captured tensor is another one. */
  readonly prepareLaunches: number;
  readonly report: FusionReport;
}

export interface LoweredInput {
  readonly type: TensorType;
  /** The caller gives the buffer up; launches may write into it. */
  readonly donated: boolean;
  /** It is the same at every call, mostly. */
  readonly held: boolean;
}

export interface LoweredOutput {
  readonly type: TensorType;
  readonly source: OutputSource;
}

/** Where an output's bytes are when all launches have run; as in `ProgramOutput`. */
export type OutputSource =
  /** A fresh buffer, which launches name as `{ kind: 'output' }`. */
  | { readonly kind: 'own' }
  /** The buffer of a donated input, which launches have overwritten. */
  | { readonly kind: 'donated'; readonly input: number }
  /** An input or constant, unchanged but for its shape. */
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'constant'; readonly index: number }
  /** The same bytes as an output before it. */
  | { readonly kind: 'output'; readonly index: number };

/** An array that follows from what is the same at every call. */
export interface LoweredPrepared {
  readonly type: TensorType & { readonly shape: readonly number[] };
}

/** Memory that lives from one launch to another. */
export interface LoweredTemporary {
  readonly bytes: Dim;
  /** First and last launch that touches it. */
  readonly first: number;
  readonly last: number;
  /** Place in the arena, when every size is a number. */
  readonly offset?: number;
}

/** Runs a kernel. Buffers are in the order of the kernel's bindings; an in-place pair names one buffer twice. */
export interface Launch {
  /** Index into `kernels`. */
  readonly kernel: number;
  readonly buffers: readonly LaunchBuffer[];
}

export interface LaunchBuffer {
  readonly kind: 'input' | 'output' | 'constant' | 'prepared' | 'temporary';
  readonly index: number;
}

/** What fusion did, for `explain()`. */
export interface FusionReport {
  /** Ops of the graph that was lowered, constants left out. */
  readonly opCount: number;
  /** One for each launch, in order. */
  readonly groups: readonly FusionGroupReport[];
  /** Every edge whose value goes through memory, and why. */
  readonly refusals: readonly FusionRefusal[];
}

export interface FusionGroupReport {
  readonly kernel: number;
  readonly launch: number;
  /** The function that was compiled once and that the launch comes from, and which of its calls. */
  readonly block?: { readonly function: string; readonly call: number };
  /** The launch is run only once. */
  readonly prepares?: true;
  /** Ops computed in this launch; cheap ones may be computed in several launches. */
  readonly ops: readonly Op[];
  /**
   * What it reads from memory and writes to it, as values of the function that the ops stand in. The last buffers of
   * the launch are those of `writes`.
   */
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
  /** Bytes read and written if every op ran alone, and as fused. */
  readonly bytesBefore: Dim;
  readonly bytesAfter: Dim;
  /** Operations of the ops, each once, and of the kernel, which computes some again and some less often. */
  readonly flopsBefore: Dim;
  readonly flopsAfter: Dim;
}

export interface FusionRefusal {
  readonly producer: Op;
  readonly consumer: Op;
  /** Name of the rule that kept the two apart; `docs/fusion.md` says each in words. */
  readonly rule: string;
  readonly detail: string;
}
