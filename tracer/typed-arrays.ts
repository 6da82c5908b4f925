/**
 * Typed arrays as data: which dtype each class stands for. Anything else that is a view (DataView) is none.
 */
import type { DType } from '../base/dtype.ts';
import { internalError } from '../base/error.ts';
import { currentDevice } from '../runtime/session.ts';
import { Tensor } from './tensor.ts';

const byTag: Readonly<Record<string, DType>> = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  Float16Array: 'float16',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint32Array: 'uint32',
  Uint16Array: 'uint16',
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
};

/** The dtype of a typed array's elements, `undefined` for everything else. */
export const dtypeOfTypedArray = (value: unknown): DType | undefined =>
  ArrayBuffer.isView(value) && Symbol.toStringTag in value
    ? byTag[String((value as { readonly [Symbol.toStringTag]: string })[Symbol.toStringTag])]
    : undefined;

/** The bytes of a view, without a copy. */
export const bytesOfView = (view: ArrayBufferView): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

/** A typed array as a tensor of one axis. */
export function uploadView(view: ArrayBufferView): Tensor {
  const dtype = dtypeOfTypedArray(view);
  if (!dtype) throw internalError('a view without elements got past its checks');
  const shape = [(view as unknown as ArrayLike<unknown>).length];
  return Tensor.of(dtype, shape, currentDevice().upload(dtype, shape, bytesOfView(view)));
}
