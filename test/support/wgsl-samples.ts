/**
 * Operands for tests of scalar code on WebGPU, and what a result may be: the edges of each dtype in every combination
 * with others, and seeded numbers and bits.
 *
 *     const columns = sampleColumns(['int8', 'int8'], 4096);
 *     fromBits('int8', toBits('int8', -3))      // -3
 */

import { type DType, integerRange, isFloat, isSigned } from '../../base/dtype.ts';
import { flushingUlpError } from '../../bench/math-reference.ts';
import { Random } from '../../ir/ops/random.ts';

const word = new DataView(new ArrayBuffer(4));

/** The 32-bit word that a number of a dtype is computed as. */
export function toBits(dtype: DType, value: number): number {
  if (!isFloat(dtype)) return value >>> 0;
  word.setFloat32(0, value);
  return word.getUint32(0);
}

export function fromBits(dtype: DType, bits: number): number {
  if (dtype === 'bool' || (!isFloat(dtype) && !isSigned(dtype))) return bits;
  word.setUint32(0, bits);
  return isFloat(dtype) ? word.getFloat32(0) : word.getInt32(0);
}

const smallestNormal = 2 ** -126;
const largest = (2 - 2 ** -23) * 2 ** 127;

/** Ends of ranges, neighbours of 1 and of powers of two, ties, what overflows and what is special. */
const floatEdges: readonly number[] = [
  ...[0, 2 ** -149, smallestNormal, 2 ** -25, 3 * 2 ** -25, 2 ** -24, 2 ** -14, 1e-4, 0.25, 0.5, 1 - 2 ** -24, 1],
  ...[1 + 2 ** -23, 1.5, 2, 2.5, 3, Math.PI / 2, 7, 16.5, 88.72283172607422, 88.72283935546875, 87.33654022216797, 104],
  ...[127.5, 128, 255.5, 8191.9, 8192.1, 32767.5, 65504, 65519.9, 65520, 2 ** 22 + 0.5, 2 ** 23 + 1, 2 ** 24 - 1],
  ...[2147483520, 2 ** 31, 4294967040, 2 ** 32, 1e10, 1e30, largest, Infinity],
].flatMap((x) => [Math.fround(x), -Math.fround(x)]);

const integerEdges = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 255, 256];

/** The numbers of a dtype that are worth every combination. */
export function edgesOf(dtype: DType): readonly number[] {
  if (dtype === 'bool') return [0, 1];
  if (isFloat(dtype)) return [...floatEdges, Number.NaN];
  const [least, greatest] = integerRange(dtype);
  const near = integerEdges.flatMap((x) => [x, -x, least + x, greatest - x]);
  return [...new Set(near.map((x) => x + 0))].filter((x) => x >= least && x <= greatest);
}

function draw(dtype: DType, random: Random): number {
  if (dtype === 'bool') return random.integer(0, 1);
  const kind = random.integer(0, 2);
  if (isFloat(dtype)) {
    if (kind === 0) return random.pick(edgesOf(dtype));
    if (kind === 1) return fromBits('float32', random.integer(0, 2 ** 32 - 1));
    return Math.fround((random.next() - 0.5) * 2 ** random.integer(-4, 33));
  }
  const [least, greatest] = integerRange(dtype);
  if (kind === 0) return random.pick(edgesOf(dtype));
  return kind === 1 ? random.integer(least, greatest) : random.integer(Math.max(least, -40), Math.min(greatest, 40));
}

/**
 * Columns of operands: for one or two operands all combinations of edges, and seeded rows.
 * @param count how many seeded rows; all rows together are a multiple of 4
 */
export function sampleColumns(dtypes: readonly DType[], count: number): number[][] {
  const random = new Random(20240607);
  const [first, second] = dtypes.map(edgesOf);
  const rows: number[][] = [];
  if (dtypes.length === 1) rows.push(...first.map((x) => [x]));
  if (dtypes.length === 2) rows.push(...first.flatMap((x) => second.map((y) => [x, y])));
  for (let i = 0; i < count || rows.length % 4 !== 0; i++) rows.push(dtypes.map((dtype) => draw(dtype, random)));
  return dtypes.map((_, at) => rows.map((row) => row[at]));
}

/** Whether a float32 is within a bound, in ULP, of what a function gives for operands in double precision. */
export function isCloseTo(
  given: number,
  f: (...operands: number[]) => number,
  operands: readonly number[],
  boundAt: (exact: number) => number,
): boolean {
  return flushingUlpError(given, f, operands) <= boundAt(f(...operands));
}
