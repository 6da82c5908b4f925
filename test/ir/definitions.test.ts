/** What every definition promises: samples that satisfy it, results of the inferred type, traits that are true. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DType, integerRange, isFloat } from '../../base/dtype.ts';
import { attributeFault } from '../../ir/attributes.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { elementAt, elementCount, equalLiterals } from '../../ir/literal.ts';
import type { Opcode } from '../../ir/opcodes.ts';
import { type OpSample, opcodeOfLabel, type Traits } from '../../ir/ops/definition.ts';
import { definitions, isOpcode, opcodes, operandCounts, traitsOf } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Literal } from '../../ir/types.ts';
import { inferOp, moduleOf, runOp } from '../support/ir.ts';
import { runs } from '../support/runs.ts';

const sampled = opcodes.filter((opcode) => definitions[opcode].sample);

function forSamples(opcode: Opcode, property: (sample: OpSample<Opcode>) => void, count = 30): void {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const sample = definitions[opcode].sample?.(new Random(seed));
      if (!sample) throw new Error(`${opcode} has no sampler`);
      property(sample);
    }),
    runs(count),
  );
}

const inRange = (dtype: DType, value: number): boolean => {
  if (isFloat(dtype)) return typeof value === 'number';
  const [low, high] = integerRange(dtype);
  return Number.isInteger(value) && value >= low && value <= high && !Object.is(value, -0);
};

describe('definitions', () => {
  test('stand under their opcode, with texts', () => {
    for (const opcode of opcodes) {
      const { summary, source, constraints } = definitions[opcode];
      expect(definitions[opcode].opcode).toBe(opcode);
      expect(isOpcode(opcode)).toBe(true);
      expect(summary).toMatch(/\.$/);
      expect(source).toMatch(/^(StableHLO|CHLO|JAX) /);
      for (const label of Object.keys(constraints)) expect(opcodeOfLabel(label)).toBe(opcode);
    }
    expect(isOpcode('toString')).toBe(false);
    expect(opcodes.filter((opcode) => !sampled.includes(opcode))).toEqual(['call']);
  });

  test('operand counts', () => {
    expect(operandCounts('add')).toEqual([2, 2]);
    expect(operandCounts('concatenate')).toEqual([0, Infinity]);
    expect(operandCounts('dynamic_update_slice')).toEqual([2, Infinity]);
  });

  test.each(sampled)('%s: samples fit, results have the inferred type', (opcode) => {
    forSamples(opcode, ({ operands, attributes }) => {
      expect(attributeFault(opcode, attributes)).toBeUndefined();
      const module = moduleOf(opcode, operands, attributes);
      const [type] = inferOp(opcode, operands, attributes);
      for (const mode of ['double', 'rounded'] as const) {
        const [result] = evaluateModule(module, operands, { mode });
        expect(result.dtype).toBe(type.dtype);
        expect(result.shape).toEqual(type.shape);
        expect([1, elementCount(result.shape)]).toContain(result.data.length);
        for (let i = 0; i < result.data.length; i++) {
          const value = result.data[i];
          if (!inRange(result.dtype, value)) expect.fail(`${opcode}: ${value} as ${result.dtype}`);
          const exact = mode === 'double' || !isFloat(result.dtype) || Object.is(value, Math.fround(value));
          if (!exact) expect.fail(`${opcode}: ${value} is no float32`);
        }
      }
    });
  });

  test('samples of 200 seeds meet the corners: empty, one element, odd sizes, NaN, infinities, -0', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const { operands } = definitions.add.sample?.(new Random(seed)) ?? { operands: [] };
      const count = elementCount(operands[0].shape);
      seen.add(count === 0 ? 'empty' : count === 1 ? 'one' : count % 2 === 1 ? 'odd' : 'even');
      if (operands[0].shape.length === 0) seen.add('scalar');
      for (let i = 0; i < operands[0].data.length; i++)
        seen.add(String(Object.is(operands[0].data[i], -0) ? '-0' : operands[0].data[i]));
    }
    for (const corner of [
      'empty',
      'one',
      'odd',
      'even',
      'scalar',
      'NaN',
      'Infinity',
      '-Infinity',
      '-0',
      '-2147483648',
      '4294967295',
    ]) {
      expect(seen.has(corner), corner).toBe(true);
    }
  });
});

const withTrait = (trait: keyof Traits): Opcode[] => sampled.filter((opcode) => traitsOf(opcode)[trait]);
const apply = (opcode: Opcode, operands: readonly Literal[], attributes: OpSample<Opcode>['attributes']): Literal =>
  runOp(opcode, operands, attributes, 'rounded');

describe('traits are true', () => {
  test.each(withTrait('commutative'))('%s is commutative', (opcode) => {
    forSamples(opcode, ({ operands: [a, b], attributes }) => {
      expect(equalLiterals(apply(opcode, [a, b], attributes), apply(opcode, [b, a], attributes))).toBe(true);
    });
  });

  test.each(withTrait('associative'))('%s is associative where it says so', (opcode) => {
    forSamples(opcode, ({ operands: [a, b], attributes }) => {
      if (traitsOf(opcode).associative === 'integers' && isFloat(a.dtype)) return;
      const c = { ...a, data: Float64Array.from(a.data).reverse() };
      const left = apply(opcode, [apply(opcode, [a, b], attributes), c], attributes);
      const right = apply(opcode, [a, apply(opcode, [b, c], attributes)], attributes);
      expect(equalLiterals(left, right)).toBe(true);
    });
  });

  test.each(withTrait('idempotent'))('%s is idempotent', (opcode) => {
    forSamples(opcode, ({ operands, attributes }) => {
      if (operands.length === 2) {
        expect(equalLiterals(apply(opcode, [operands[0], operands[0]], attributes), operands[0])).toBe(true);
        return;
      }
      const once = apply(opcode, operands, attributes);
      expect(equalLiterals(apply(opcode, [once], attributes), once)).toBe(true);
    });
  });

  test.each(withTrait('involution'))('%s is its own inverse', (opcode) => {
    forSamples(opcode, ({ operands, attributes }) => {
      const twice = apply(opcode, [apply(opcode, operands, attributes)], attributes);
      expect(equalLiterals(twice, operands[0])).toBe(true);
    });
  });

  test.each(withTrait('elementwise'))('%s is elementwise', (opcode) => {
    forSamples(
      opcode,
      ({ operands, attributes }) => {
        const whole = apply(opcode, operands, attributes);
        for (let i = 0; i < Math.min(4, elementCount(whole.shape)); i++) {
          const single = operands.map((operand) => ({
            dtype: operand.dtype,
            shape: [],
            data: [elementAt(operand, i)],
          }));
          expect(apply(opcode, single, attributes).data[0]).toBe(elementAt(whole, i));
        }
      },
      15,
    );
  });

  test.each(withTrait('movesData'))('%s only moves elements', (opcode) => {
    forSamples(opcode, ({ operands, attributes }) => {
      const known = new Set<number>([0]);
      for (const { data } of operands) for (let i = 0; i < data.length; i++) known.add(data[i]);
      const { data } = apply(opcode, operands, attributes);
      for (let i = 0; i < data.length; i++) if (!known.has(data[i])) expect.fail(`${data[i]} from nowhere`);
      expect(known.size).toBeGreaterThan(0);
    });
  });
});
