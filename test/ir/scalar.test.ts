/** Elementwise meaning, number by number: corner cases of every dtype against stated values. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../base/dtype.ts';
import type { CompareDirection } from '../../ir/opcodes.ts';
import { erf } from '../../ir/ops/erf.ts';
import { bitcastFunction, compareFunction, convertFunction, scalarFunction, wrapInteger } from '../../ir/ops/scalar.ts';
import { runs } from '../support/runs.ts';

type PlainOpcode = Parameters<typeof scalarFunction>[0];
const inf = Infinity;
const nan = Number.NaN;
const [least, most, all] = [-2147483648, 2147483647, 4294967295];

describe('arithmetic', () => {
  test.each<[PlainOpcode, DType, readonly number[], number]>([
    ['add', 'int32', [most, 1], least],
    ['add', 'uint32', [all, 2], 1],
    ['subtract', 'uint32', [0, 1], all],
    ['multiply', 'int32', [65537, 65537], 131073],
    ['multiply', 'uint32', [all, all], 1],
    ['multiply', 'uint32', [3000000000, 2], 1705032704],
    ['negate', 'int32', [least], least],
    ['negate', 'int32', [0], 0],
    ['negate', 'uint32', [1], all],
    ['negate', 'float32', [0], -0],
    ['abs', 'int32', [least], least],
    ['abs', 'uint32', [all], all],
    ['abs', 'float32', [-0], 0],
    ['sign', 'float32', [-0], -0],
    ['sign', 'float32', [nan], nan],
    ['sign', 'float32', [-inf], -1],
    ['sign', 'uint32', [all], 1],
    ['sign', 'int32', [-7], -1],
    ['divide', 'int32', [17, 3], 5],
    ['divide', 'int32', [-17, 3], -5],
    ['divide', 'int32', [17, -3], -5],
    ['divide', 'int32', [-1, 3], 0],
    ['divide', 'int32', [7, 0], -1],
    ['divide', 'int32', [0, 0], -1],
    ['divide', 'int32', [least, -1], least],
    ['divide', 'uint32', [7, 0], all],
    ['divide', 'uint32', [all, 2], most],
    ['divide', 'float32', [1, 0], inf],
    ['divide', 'float32', [1, -0], -inf],
    ['divide', 'float32', [0, 0], nan],
    ['remainder', 'int32', [17, 3], 2],
    ['remainder', 'int32', [-17, 3], -2],
    ['remainder', 'int32', [17, -3], 2],
    ['remainder', 'int32', [-17, -3], -2],
    ['remainder', 'int32', [-6, 3], 0],
    ['remainder', 'int32', [7, 0], 7],
    ['remainder', 'int32', [least, -1], 0],
    ['remainder', 'uint32', [all, 0], all],
    ['remainder', 'float32', [5.5, -2], 1.5],
    ['remainder', 'float32', [-5.5, 2], -1.5],
    ['remainder', 'float32', [-4, 2], -0],
    ['remainder', 'float32', [3, inf], 3],
    ['remainder', 'float32', [inf, 3], nan],
    ['remainder', 'float32', [3, 0], nan],
    ['maximum', 'float32', [nan, 1], nan],
    ['maximum', 'float32', [1, nan], nan],
    ['maximum', 'float32', [-0, 0], 0],
    ['minimum', 'float32', [0, -0], -0],
    ['minimum', 'float32', [nan, -inf], nan],
    ['maximum', 'uint32', [all, 1], all],
    ['minimum', 'int32', [least, 1], least],
    ['atan2', 'float32', [0, -1], Math.PI],
    ['atan2', 'float32', [-0, -1], -Math.PI],
    ['atan2', 'float32', [1, 0], Math.PI / 2],
    ['rsqrt', 'float32', [4], 0.5],
    ['rsqrt', 'float32', [0], inf],
    ['rsqrt', 'float32', [-0], -inf],
    ['sqrt', 'float32', [-0], -0],
    ['sqrt', 'float32', [-1], nan],
    ['log', 'float32', [0], -inf],
    ['log', 'float32', [-1], nan],
    ['log_plus_one', 'float32', [1e-20], 1e-20],
    ['log_plus_one', 'float32', [-1], -inf],
    ['exponential_minus_one', 'float32', [1e-20], 1e-20],
    ['exponential', 'float32', [-inf], 0],
    ['tanh', 'float32', [inf], 1],
    ['tanh', 'float32', [-0], -0],
    ['sine', 'float32', [inf], nan],
    ['cosine', 'float32', [0], 1],
    ['is_finite', 'float32', [nan], 0],
    ['is_finite', 'float32', [-inf], 0],
    ['is_finite', 'float32', [-0], 1],
    ['select', 'float32', [1, -0, 5], -0],
    ['select', 'float32', [0, 1, nan], nan],
  ])('%s of %s: %j', (opcode, dtype, operands, expected) => {
    const [a, b = 0, c = 0] = operands;
    expect(scalarFunction(opcode, dtype)(a, b, c)).toBe(expected);
  });

  test.each([
    [-2.5, -2],
    [-1.5, -2],
    [-0.5, -0],
    [-0.4, -0],
    [0.4, 0],
    [0.5, 0],
    [0.6, 1],
    [1.5, 2],
    [2.5, 2],
    [0.49999999999999994, 0],
    [2251799813685247.5, 2251799813685248],
    [-0, -0],
    [inf, inf],
    [nan, nan],
    [2 ** 60, 2 ** 60],
  ])('round_nearest_even of %d is %d', (x, expected) => {
    expect(scalarFunction('round_nearest_even', 'float32')(x, 0, 0)).toBe(expected);
  });
});

describe('power', () => {
  test.each([
    [nan, 0, 1],
    [nan, -0, 1],
    [inf, 0, 1],
    [1, nan, 1],
    [1, inf, 1],
    [-1, inf, 1],
    [-1, -inf, 1],
    [2, inf, inf],
    [0.5, inf, 0],
    [0.5, -inf, inf],
    [-8, 1 / 3, nan],
    [-2, 3, -8],
    [-0, 3, -0],
    [-0, -3, -inf],
    [-0, 2, 0],
    [0, -1, inf],
    [-inf, -3, -0],
    [nan, 1, nan],
  ])('float %d ^ %d is %d', (base, exponent, expected) => {
    expect(scalarFunction('power', 'float32')(base, exponent, 0)).toBe(expected);
  });

  test.each<[DType, number, number, number]>([
    ['int32', -3, 3, -27],
    ['int32', 0, 0, 1],
    ['int32', 2, 31, least],
    ['int32', 2, 32, 0],
    ['int32', 3, 40, 689956897],
    ['int32', 5, -1, 0],
    ['int32', 1, -5, 1],
    ['int32', -1, -5, -1],
    ['int32', -1, -4, 1],
    ['int32', 0, -1, 0],
    ['uint32', 3, 21, 1870418611],
    ['uint32', all, all, all],
  ])('%s %d ^ %d is %d', (dtype, base, exponent, expected) => {
    expect(scalarFunction('power', dtype)(base, exponent, 0)).toBe(expected);
  });

  test('integer powers are those of BigInt modulo 2^32', () => {
    const [signed, unsigned] = [scalarFunction('power', 'int32'), scalarFunction('power', 'uint32')];
    fc.assert(
      fc.property(fc.integer(), fc.nat(200), (base, exponent) => {
        const exact = BigInt(base) ** BigInt(exponent);
        expect(signed(base, exponent, 0)).toBe(Number(BigInt.asIntN(32, exact)));
        expect(unsigned(base >>> 0, exponent, 0)).toBe(Number(BigInt.asUintN(32, exact)));
      }),
      runs(300),
    );
  });
});

describe('bits', () => {
  test.each<[PlainOpcode, DType, number, number, number]>([
    ['shift_left', 'int32', 1, 31, least],
    ['shift_left', 'int32', 1, 32, 0],
    ['shift_left', 'int32', 1, -1, 0],
    ['shift_left', 'uint32', 1, 31, 2147483648],
    ['shift_left', 'uint32', 1, all, 0],
    ['shift_right_arithmetic', 'int32', -1, 1, -1],
    ['shift_right_arithmetic', 'int32', -8, 40, -1],
    ['shift_right_arithmetic', 'int32', 8, -1, 0],
    ['shift_right_arithmetic', 'uint32', 2147483648, 1, 3221225472],
    ['shift_right_arithmetic', 'uint32', 2147483648, 99, all],
    ['shift_right_logical', 'int32', -1, 1, most],
    ['shift_right_logical', 'int32', -1, 0, -1],
    ['shift_right_logical', 'int32', -1, 32, 0],
    ['shift_right_logical', 'uint32', all, 31, 1],
    ['and', 'int32', -1, 12, 12],
    ['or', 'uint32', 2147483648, 1, 2147483649],
    ['xor', 'uint32', all, 1, 4294967294],
    ['xor', 'bool', 1, 1, 0],
    ['or', 'bool', 1, 0, 1],
    ['and', 'bool', 1, 0, 0],
    ['not', 'int32', 0, 0, -1],
    ['not', 'uint32', 0, 0, all],
    ['not', 'bool', 1, 0, 0],
  ])('%s %s %d %d is %d', (opcode, dtype, a, b, expected) => {
    expect(scalarFunction(opcode, dtype)(a, b, 0)).toBe(expected);
  });

  test.each<[DType, DType, number, number]>([
    ['float32', 'uint32', 1, 0x3f800000],
    ['float32', 'int32', -0, least],
    ['float32', 'uint32', nan, 0x7fc00000],
    ['float32', 'uint32', 0.1, 0x3dcccccd],
    ['uint32', 'float32', 0x7f800000, inf],
    ['int32', 'uint32', -1, all],
    ['uint32', 'int32', all, -1],
    ['int32', 'float32', 1, 1.401298464324817e-45],
    ['float32', 'float32', 0.1, 0.1],
  ])('bitcast %s to %s of %d is %d', (from, to, value, expected) => {
    expect(bitcastFunction(from, to)(value, 0, 0)).toBe(expected);
  });
});

describe('convert', () => {
  test.each<[DType, DType, number, number]>([
    ['float32', 'int32', 1.9, 1],
    ['float32', 'int32', -1.9, -1],
    ['float32', 'int32', -0.5, 0],
    ['float32', 'int32', 3e9, most],
    ['float32', 'int32', -inf, least],
    ['float32', 'int32', nan, 0],
    ['float32', 'uint32', -1, 0],
    ['float32', 'uint32', 3e9, 3000000000],
    ['float32', 'uint32', inf, all],
    ['float32', 'bool', nan, 1],
    ['float32', 'bool', -0, 0],
    ['float32', 'bool', 0.1, 1],
    ['int32', 'uint32', -1, all],
    ['uint32', 'int32', all, -1],
    ['int32', 'float32', -7, -7],
    ['bool', 'float32', 1, 1],
    ['uint32', 'bool', 256, 1],
    ['int32', 'uint8', -1, 255],
    ['int32', 'int8', 200, -56],
    ['float32', 'int8', 200, 127],
  ])('%s to %s of %d is %d', (from, to, value, expected) => {
    expect(convertFunction(from, to)(value, 0, 0)).toBe(expected);
  });

  test('wrapping is modulo the width', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), (value) => {
        for (const [dtype, bits] of [
          ['int8', 8],
          ['int16', 16],
          ['int32', 32],
        ] as const) {
          expect(wrapInteger(dtype, value)).toBe(Number(BigInt.asIntN(bits, BigInt(value))));
        }
        for (const [dtype, bits] of [
          ['uint8', 8],
          ['uint16', 16],
          ['uint32', 32],
        ] as const) {
          expect(wrapInteger(dtype, value)).toBe(Number(BigInt.asUintN(bits, BigInt(value))));
        }
      }),
      runs(200),
    );
  });
});

test('comparisons follow IEEE 754', () => {
  const truth = (a: number, b: number): string =>
    (['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'] satisfies CompareDirection[])
      .filter((direction) => compareFunction(direction)(a, b, 0) === 1)
      .join(' ');
  expect(truth(1, 2)).toBe('NE LT LE');
  expect(truth(2, 1)).toBe('NE GT GE');
  expect(truth(0, -0)).toBe('EQ LE GE');
  expect(truth(nan, nan)).toBe('NE');
  expect(truth(nan, inf)).toBe('NE');
  expect(truth(inf, inf)).toBe('EQ LE GE');
});

describe('erf', () => {
  // From Abramowitz and Stegun, table 7.1, and the Digital Library of Mathematical Functions.
  test.each([
    [0.02, 0.02256457469184494],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [2.5, 0.999593047982555],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [1e-30, 1.128379167095513e-30],
  ])('of %d', (x, expected) => {
    expect(Math.abs(erf(x) / expected - 1)).toBeLessThan(6e-16);
    expect(erf(-x)).toBe(-erf(x));
  });

  test('keeps NaN and -0, saturates, and grows', () => {
    expect(erf(nan)).toBe(nan);
    expect(erf(-0)).toBe(-0);
    expect(erf(inf)).toBe(1);
    expect(erf(-40)).toBe(-1);
    for (let x = -6.5; x < 6.5; x += 0.013) expect(erf(x + 0.013)).toBeGreaterThanOrEqual(erf(x));
  });

  test('its derivative is the Gaussian', () => {
    for (let x = -5; x <= 5; x += 0.37) {
      const h = 1e-4;
      const slope = (8 * (erf(x + h) - erf(x - h)) - (erf(x + 2 * h) - erf(x - 2 * h))) / (12 * h);
      expect(slope).toBeCloseTo((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x), 10);
    }
  });
});
