/**
 * A Program: everything a device needs to run one compiled function, as plain serialisable data. The just-in-time path
 * and the baked path run the same Program through the same runtime. Same function, same specs, same version: same
 * bytes.
 *
 * Sizes are numbers, or the text of a size expression over the program's symbols (`base/dim.ts`).
 */

import type { SymbolRange } from '../base/dim.ts';
import type { DType } from '../base/dtype.ts';

/** A size: a number, or the text of an expression such as `'2*B+1'`. */
export type Size = number | string;

export interface TensorSpec {
  readonly dtype: DType;
  readonly shape: readonly Size[];
}

export const programVersion = 4;

/** What WASM code needs of the engine. A device has one tier, and runs programs of no other. */
export interface WasmTier {
  readonly target: 'wasm';
  /** Kernels import a shared memory, so that several threads can run them. Shared and unshared do not link. */
  readonly threads: boolean;
  /**
   * Code may use relaxed SIMD. Only `fast` code does, so that strict code is the same in every tier but for the import.
   */
  readonly relaxedSimd: boolean;
}

/** What WGSL code needs of the adapter. A device runs programs that need no more than it has. */
export interface WebgpuTier {
  readonly target: 'webgpu';
  /** The feature `shader-f16`: float16 buffers are arrays of `f16`. */
  readonly shaderF16: boolean;
  /** The feature `subgroups`: reductions and broadcasts within a subgroup. */
  readonly subgroups: boolean;
  /** The language feature `packed_4x8_integer_dot_product`. */
  readonly integerDot: boolean;
  /** Storage buffers that one kernel may bind, scratch memory included; WebGPU guarantees 8. */
  readonly storageBuffers: number;
}

export type Tier = WasmTier | WebgpuTier;

/** One thread, and nothing beyond WebAssembly 2.0. */
export const plainTier: WasmTier = { target: 'wasm', threads: false, relaxedSimd: false };

/** What every WebGPU adapter has. */
export const coreWebgpuTier: WebgpuTier = {
  target: 'webgpu',
  shaderF16: false,
  subgroups: false,
  integerDot: false,
  storageBuffers: 8,
};

/**
 * Whether code that needs one tier runs on a device of another. Kernels link one kind of memory alone: with threads and
 * without are two tiers, neither of which is less than the other.
 */
export function runsOn(needed: Tier, own: Tier): boolean {
  if (needed.target === 'wasm') {
    return own.target === 'wasm' && needed.threads === own.threads && (!needed.relaxedSimd || own.relaxedSimd);
  }
  return (
    // A later minor version of an artefact may know others.
    needed.target === 'webgpu' &&
    own.target === 'webgpu' &&
    (!needed.shaderF16 || own.shaderF16) &&
    (!needed.subgroups || own.subgroups) &&
    (!needed.integerDot || own.integerDot) &&
    needed.storageBuffers <= own.storageBuffers
  );
}

/** A tier in a key of programs, which every call makes. */
export function tierKey(tier: Tier): string {
  if (tier.target === 'wasm') return (tier.threads ? 't' : '') + (tier.relaxedSimd ? 'r' : '');
  const { shaderF16, subgroups, integerDot, storageBuffers } = tier;
  return `g${storageBuffers}${shaderF16 ? 'f' : ''}${subgroups ? 's' : ''}${integerDot ? 'd' : ''}`;
}

/** A tier as text: `wasm`, `wasm+threads+relaxed-simd`, `webgpu+subgroups+8-buffers`. */
export function tierName(tier: Tier): string {
  if (tier.target === 'wasm') {
    return `wasm${tier.threads ? '+threads' : ''}${tier.relaxedSimd ? '+relaxed-simd' : ''}`;
  }
  const { shaderF16, subgroups, integerDot, storageBuffers } = tier;
  const features = [shaderF16 && 'shader-f16', subgroups && 'subgroups', integerDot && 'integer-dot'];
  return ['webgpu', ...features.filter(Boolean), `${storageBuffers}-buffers`].join('+');
}

/** A program of one target: what it needs, and kernels of the kind that target runs. */
export interface ProgramOf<OwnTier extends Tier, Kernel> {
  readonly version: typeof programVersion;
  readonly name: string;
  /** What the code needs: the target and its features. */
  readonly tier: OwnTier;
  /** Symbolic sizes. They take their values from the inputs' shapes when the program is bound. */
  readonly symbols: readonly SymbolRange[];
  readonly inputs: readonly ProgramInput[];
  readonly outputs: readonly ProgramOutput[];
  readonly constants: readonly ProgramConstant[];
  /** Arrays that stay from run to run. */
  readonly prepared: readonly PreparedArray[];
  readonly temporaries: readonly Temporary[];
  /** Bytes of the arena that holds the temporaries, when every size is a number. */
  readonly arenaBytes?: number;
  readonly kernels: readonly Kernel[];
  readonly steps: readonly Step[];
  /**
   * How many steps, from the first on, write the prepared arrays. They read held inputs, constants, and what others of
   * them write, and run only when the arrays are not there, or a held input is another buffer than when they last ran.
   */
  readonly prepareSteps: number;
}

export type WasmProgram = ProgramOf<WasmTier, WasmKernel>;
export type WebgpuProgram = ProgramOf<WebgpuTier, WgslKernel>;
export type Program = WasmProgram | WebgpuProgram;

export const isWasmProgram = (program: Program): program is WasmProgram => program.tier.target === 'wasm';
export const isWebgpuProgram = (program: Program): program is WebgpuProgram => program.tier.target === 'webgpu';

export interface ProgramInput extends TensorSpec {
  /** The caller gives the buffer up: once bound, the program may write into it. */
  readonly donated: boolean;
  /** The caller gives the same buffer at every run, mostly: a tensor that a compiled function has captured. */
  readonly held: boolean;
}

export interface ProgramOutput extends TensorSpec {
  /** Where the bytes are when the program ends. `own` is a fresh buffer that steps name as `{ kind: 'output' }`. */
  readonly source:
    | { readonly kind: 'own' }
    /** The (donated) input's buffer, which steps have overwritten. */
    | { readonly kind: 'donated'; readonly input: number }
    /** The input itself, or the constant, unchanged but for its shape. */
    | { readonly kind: 'input'; readonly index: number }
    | { readonly kind: 'constant'; readonly index: number }
    /** The same bytes as another output. */
    | { readonly kind: 'output'; readonly index: number };
}

export interface ProgramConstant {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Dense little-endian bytes. */
  readonly bytes: Uint8Array;
}

/** An array that follows from held inputs and constants alone. */
export interface PreparedArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Memory that lives between steps of one run. */
export interface Temporary {
  readonly bytes: Size;
  /** Offset in the arena, when every size is a number; otherwise the runtime plans when it binds. */
  readonly offset?: number;
  /** First and last step that touches it. */
  readonly first: number;
  readonly last: number;
}

/**
 * A stretch of a kernel's tiles that may run in any order, on any threads. It begins when the phase before it has ended
 * on all threads.
 */
export interface KernelPhase {
  readonly tiles: Size;
  /**
   * Tiles in a row that share work, such as a packed factor: splits fall on multiples of it, counted from the start of
   * the phase, where there are enough groups.
   */
  readonly group: Size;
}

/** What kernels of all targets say. */
interface KernelOfAnyTarget {
  readonly name: string;
  /** SHA-256 of the kernel's canonical text and the options that shape its code, in hex. */
  readonly hash: string;
  /** Number of buffers bound. */
  readonly buffers: number;
  /**
   * Bytes of each buffer, in order, that the code may touch. A buffer that is bound has at least as many: then no
   * launch of the code reaches what is not its own, however a program was wired.
   */
  readonly bufferBytes: readonly Size[];
  /**
   * Whether the code may write into each buffer, in order. What it writes is never an input that its caller keeps, nor a
   * constant. In WGSL, a buffer is declared so and bound only once: an in-place pair is `read_write`.
   */
  readonly access: readonly ('read' | 'read_write')[];
  /** Sizes the code reads from its record (WASM) or its uniforms (WGSL), over the program's symbols; as int32. */
  readonly sizes: readonly Size[];
  /** A rough count of floating point operations for the whole launch. */
  readonly flops: Size;
}

export interface WasmKernel extends KernelOfAnyTarget {
  /**
   * A WASM module that imports `kiln.memory` (shared or not: the tier) and exports `run(record, begin, end)`, all i32.
   */
  readonly code: Uint8Array;
  /**
   * The range of outer tiles is the phases one after the other: [0, t0), [t0, t0 + t1) … Any split of a phase into
   * calls, in any order, on any threads, gives the same bytes. One call over several phases does them in order.
   */
  readonly phases: readonly KernelPhase[];
  /** Scratch bytes of each thread that runs the kernel. No call finds there what another left. */
  readonly scratchBytes: Size;
  /** Scratch bytes that all calls of one launch share. */
  readonly sharedBytes: Size;
}

/**
 * A WGSL module. Everything it binds is in group 0: storage buffers at 0 … `buffers - 1`, then scratch memory of the
 * launch at `buffers` where `scratchBytes` is not 0, then the uniform block of `sizes` (int32 each) where there are
 * any. A buffer is bound from its first byte, its size rounded up to a multiple of 16: code may read and write what
 * lies between, and nobody else does.
 */
export interface WgslKernel extends KernelOfAnyTarget {
  readonly code: string;
  /** Entry points, one after the other; each begins when the one before has ended. */
  readonly dispatches: readonly KernelDispatch[];
  /**
   * Scratch bytes of the launch, an `array<u32>` (or what else the code says) that is `read_write`; undefined content.
   * The binding exists exactly where this is not the number 0.
   */
  readonly scratchBytes: Size;
}

export interface KernelDispatch {
  readonly entryPoint: string;
  /**
   * How many workgroups. The runtime lays them out as `(x, y, 1)` within the limits of the device, with
   * `x * y >= workgroups`; code counts `workgroup_id.x + workgroup_id.y * num_workgroups.x` and ignores those beyond.
   */
  readonly workgroups: Size;
}

export type ProgramKernel = WasmKernel | WgslKernel;

/**
 * The record of a WASM launch is an array of 32-bit words in linear memory: the address of each buffer, then each
 * size, then the address of the running thread's scratch memory, then that of the scratch memory of the launch.
 */
export type Step = LaunchStep;

export interface LaunchStep {
  readonly kind: 'launch';
  /** Index into `kernels`. */
  readonly kernel: number;
  readonly buffers: readonly BufferRef[];
}

export interface BufferRef {
  readonly kind: 'input' | 'output' | 'constant' | 'prepared' | 'temporary';
  readonly index: number;
}
