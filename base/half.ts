/**
 * Floats of 16 bits: float16 (IEEE 754 binary16) and bfloat16 (the upper half of a float32), between bits and numbers.
 *
 *     encodeFloat16(1)                       // 0x3c00
 *     roundFloat('bfloat16', 1 / 3)          // 0.333984375
 */
import type { DType } from './dtype.ts';

/** A float16's bits as a number. */
export function decodeFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bits of the nearest float16, ties to even, straight from double precision. */
export function encodeFloat16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundTiesToEven(magnitude * 2 ** 24);
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent -= 1;
  else if (2 ** (exponent + 1) <= magnitude) exponent += 1;
  // A fraction that rounds up to 1024 carries into the exponent, which is the right result.
  return sign | (((exponent + 15) << 10) + roundTiesToEven((magnitude / 2 ** exponent - 1) * 1024));
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * The bits of the nearest bfloat16, ties to even, straight from double precision: the float32 in between is rounded
 * to odd, so that rounding twice is rounding once.
 */
export function encodeBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  const word = new DataView(new ArrayBuffer(4));
  word.setFloat32(0, value);
  let bits = word.getUint32(0);
  const rounded = word.getFloat32(0);
  if (rounded !== value && Number.isFinite(rounded)) {
    if (Math.abs(rounded) > Math.abs(value)) bits -= 1;
    bits |= 1;
  }
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

/** A bfloat16's bits as a number. */
export function decodeBfloat16(bits: number): number {
  wordBits[0] = bits << 16;
  return word[0];
}

/** The nearest number that a float dtype holds, ties to even. */
export function roundFloat(dtype: DType, value: number): number {
  if (dtype === 'float32') return Math.fround(value);
  if (dtype === 'float16') return decodeFloat16(encodeFloat16(value));
  return dtype === 'bfloat16' ? decodeBfloat16(encodeBfloat16(value)) : value;
}
