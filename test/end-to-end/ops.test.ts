/**
 * Every op alone, through the whole compiler and on the device, against the op's reference evaluation: on the operands
 * that its sampler makes (empty, of one element, odd, with negative padding, with NaN, infinities, -0 and the ends of
 * the integer range). Results that involve no rounding, or the one of IEEE 754, must be the very bits; functions keep
 * the bounds of docs/accuracy.md, sums the bound of their rounding errors.
 */
import { describe, expect, test } from 'vitest';
import { ulpError } from '../../bench/math-reference.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { denseData, elementAt, elementCount } from '../../ir/literal.ts';
import type { OpAttributes, Opcode } from '../../ir/opcodes.ts';
import type { OpDefinition, OpSample } from '../../ir/ops/definition.ts';
import { definitions, opcodes } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import { printModule } from '../../ir/printer.ts';
import type { Literal, Module } from '../../ir/types.ts';
import { bitDifference, runModule } from '../support/device-run.ts';
import { isFullRun } from '../support/runs.ts';
import { accumulationFault, ulpBounds } from '../support/tolerance.ts';

const samples = isFullRun ? 400 : 12;
type AnySample = OpSample<Opcode>;

/** How an op combines many floats into one, if it does. */
function accumulation(opcode: Opcode, { operands, attributes }: AnySample): 'sum' | 'product' | undefined {
  if (!operands.some(({ dtype }) => dtype === 'float32')) return undefined;
  if (opcode === 'dot_general' || opcode === 'convolution') return 'sum';
  if (opcode !== 'reduce' && opcode !== 'reduce_window' && opcode !== 'scatter') return undefined;
  const { kind } = attributes as OpAttributes['reduce' | 'reduce_window' | 'scatter'];
  if (kind === 'sum' || kind === 'add') return 'sum';
  return kind === 'product' || kind === 'multiply' ? 'product' : undefined;
}

const mapped = (array: Literal, f: (x: number) => number): Literal =>
  array.dtype === 'float32' ? { ...array, data: Float64Array.from(denseData(array), f) } : array;

/**
 * Operands whose partial sums and products neither overflow nor underflow, in whatever order they are taken: without
 * huge numbers, and for products powers of two around 1.
 */
function moderate(operand: Literal, kind: 'sum' | 'product'): Literal {
  if (kind === 'sum') return mapped(operand, (x) => (Math.abs(x) > 1e30 && Number.isFinite(x) ? Math.sign(x) : x));
  const count = Math.max(1, elementCount(operand.shape));
  return mapped(operand, (x) =>
    Number.isFinite(x) && x !== 0 ? Math.fround(Math.sign(x) * Math.min(Math.abs(x), 2) ** (20 / count)) : x,
  );
}

function moduleOf(opcode: Opcode, { operands, attributes }: AnySample): Module {
  const builder = new GraphBuilder();
  const parameters = operands.map(({ dtype, shape }) => builder.parameter({ dtype, shape }));
  const results = builder.results(opcode, parameters, attributes);
  return { functions: [{ name: 'main', graph: builder.build(results) }], main: 'main' };
}

/** What is wrong with a function's results, in words. */
function functionFault(given: Literal, exact: Literal, bound: number): string | undefined {
  for (let i = 0; i < elementCount(exact.shape); i++) {
    const [a, b] = [elementAt(given, i), elementAt(exact, i)];
    const error = ulpError(a, b);
    if (error > bound) return `element ${i} is ${a} instead of ${b}: ${error} ULP, bound ${bound}`;
  }
  return undefined;
}

function faultOf(opcode: Opcode, sample: AnySample, module: Module, given: readonly Literal[]): string | undefined {
  const evaluate = (mode: 'double' | 'rounded', operands = sample.operands): Literal =>
    evaluateModule(module, operands, { mode })[0];
  const isFloat = given[0].dtype === 'float32';
  const kind = accumulation(opcode, sample);
  if (isFloat && kind) {
    const counts = evaluate(
      'double',
      sample.operands.map((operand) => mapped(operand, () => 1)),
    );
    const factors = kind === 'sum' ? counts : mapped(counts, () => elementCount(sample.operands[0].shape) + 8);
    const magnitudes = evaluate(
      'double',
      sample.operands.map((operand) => mapped(operand, Math.abs)),
    );
    return accumulationFault(given[0], evaluate('double'), factors, magnitudes);
  }
  const bound = isFloat && opcode in ulpBounds ? ulpBounds[opcode as keyof typeof ulpBounds] : 0;
  return bound > 0 ? functionFault(given[0], evaluate('double'), bound) : bitDifference(given, [evaluate('rounded')]);
}

describe.each(['fast', 'strict'] as const)('%s', (precision) => {
  test.each(opcodes.filter((opcode) => opcode !== 'call'))('%s', (opcode) => {
    const definition = definitions[opcode] as OpDefinition<Opcode>;
    for (let seed = 0; seed < samples; seed++) {
      const drawn = definition.sample?.(new Random(seed));
      if (!drawn) throw new Error(`${opcode} has no sampler`);
      const kind = accumulation(opcode, drawn);
      const sample = kind ? { ...drawn, operands: drawn.operands.map((operand) => moderate(operand, kind)) } : drawn;
      const module = moduleOf(opcode, sample);
      const given = runModule(module, sample.operands, { precision });
      const fault = faultOf(opcode, sample, module, given);
      if (fault) {
        const values = sample.operands.map(({ data }) => `[${Array.from(data)}]`).join('\n');
        expect.fail(`seed ${seed}: ${fault}\n${printModule(module)}\n${values}`);
      }
    }
  });
});
