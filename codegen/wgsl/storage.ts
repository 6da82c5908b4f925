/**
 * How elements lie in storage buffers and what they are in the code. Buffers are dense as on every device; WGSL has no
 * types of 8 bits, and of 16 only `f16` where the adapter has it, so smaller elements share words of an `array<u32>`.
 *
 *     float32  array<f32>   f32         int8   four in an array<u32>   i32
 *     bool     four in an array<u32>    bool
 */
import { byteSize, computeDType, computedDTypes, type DType, dtypeInfo } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';
import type { WebgpuTier } from '../../runtime/program.ts';

export interface Storage {
  readonly dtype: DType;
  /** Type of an element of the array. */
  readonly element: 'f32' | 'i32' | 'u32' | 'f16';
  /** Elements of the tensor in one of the array: 1, 2 or 4. */
  readonly perElement: 1 | 2 | 4;
}

/** @throws KilnError `unsupported_dtype` */
export function storageOf(dtype: DType, { shaderF16 }: WebgpuTier): Storage {
  if (!computedDTypes.includes(dtype)) {
    throw new KilnError('unsupported_dtype', `the WebGPU backend does not compute with ${dtype}`, {
      expected: computedDTypes.join(', '),
    });
  }
  if (dtype === 'float16' && shaderF16) return { dtype, element: 'f16', perElement: 1 };
  const bytes = byteSize(dtype);
  if (bytes === 1) return { dtype, element: 'u32', perElement: 4 };
  if (bytes === 2) return { dtype, element: 'u32', perElement: 2 };
  return { dtype, element: scalarType(dtype) as 'f32' | 'i32' | 'u32', perElement: 1 };
}

export type ScalarType = 'f32' | 'i32' | 'u32' | 'bool';

/** The type that values of a dtype have in the code. */
export function scalarType(dtype: DType): ScalarType {
  const { kind } = dtypeInfo(computeDType(dtype));
  return kind === 'float' ? 'f32' : kind === 'signed' ? 'i32' : kind === 'unsigned' ? 'u32' : 'bool';
}

/** The same for so many lanes. */
export const typeText = (dtype: DType, lanes: 1 | 4): string =>
  lanes === 1 ? scalarType(dtype) : `vec4<${scalarType(dtype)}>`;
