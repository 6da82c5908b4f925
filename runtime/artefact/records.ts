/**
 * What the header of a container holds: programs, kernels and functions as plain data, with the number of a blob where
 * bytes or code belong. Records come from files: `readArtefact` and `validateProgram` check them before they are used.
 */
import type { SymbolRange } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { ProgramConstant, TensorSpec, WasmKernel, WasmProgram, WebgpuProgram, WgslKernel } from '../program.ts';

/** A kernel without its name, which programs give it; equal kernels are stored once. */
export type WasmKernelRecord = Omit<WasmKernel, 'name' | 'code'> & { readonly target: 'wasm'; readonly code: number };
export type WgslKernelRecord = Omit<WgslKernel, 'name' | 'code'> & { readonly target: 'webgpu'; readonly code: number };
export type KernelRecord = WasmKernelRecord | WgslKernelRecord;

/** A kernel as a program names it. */
export interface KernelUse {
  readonly name: string;
  readonly hash: string;
}

export type ConstantRecord = Omit<ProgramConstant, 'bytes'> & { readonly bytes: number };

interface ProgramParts {
  readonly kernels: readonly KernelUse[];
  readonly constants: readonly ConstantRecord[];
}

export type ProgramRecord = Omit<WasmProgram | WebgpuProgram, 'kernels' | 'constants'> & ProgramParts;

/**
 * A tree of arguments or results. Leaves are arrays, in order, and values that are fixed.
 *
 * - `array`: a tensor.
 * - `static`: a value that is part of the signature, by its key (`base/static-key.ts`): `n0.1`, `s4:relu`, `N`, `U`.
 */
export type TreeRecord =
  | { readonly kind: 'array' }
  | { readonly kind: 'static'; readonly key: string }
  | { readonly kind: 'list'; readonly children: readonly TreeRecord[] }
  | { readonly kind: 'dict'; readonly keys: readonly string[]; readonly children: readonly TreeRecord[] };

/**
 * A function that was baked. Its programs take the arrays among the arguments, then the captures; whether an argument is
 * given up (`donated`), and which captures are `held`, their inputs say.
 */
export interface FunctionRecord {
  readonly name: string;
  /** One for each parameter, by the parameter's name where that is known. */
  readonly parameters: readonly { readonly name?: string; readonly tree: TreeRecord }[];
  /** Types of the arrays among the arguments, in order; sizes are over `symbols`. */
  readonly inputs: readonly TensorSpec[];
  readonly symbols: readonly SymbolRange[];
  /** Tensors that the function uses from around it: their numbers among the tensors of the weights. */
  readonly captures: readonly number[];
  readonly results: readonly TensorSpec[];
  readonly result: TreeRecord;
  readonly precision: 'fast' | 'strict';
  /** One program for each target, by its number. */
  readonly programs: readonly { readonly target: string; readonly program: number }[];
}

/** Arrays that travel with the programs, in one blob in the format of safetensors. */
export interface WeightsRecord {
  readonly blob: number;
  /** Trees of arrays by name, such as `params`. */
  readonly trees: readonly { readonly name: string; readonly tree: TreeRecord; readonly tensors: readonly number[] }[];
  /**
   * The names that the blob gives its tensors, with their types, in the order of their bytes: one after the other,
   * without holes, from the end of the blob's own header on, which is at a multiple of 16. Wide dtypes come first, so
   * that each tensor lies at a multiple of its element size.
   */
  readonly tensors: readonly { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] }[];
}

/** What a baked artefact holds. */
export interface ArtefactContent {
  readonly kind: 'artefact';
  /** The version of kilnjs that has baked it. */
  readonly kiln: string;
  readonly functions: readonly FunctionRecord[];
  readonly programs: readonly ProgramRecord[];
  readonly kernels: readonly KernelRecord[];
  readonly weights?: WeightsRecord;
  /** Schedules that were measured where it was baked, and its code is made with, by the key of the kernel. */
  readonly schedules?: readonly (readonly [key: string, schedule: string])[];
}
