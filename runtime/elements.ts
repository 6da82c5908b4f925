/**
 * Elements between bytes and JavaScript: the typed array a dtype reads back as, and single elements as numbers,
 * booleans or bigints. float16 and bfloat16 have no typed array everywhere, so they read back as Float32Array.
 *
 *     decodeElements('bool', new Uint8Array([1, 0]))             // Uint8Array [1, 0]
 *     elementAt('bool', new Uint8Array([1, 0]), 0)               // true
 *     encodeElements('float16', [1, 2.5])                        // 4 bytes
 */
import { byteSize, type DType } from '../base/dtype.ts';
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from '../base/half.ts';

/** The typed array that `data()` gives. */
export interface TypedArrays {
  float64: Float64Array<ArrayBuffer>;
  float32: Float32Array<ArrayBuffer>;
  float16: Float32Array<ArrayBuffer>;
  bfloat16: Float32Array<ArrayBuffer>;
  int64: BigInt64Array<ArrayBuffer>;
  int32: Int32Array<ArrayBuffer>;
  int16: Int16Array<ArrayBuffer>;
  int8: Int8Array<ArrayBuffer>;
  uint32: Uint32Array<ArrayBuffer>;
  uint16: Uint16Array<ArrayBuffer>;
  uint8: Uint8Array<ArrayBuffer>;
  bool: Uint8Array<ArrayBuffer>;
}
export type TypedArrayOf<D extends DType> = TypedArrays[D];

/** One element as `item()` and `array()` give it. */
export type ScalarOf<D extends DType> = D extends 'bool' ? boolean : D extends 'int64' ? bigint : number;

/** Arrays in arrays, as deep as the rank. */
export type Nested<T> = T | Nested<T>[];

function widen(bytes: Uint8Array, decode: (bits: number) => number): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const wide = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) wide[i] = decode(halves[i]);
  return wide;
}

type Bytes = Uint8Array<ArrayBuffer>;
const decoders: { readonly [D in DType]: (bytes: Bytes) => TypedArrayOf<D> } = {
  float64: (b) => new Float64Array(b.buffer, b.byteOffset, b.byteLength / 8),
  float32: (b) => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  float16: (b) => widen(b, decodeFloat16),
  bfloat16: (b) => widen(b, decodeBfloat16),
  int64: (b) => new BigInt64Array(b.buffer, b.byteOffset, b.byteLength / 8),
  int32: (b) => new Int32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  int16: (b) => new Int16Array(b.buffer, b.byteOffset, b.byteLength / 2),
  int8: (b) => new Int8Array(b.buffer, b.byteOffset, b.byteLength),
  uint32: (b) => new Uint32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  uint16: (b) => new Uint16Array(b.buffer, b.byteOffset, b.byteLength / 2),
  uint8: (b) => b,
  bool: (b) => b,
};

/** The elements of dense little-endian bytes; shares memory with them where the dtype allows. */
export function decodeElements<D extends DType>(dtype: D, bytes: Bytes): TypedArrayOf<D> {
  return decoders[dtype](bytes);
}

/** Element `index` of what `decodeElements` gave. */
export function elementAt<D extends DType>(dtype: D, elements: TypedArrayOf<D>, index: number): ScalarOf<D> {
  const element = elements[index];
  return (dtype === 'bool' ? element !== 0 : element) as ScalarOf<D>;
}

/**
 * Dense bytes of elements, converted as a typed array's assignment converts: floats round to nearest even, integers
 * wrap; bool is 1 for everything but zero, NaN included.
 */
export function encodeElements(dtype: DType, values: ArrayLike<number | bigint | boolean>): Bytes {
  const bytes = new Uint8Array(values.length * byteSize(dtype));
  if (dtype === 'int64') {
    const target = new BigInt64Array(bytes.buffer);
    for (let i = 0; i < target.length; i++) {
      const value = values[i];
      target[i] = typeof value === 'bigint' ? value : BigInt(Math.trunc(Number(value)));
    }
  } else if (dtype === 'bool') {
    for (let i = 0; i < bytes.length; i++) bytes[i] = Number(values[i]) === 0 ? 0 : 1;
  } else if (dtype === 'float16' || dtype === 'bfloat16') {
    const encode = dtype === 'float16' ? encodeFloat16 : encodeBfloat16;
    const target = new Uint16Array(bytes.buffer);
    for (let i = 0; i < target.length; i++) target[i] = encode(Number(values[i]));
  } else {
    const target = decodeElements(dtype, bytes);
    // The engine converts typed arrays as an assignment does, and copies equal ones whole.
    if (ArrayBuffer.isView(values) && !isOfBigints(values)) target.set(values as unknown as ArrayLike<number & bigint>);
    else for (let i = 0; i < target.length; i++) target[i] = Number(values[i]);
  }
  return bytes;
}

const isOfBigints = (view: ArrayBufferView): boolean =>
  /^\[object Big(?:Int|Uint)64Array\]$/.test(Object.prototype.toString.call(view));

/** Elements as arrays in arrays; the bare element for shape []. */
export function nestElements<D extends DType>(
  dtype: D,
  shape: readonly number[],
  elements: TypedArrayOf<D>,
): Nested<ScalarOf<D>> {
  let next = 0;
  const build = (axis: number): Nested<ScalarOf<D>> => {
    if (axis === shape.length) return elementAt(dtype, elements, next++);
    return Array.from({ length: shape[axis] }, () => build(axis + 1));
  };
  return build(0);
}
