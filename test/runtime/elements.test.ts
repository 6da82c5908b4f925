import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from '../../base/half.ts';
import { encodeElements } from '../../runtime/elements.ts';

/** The nearest of two neighbouring encodings, ties to the even one; the definition, by search. */
function nearest(value: number, decode: (bits: number) => number, infinity: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  let [low, high] = [0, infinity];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (decode(middle) <= magnitude) low = middle;
    else high = middle;
  }
  // Infinity stands where the next finite value would be.
  const above = high === infinity ? 2 * decode(low) - decode(low - 1) : decode(high);
  const [down, up] = [magnitude - decode(low), above - magnitude];
  return sign | (down < up || (down === up && low % 2 === 0) ? low : high);
}

describe.each([
  ['float16', encodeFloat16, decodeFloat16, 0x7c00],
  ['bfloat16', encodeBfloat16, decodeBfloat16, 0x7f80],
] as const)('%s', (_, encode, decode, infinity) => {
  it('decodes and encodes every value to itself', () => {
    const all = Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => !Number.isNaN(decode(bits)));
    expect(all.filter((bits) => encode(decode(bits)) !== bits)).toEqual([]);
    expect(decode(encode(Number.NaN))).toBeNaN();
  });

  it('rounds to nearest, ties to even, from double precision', () => {
    const interesting = fc.oneof(
      fc.double({ noNaN: true }),
      fc.tuple(fc.nat(infinity - 1), fc.constantFrom(0, 2 ** -40, -(2 ** -40))).map(([bits, nudge]) => {
        // Halves between neighbours, exactly and nearly.
        const half = (decode(bits) + decode(Math.min(bits + 1, infinity - 1))) / 2;
        return half * (1 + nudge);
      }),
    );
    fc.assert(
      fc.property(interesting, (value) => {
        expect(encode(value)).toBe(nearest(value, decode, infinity));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('encodeElements', () => {
  it('converts as typed arrays do, and to 0 and 1 for bool', () => {
    expect([...encodeElements('bool', [0, -0, 2, true, false, Number.NaN])]).toEqual([0, 0, 1, 1, 0, 1]);
    expect([...encodeElements('uint8', [256, -1, 3.9])]).toEqual([0, 255, 3]);
    expect([...new BigInt64Array(encodeElements('int64', [1n, 2.9, true]).buffer)]).toEqual([1n, 2n, 1n]);
    expect([...new Float32Array(encodeElements('float32', [0.1, -0]).buffer)]).toEqual([Math.fround(0.1), -0]);
  });

  it.each([
    ['int32', Float64Array.of(2 ** 32 + 5, -1.7, Number.NaN, Number.POSITIVE_INFINITY)],
    ['uint8', Int16Array.of(-1, 300)],
    ['float32', Float64Array.of(0.1, -0, 1e300)],
    ['float32', Float32Array.of(0.1, -0, 3)],
    ['int32', BigInt64Array.of(3n, -4n)],
  ] as const)('typed arrays become %s as the numbers in them do: %s', (dtype, view) => {
    expect(encodeElements(dtype, view)).toEqual(encodeElements(dtype, Array.from<number | bigint>(view)));
  });
});
