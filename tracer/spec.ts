/**
 * Specs: arguments without data. A spec stands for a tensor wherever only its type matters: `lower`, `explain`,
 * `warmup`, `dynamic`. Its sizes may be symbolic.
 *
 *     step.warmup(specOf(params), spec([dim('B'), 784]), spec([dim('B')], 'int32'))
 */
import { type Dim, SymbolicDim } from '../base/dim.ts';
import { type DType, dtypeInfo, dtypes, isDType } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import type { TensorType } from '../ir/types.ts';
import { dtypeOfTypedArray } from '../runtime/typed-arrays.ts';
import { declareLeafClass, type Mapped, mapLeaves } from './pytree.ts';
import { Tensor } from './tensor.ts';

/** Element type and shape of an argument. */
export class TensorSpec<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly Dim[];
  readonly signature: string;

  constructor(dtype: D, shape: readonly Dim[]) {
    this.dtype = dtype;
    this.shape = shape;
    this.signature = `${dtypeInfo(dtype).short}[${shape.join(',')}]`;
  }

  get type(): TensorType {
    return { dtype: this.dtype, shape: this.shape };
  }

  toString(): string {
    return `spec(${this.signature})`;
  }
}

declareLeafClass(TensorSpec);

/**
 * A stand-in for a tensor of a shape and dtype.
 * @param shape sizes: non-negative integers or `dim(...)`
 * @throws KilnError `invalid_size`, `unsupported_dtype`
 */
export function spec<D extends DType = 'float32'>(shape: readonly Dim[], dtype?: D): TensorSpec<D> {
  if (!Array.isArray(shape)) {
    throw new KilnError('invalid_argument', 'spec: the shape must be an array of sizes', {
      given: String(shape),
      hint: 'spec([8, 4]), spec([dim("B"), 4], "int32"); spec([]) for a scalar',
      location: SourceLocation.capture(),
    });
  }
  for (const size of shape as readonly unknown[]) {
    if (size instanceof SymbolicDim || (Number.isSafeInteger(size) && (size as number) >= 0)) continue;
    throw new KilnError('invalid_size', 'spec: a size is not a size', {
      given: `[${shape.map(String).join(', ')}]`,
      expected: 'non-negative integers or dim(name)',
      location: SourceLocation.capture(),
    });
  }
  const type = dtype ?? 'float32';
  if (!isDType(type)) {
    throw new KilnError('unsupported_dtype', 'spec: no such dtype', {
      given: String(type),
      expected: dtypes.join(', '),
      location: SourceLocation.capture(),
    });
  }
  return new TensorSpec(type as D, [...shape]);
}

/** The tree with a spec in the place of each tensor and typed array; all other leaves stay. */
export function specOf<T>(value: T): Mapped<T, TensorSpec> {
  return mapLeaves(value, (leaf) => {
    if (leaf instanceof Tensor) return new TensorSpec(leaf.dtype, leaf.type.shape);
    const dtype = dtypeOfTypedArray(leaf);
    return dtype ? new TensorSpec(dtype, [(leaf as ArrayLike<unknown>).length]) : leaf;
  }) as Mapped<T, TensorSpec>;
}
