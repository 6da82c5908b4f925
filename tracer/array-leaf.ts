/** What counts as an array among the leaves of arguments: a tensor, a spec that stands for one, a typed array. */

import { KilnError } from '../base/error.ts';
import type { TensorType } from '../ir/types.ts';
import { dtypeOfTypedArray } from '../runtime/typed-arrays.ts';
import { mapLeaves, tree } from './pytree.ts';
import { TensorSpec } from './spec.ts';
import { Tensor } from './tensor.ts';
import { uploadView } from './typed-arrays.ts';

export type ArrayLeaf = Tensor | TensorSpec | ArrayBufferView;

/** Whether a leaf of the arguments is an array, so a parameter. */
export const isArrayLeaf = (leaf: unknown): leaf is ArrayLeaf =>
  leaf instanceof Tensor || leaf instanceof TensorSpec || dtypeOfTypedArray(leaf) !== undefined;

export const typeOfArray = (leaf: ArrayLeaf): TensorType =>
  leaf instanceof Tensor || leaf instanceof TensorSpec
    ? leaf.type
    : { dtype: dtypeOfTypedArray(leaf)!, shape: [(leaf as unknown as ArrayLike<unknown>).length] };

/** The leaves of an argument; none for one that is no pytree, which functions may be handed through untouched. */
export function leavesOf(arg: unknown): readonly unknown[] {
  try {
    return tree.leaves(arg);
  } catch (error) {
    if (error instanceof KilnError && error.code === 'unregistered_class') return [];
    throw error;
  }
}

/** An argument with tensors in the place of its typed arrays, on the session's device unless one is given. */
export const arraysAsTensors = (arg: unknown, device?: string): unknown =>
  leavesOf(arg).some(dtypeOfTypedArray)
    ? mapLeaves(arg, (leaf) => (dtypeOfTypedArray(leaf) ? uploadView(leaf as ArrayBufferView, device) : leaf))
    : arg;
