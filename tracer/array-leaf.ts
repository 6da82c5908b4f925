/** What counts as an array among the leaves of arguments: a tensor, a spec that stands for one, a typed array. */
import type { TensorType } from '../ir/types.ts';
import { TensorSpec } from './spec.ts';
import { Tensor } from './tensor.ts';
import { dtypeOfTypedArray } from './typed-arrays.ts';

export type ArrayLeaf = Tensor | TensorSpec | ArrayBufferView;

/** Whether a leaf of the arguments is an array, so a parameter. */
export const isArrayLeaf = (leaf: unknown): leaf is ArrayLeaf =>
  leaf instanceof Tensor || leaf instanceof TensorSpec || dtypeOfTypedArray(leaf) !== undefined;

export const typeOfArray = (leaf: ArrayLeaf): TensorType =>
  leaf instanceof Tensor || leaf instanceof TensorSpec
    ? leaf.type
    : { dtype: dtypeOfTypedArray(leaf)!, shape: [(leaf as unknown as ArrayLike<unknown>).length] };
