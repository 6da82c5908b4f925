/**
 * What arrays are made as: `DeviceArray` where the runtime is alone, `Tensor` where the tracer is loaded too, so that
 * the results of a loaded function have all operations.
 */
import type { DType } from '../base/dtype.ts';
import { DeviceArray } from './array.ts';
import type { BufferHandle } from './device.ts';

type MakeArray = <D extends DType>(dtype: D, shape: readonly number[], handle: BufferHandle) => DeviceArray<D>;

let make: MakeArray = (dtype, shape, handle) => new DeviceArray(dtype, shape, handle);

/** An array that owns a device's buffer. */
export const newArray: MakeArray = (dtype, shape, handle) => make(dtype, shape, handle);

/** From now on arrays are made so. */
export const setArrayClass = (makeArray: MakeArray): void => {
  make = makeArray;
};
