/**
 * Scalar ops in WGSL that are exact: integers, bools, bits of floats, conversions, comparisons, constants, and how
 * reductions combine. All dtypes, on one value and on four, in both precisions, against `ir/ops`.
 */
import { describe, expect, it } from 'vitest';
import { byteSize, computedDTypes, type DType, isFloat, isHalf, isInteger } from '../../../base/dtype.ts';
import { codeOf, mapModule, mapWgsl, type ScalarCode, type Way } from '../../../bench/wgsl-map.ts';
import { combineText, constantText, identityText, winsText } from '../../../codegen/wgsl/math/index.ts';
import type { CompareDirection } from '../../../ir/opcodes.ts';
import { type CombineKind, combineFunction, identityOf } from '../../../ir/ops/combine.ts';
import { bitcastFunction, compareFunction, convertFunction, scalarFunction } from '../../../ir/ops/scalar.ts';
import { rawDevice } from '../../support/webgpu-device.ts';
import { edgesOf, fromBits, isCloseTo, sampleColumns, toBits } from '../../support/wgsl-samples.ts';

type Reference = (...operands: number[]) => number;

const ways = (['fast', 'strict'] as const).flatMap((precision) =>
  ([1, 4] as const).map((lanes): Way => ({ precision, lanes })),
);
const integers = computedDTypes.filter(isInteger);
const numbers = [...integers, 'float32'] as const;
const bits = [...integers, 'bool'] as const;
const all = [...numbers, 'bool'] as const;
const ofAll = computedDTypes;

/** Results that differ from those of the reference, in words; subnormal floats may be zero. */
async function faults(code: ScalarCode, f: Reference, columns: readonly (readonly number[])[]): Promise<string[]> {
  const found: string[] = [];
  const words = columns.map((column, at) => Uint32Array.from(column, (x) => toBits(code.operands[at], x)));
  // Most code is the same in both precisions.
  const distinct = ways.filter(
    (way, at) => ways.findIndex((one) => mapModule(code, one) === mapModule(code, way)) === at,
  );
  for (const way of distinct) {
    const results = await mapWgsl(await rawDevice(), code, way, words);
    results.forEach((word, i) => {
      const operands = columns.map((column) => column[i]);
      const given = fromBits(code.result, word);
      const isRight = isFloat(code.result)
        ? isCloseTo(
            given,
            (...x) => Math.fround(f(...x)),
            operands,
            () => 0,
          )
        : isCloseTo(given, f, operands, () => 0);
      if (isRight) return;
      found.push(`${way.precision}, ${way.lanes}: f(${operands.join(', ')}) = ${given}, not ${f(...operands)}`);
    });
  }
  return found.slice(0, 10);
}

async function expectExact(code: ScalarCode, f: Reference): Promise<void> {
  expect(await faults(code, f, sampleColumns(code.operands, 2048))).toEqual([]);
}

const rows = <K extends string>(opcodes: readonly K[], dtypes: readonly DType[]): (readonly [K, DType])[] =>
  opcodes.flatMap((opcode) => dtypes.map((dtype) => [opcode, dtype] as const));

describe('one operand', () => {
  it.each([
    ...rows(['abs', 'negate', 'sign'], numbers),
    ...rows(['not'], bits),
    ...rows(['floor', 'ceil', 'round_nearest_even', 'round_float16', 'round_bfloat16'], ['float32']),
  ])('%s of %s', async (opcode, dtype) => {
    await expectExact(codeOf({ opcode, dtype, from: dtype }), scalarFunction(opcode, dtype) as Reference);
  });

  it('is_finite', async () => {
    const code = codeOf({ opcode: 'is_finite', dtype: 'bool', from: 'float32' });
    await expectExact(code, scalarFunction('is_finite', 'float32') as Reference);
  });
});

describe('two operands', () => {
  it.each([
    ...rows(['add', 'subtract', 'multiply', 'divide', 'remainder', 'power'], integers),
    ...rows(['maximum', 'minimum'], numbers),
    ...rows(['and', 'or', 'xor'], bits),
    ...rows(['shift_left', 'shift_right_arithmetic', 'shift_right_logical'], integers),
  ])('%s of %s', async (opcode, dtype) => {
    await expectExact(codeOf({ opcode, dtype, from: dtype }, 2), scalarFunction(opcode, dtype) as Reference);
  });

  const directions: readonly CompareDirection[] = ['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'];
  it.each(rows(directions, ofAll))('compare %s of %s', async (direction, from) => {
    const code = codeOf({ opcode: 'compare', dtype: 'bool', from, direction }, 2);
    await expectExact(code, compareFunction(direction) as Reference);
  });

  it.each(directions)('compare %s of a number with itself', async (direction) => {
    const { text, ...code } = codeOf({ opcode: 'compare', dtype: 'bool', from: 'float32', direction }, 1);
    const itself: ScalarCode = { ...code, text: (context, [x]) => text(context, [x, x]) };
    await expectExact(itself, (x) => compareFunction(direction)(x, x, 0));
  });
});

describe('select', () => {
  it.each(all)('%s', async (dtype) => {
    const code = codeOf({ opcode: 'select', dtype, from: 'bool' }, ['bool', dtype, dtype]);
    await expectExact(code, scalarFunction('select', dtype) as Reference);
  });
});

describe('conversions', () => {
  it.each(ofAll.flatMap((from) => ofAll.map((to) => [from, to] as const)))('%s to %s', async (from, to) => {
    await expectExact(codeOf({ opcode: 'convert', dtype: to, from }), convertFunction(from, to) as Reference);
  });

  const pairs = numbers.flatMap((from) => numbers.map((to) => [from, to] as const));
  it.each(pairs.filter(([from, to]) => byteSize(from) === byteSize(to)))('bits of %s as %s', async (from, to) => {
    const f = bitcastFunction(from, to) as Reference;
    const code = codeOf({ opcode: 'bitcast_convert', dtype: to, from });
    // The bits of a NaN are anyone's.
    const columns = [sampleColumns([from], 2048)[0].map((x) => (Number.isNaN(x) ? 1 : x))];
    expect(await faults(code, f, columns)).toEqual([]);
  });
});

describe('constants', () => {
  it.each(ofAll)('%s', async (dtype) => {
    const values = edgesOf(dtype).filter((value) => !isHalf(dtype) || Number.isFinite(value));
    // Which of many is a number that the code can not know.
    const code: ScalarCode = {
      operands: ['int32'],
      result: dtype,
      text: (context, [at]) =>
        values.reduceRight(
          (rest, value, i) => {
            const condition = `${at} == ${constantText(context, 'int32', i)}`;
            return `select(${rest}, ${constantText(context, dtype, value)}, ${condition})`;
          },
          constantText(context, dtype, 0),
        ),
    };
    const places = [...values.keys(), ...Array(3).fill(0)].slice(0, Math.ceil(values.length / 4) * 4);
    expect(await faults(code, (at) => values[at], [places])).toEqual([]);
  });
});

describe('reductions', () => {
  const kinds: readonly (readonly [CombineKind, DType])[] = [
    ...rows(['sum', 'product'] as const, integers),
    ...rows(['max', 'min'] as const, numbers),
    ...rows(['and', 'or'] as const, ['bool']),
  ];
  it.each(kinds)('%s of %s', async (kind, dtype) => {
    const code: ScalarCode = {
      operands: [dtype, dtype],
      result: dtype,
      text: (context, [x, y]) => combineText(context, kind, dtype, x, y),
    };
    await expectExact(code, combineFunction(kind, dtype));
    const identity: ScalarCode = {
      operands: ['int32'],
      result: dtype,
      text: (context) => identityText(context, kind, dtype),
    };
    await expectExact(identity, () => identityOf(kind, dtype));
  });

  it.each(rows(['argmax', 'argmin'] as const, numbers))('%s of %s', async (kind, dtype) => {
    const code: ScalarCode = {
      operands: [dtype, 'int32', dtype, 'int32'],
      result: 'bool',
      text: (context, [candidate, at, best, bestAt]) => winsText(context, kind, dtype, candidate, at, best, bestAt),
    };
    const beats = (x: number, y: number): boolean =>
      !Number.isNaN(y) && (Number.isNaN(x) || (kind === 'argmax' ? x > y : x < y));
    const wins: Reference = (x, at, y, bestAt) => Number(beats(x, y) || (!beats(y, x) && at < bestAt));
    await expectExact(code, wins);
  });
});
