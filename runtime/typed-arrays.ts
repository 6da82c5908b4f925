/**
 * Typed arrays as data: which dtype each class stands for. Anything else that is a view (DataView) is none. No device
 * computes with 64 bits: BigInt64Array, which mostly holds indices, is int32 here, and its numbers have to fit.
 */
import type { DType } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';

const byTag: Readonly<Record<string, DType>> = {
  Float64Array: 'float64',
  Float32Array: 'float32',
  Float16Array: 'float16',
  BigInt64Array: 'int32',
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

/**
 * The bytes of a view's elements: the view's own, or of a BigInt64Array those of its numbers as int32.
 * @throws KilnError `dtype_mismatch` for a number that int32 does not hold
 */
export function bytesOfView(view: ArrayBufferView): Uint8Array {
  const narrow = isWide(view) ? narrowed(view) : view;
  return new Uint8Array(narrow.buffer, narrow.byteOffset, narrow.byteLength);
}

/** Whether a typed array holds integers of 64 bits. */
export const isWide = (view: unknown): view is BigInt64Array =>
  Object.prototype.toString.call(view) === '[object BigInt64Array]';

function narrowed(wide: BigInt64Array): Int32Array {
  const words = new Int32Array(wide.buffer, wide.byteOffset, 2 * wide.length);
  const narrow = new Int32Array(wide.length);
  for (let i = 0; i < narrow.length; i++) {
    const low = words[2 * i];
    if (words[2 * i + 1] !== low >> 31) {
      throw new KilnError('dtype_mismatch', 'a 64-bit number does not fit int32, which indices are computed with', {
        given: `${wide[i]} at position ${i} of a BigInt64Array`,
        expected: 'integers from -2147483648 to 2147483647',
        hint: 'no device computes with 64 bits: split larger numbers in two, or keep them on the host',
      });
    }
    narrow[i] = low;
  }
  return narrow;
}
