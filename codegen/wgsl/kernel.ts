/**
 * Kernel → WGSL. One module a kernel; each part that must wait for another is an entry point of its own.
 */
import type { Dim } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { WebgpuTier } from '../../runtime/program.ts';

/** What shapes the code beside the kernel; part of its hash. */
export interface KernelOptions {
  readonly precision: 'fast' | 'strict';
  readonly tier: WebgpuTier;
}

/** What of the options shapes code; part of a kernel's hash. */
export const optionsKey = ({ precision, tier }: KernelOptions): string =>
  `${precision}${tier.shaderF16 ? ' shader-f16' : ''}${tier.subgroups ? ' subgroups' : ''}` +
  `${tier.integerDot ? ' integer-dot' : ''}`;

/** An entry point and how many workgroups it runs on (`KernelDispatch` of the program). */
export interface Dispatch {
  readonly entryPoint: string;
  readonly workgroups: Dim;
}

export interface GeneratedKernel {
  readonly code: string;
  readonly access: readonly ('read' | 'read_write')[];
  /** Sizes the code reads from its uniform block, in order. */
  readonly sizes: readonly Dim[];
  readonly dispatches: readonly Dispatch[];
  readonly scratchBytes: Dim;
  readonly flops: Dim;
}

/**
 * Generates the code of a kernel.
 * @throws KilnError `unsupported_dtype`; `invalid_size` for an axis that is too long to count
 */
export function generateKernel(kernel: Kernel, _options: KernelOptions): GeneratedKernel {
  throw internalError(`${kernel.name}: WGSL is not generated yet`);
}
