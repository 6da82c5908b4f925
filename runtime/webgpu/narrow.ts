/**
 * The 64-bit rule of WebGPU, which has no elements of 64 bits: an int64 array lies on the device as int32, after a check
 * that every element fits, and reads back as int64; float64 is refused.
 *
 *     narrowElements('int64', bytes of [1n, -2n])       // bytes of the int32 [1, -2]
 */
import type { DType } from '../../base/dtype.ts';
import { KilnError } from '../../base/error.ts';

/**
 * Dense elements as they lie on the device.
 * @throws KilnError `unsupported_dtype` for float64, `invalid_argument` for an int64 beyond int32
 */
export function narrowElements(dtype: DType, data: Uint8Array): Uint8Array {
  if (dtype === 'float64') {
    throw new KilnError('unsupported_dtype', 'WebGPU has no float64', {
      given: 'float64 elements for the webgpu device',
      expected: 'float32, float16, bfloat16, integers of at most 32 bits, or bool',
      hint: "convert on the host: Float32Array.from(data); or use { device: 'wasm' }",
    });
  }
  return dtype === 'int64' ? narrowed(data) : data;
}

/** Bytes of an array on the device. */
export const storedBytes = (dtype: DType, bytes: number): number => (dtype === 'int64' ? bytes / 2 : bytes);

/** What `narrowElements` made, as dense elements again. */
export function widenElements(dtype: DType, stored: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (dtype !== 'int64') return stored;
  const narrow = new Int32Array(stored.buffer, stored.byteOffset, stored.byteLength / 4);
  return new Uint8Array(BigInt64Array.from(narrow, BigInt).buffer);
}

function narrowed(data: Uint8Array): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const words = new Int32Array(data.byteLength / 8);
  for (let i = 0; i < words.length; i++) {
    words[i] = view.getInt32(8 * i, true);
    // The upper word repeats the sign where the value is an int32.
    if (view.getInt32(8 * i + 4, true) === words[i] >> 31) continue;
    throw new KilnError('invalid_argument', 'an int64 is beyond int32, which is what WebGPU holds', {
      given: `${view.getBigInt64(8 * i, true)} as element ${i}`,
      expected: 'values from -2147483648 to 2147483647',
      hint: "keep such numbers on the host, or use { device: 'wasm' }",
    });
  }
  return new Uint8Array(words.buffer);
}
