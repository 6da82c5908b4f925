/** Typed arrays as tensors. */
import { internalError } from '../base/error.ts';
import { deviceNamed } from '../runtime/session.ts';
import { bytesOfView, dtypeOfTypedArray } from '../runtime/typed-arrays.ts';
import { Tensor } from './tensor.ts';

/** A typed array as a tensor of one axis, on the session's device unless one is given. */
export function uploadView(view: ArrayBufferView, device?: string): Tensor {
  const dtype = dtypeOfTypedArray(view);
  if (!dtype) throw internalError('a view without elements got past its checks');
  const shape = [(view as unknown as ArrayLike<unknown>).length];
  return Tensor.of(dtype, shape, deviceNamed(device).upload(dtype, shape, bytesOfView(view)));
}
