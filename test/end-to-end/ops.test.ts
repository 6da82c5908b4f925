/**
 * Every op alone, through the whole compiler and on the device, against the op's reference evaluation: on the operands
 * that its sampler makes (empty, of one element, odd, with negative padding, with NaN, infinities, -0 and the ends of
 * the integer range). Results that involve no rounding, or the one of IEEE 754, must be the very bits; functions keep
 * the bounds of docs/accuracy.md, sums the bound of their rounding errors. On WebGPU the accuracy of WGSL bounds each op
 * (`wgslFault`).
 */
import { describe, expect, test } from 'vitest';
import { isHalf } from '../../base/dtype.ts';
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
import type { Precision } from '../../tracer/settings.ts';
import { bitDifference, runModule } from '../support/device-run.ts';
import { caseCount, isFullRun } from '../support/runs.ts';
import { isOnWebgpu } from '../support/target.ts';
import { accumulationFault, fastUlpBounds, halfSpacing, wgslFault } from '../support/tolerance.ts';

const samples = caseCount(12, 400);
type AnySample = OpSample<Opcode>;

/** How an op combines many floats into one, if it does. */
function accumulation(opcode: Opcode, { operands, attributes }: AnySample): 'sum' | 'product' | undefined {
  if (!operands.some(({ dtype }) => dtype === 'float32')) return undefined;
  if (opcode === 'dot_general' || opcode === 'convolution') return 'sum';
  const kinded = ['reduce', 'reduce_window', 'cumulative', 'scatter'];
  if (!kinded.includes(opcode)) return undefined;
  const { kind } = attributes as OpAttributes['reduce' | 'reduce_window' | 'cumulative' | 'scatter'];
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

/** Ops that compute a float32 of many floats of 16 bits, or by a function that is not exact, before they round. */
const combinesHalves = (opcode: Opcode): boolean =>
  ['dot_general', 'convolution', 'reduce', 'reduce_window', 'scatter', 'cumulative'].includes(opcode);

/** What is wrong with floats of 16 bits that were rounded from a float32 near the exact number. */
function halfFault(given: Literal, expected: Literal): string | undefined {
  for (let i = 0; i < elementCount(expected.shape); i++) {
    const [a, b] = [elementAt(given, i), elementAt(expected, i)];
    const bound = halfSpacing[given.dtype as 'float16'] * Math.abs(b) + 2 ** -24;
    if (!Object.is(a, b) && !(Math.abs(a - b) <= bound)) return `element ${i} is ${a} instead of ${b}`;
  }
  return undefined;
}

function faultOf(opcode: Opcode, sample: AnySample, module: Module, given: readonly Literal[]): string | undefined {
  const evaluate = (mode: 'double' | 'rounded', operands = sample.operands): Literal =>
    evaluateModule(module, operands, { mode })[0];
  const { dtype } = given[0];
  if (isHalf(dtype) && (opcode in fastUlpBounds || combinesHalves(opcode)))
    return halfFault(given[0], evaluate('rounded'));
  const isFloat = dtype === 'float32';
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
  if (isFloat && isOnWebgpu) return wgslFault(opcode, given[0], evaluate('double'), evaluate('rounded'));
  const bound = isFloat && opcode in fastUlpBounds ? fastUlpBounds[opcode as keyof typeof fastUlpBounds] : 0;
  return bound > 0 ? functionFault(given[0], evaluate('double'), bound) : bitDifference(given, [evaluate('rounded')]);
}

/** WGSL lets an implementation take subnormal operands for zero. */
const withoutSubnormals = (operand: Literal): Literal =>
  isOnWebgpu ? mapped(operand, (x) => (Math.abs(x) < 2 ** -126 ? Math.sign(x) * 0 : x)) : operand;

/** Throws unless an op on these operands gives what it must. */
async function check(opcode: Opcode, drawn: AnySample, precision: Precision, context: string): Promise<void> {
  const sample = { ...drawn, operands: drawn.operands.map(withoutSubnormals) };
  const module = moduleOf(opcode, sample);
  const given = await runModule(module, sample.operands, { precision });
  const fault = faultOf(opcode, sample, module, given);
  if (fault === undefined) return;
  const values = sample.operands.map(({ data }) => `[${Array.from(data).slice(0, 200)}]`).join('\n');
  expect.fail(`${context}: ${fault}\n${printModule(module)}\n${values}`);
}

describe.each(['fast', 'strict'] as const)('%s', (precision) => {
  test.each(opcodes.filter((opcode) => opcode !== 'call'))('%s', async (opcode) => {
    const definition = definitions[opcode] as OpDefinition<Opcode>;
    for (let seed = 0; seed < samples; seed++) {
      const drawn = definition.sample?.(new Random(seed));
      if (!drawn) throw new Error(`${opcode} has no sampler`);
      const kind = accumulation(opcode, drawn);
      const sample = kind ? { ...drawn, operands: drawn.operands.map((operand) => moderate(operand, kind)) } : drawn;
      await check(opcode, sample, precision, `seed ${seed}`);
    }
  });
});

/**
 * Sizes around the widths that kernels work in (4 lanes, 8 lanes, unrolled vectors, tiles, blocks of sums), where a
 * tail may be forgotten or done twice.
 */
describe.each(['fast', 'strict'] as const)('%s: long and odd sizes', (precision) => {
  const some = isOnWebgpu ? [17, 1025] : [7, 17, 65, 257, 1025];
  const lengths = isFullRun ? [...some, 4, 8, 9, 15, 16, 31, 33, 63, 127, 129, 255, 1023, 2049, 4099] : some;
  const random = new Random(1, { special: false });
  const floats = (...shape: number[]): Literal => random.literal('float32', shape);

  test.each(['add', 'multiply', 'divide', 'maximum', 'power'] as const)('%s', async (opcode) => {
    for (const n of lengths)
      await check(opcode, { operands: [floats(n), floats(n)], attributes: {} }, precision, `${n}`);
  });

  test.each(['exponential', 'tanh', 'sqrt', 'is_finite'] as const)('%s', async (opcode) => {
    for (const n of lengths) await check(opcode, { operands: [floats(n)], attributes: {} }, precision, `${n}`);
  });

  test('convert', async () => {
    for (const n of lengths) {
      for (const dtype of ['bool', 'int32', 'uint32'] as const) {
        await check('convert', { operands: [floats(n)], attributes: { dtype } }, precision, `${n} to ${dtype}`);
        const operands = [random.literal(dtype, [n])];
        await check('convert', { operands, attributes: { dtype: 'float32' } }, precision, `${n} from ${dtype}`);
      }
    }
  });

  test.each(['sum', 'max', 'argmin'] as const)('reduce %s', async (kind) => {
    for (const n of lengths) {
      for (const [shape, axis] of [
        [[3, n], 1],
        [[n, 3], 0],
        [[2, n, 5], 1],
      ] as const) {
        await check(
          'reduce',
          { operands: [floats(...shape)], attributes: { kind, axes: [axis] } },
          precision,
          `${shape}`,
        );
      }
    }
    if (kind === 'argmin') return;
    for (const shape of [
      [37, 41],
      [9, 300, 7],
      [130, 11],
    ]) {
      const axes = shape.map((_, axis) => axis);
      await check('reduce', { operands: [floats(...shape)], attributes: { kind, axes } }, precision, `${shape}`);
      await check('reduce', { operands: [floats(...shape)], attributes: { kind, axes: [0] } }, precision, `${shape}`);
    }
  });

  test('dot_general', async () => {
    const none = [[], []] as const;
    const some = [
      [1, 513, 1],
      [33, 257, 1],
      [37, 259, 19],
    ];
    const more = [
      [1, 1, 1],
      [1, 257, 33],
      [5, 300, 17],
      [64, 64, 64],
      [65, 255, 67],
      [67, 3, 129],
      [31, 1025, 15],
    ];
    // Each shape is a pipeline of its own, which a software adapter takes long to make.
    for (const [m, k, n] of isFullRun ? [...some, ...more] : isOnWebgpu ? some.slice(2) : some) {
      const shapes = {
        plain: [floats(m, k), floats(k, n)],
        right: [floats(m, k), floats(n, k)],
        left: [floats(k, m), floats(k, n)],
        both: [floats(k, m), floats(n, k)],
      };
      const contracts = { plain: [[1], [0]], right: [[1], [1]], left: [[0], [0]], both: [[0], [1]] } as const;
      for (const [form, operands] of Object.entries(shapes)) {
        const contract = contracts[form as keyof typeof contracts];
        await check(
          'dot_general',
          { operands, attributes: { contract, batch: none } },
          precision,
          `${form} ${m},${k},${n}`,
        );
      }
      const batch = [[0], [0]] as const;
      const contract = [[2], [1]] as const;
      const operands = [floats(3, m, k), floats(3, k, n)];
      await check('dot_general', { operands, attributes: { contract, batch } }, precision, `batch ${m},${k},${n}`);
    }
  });

  test('convolution', async () => {
    for (const [channels, size, out, window, stride, low] of [
      [3, 17, 8, 3, 1, 1],
      [8, 12, 5, 5, 2, 2],
      [16, 9, 33, 1, 1, 0],
      [32, 7, 3, 3, 3, -1],
    ]) {
      const operands = [floats(2, channels, size, size), floats(out, channels, window, window)];
      const attributes = {
        strides: [stride, stride],
        padding: [
          [low, low],
          [low, low],
        ] as const,
        lhs_dilation: [1, 1],
        rhs_dilation: [1, 1],
        groups: 1,
      };
      await check('convolution', { operands, attributes }, precision, `${channels} channels of ${size}`);
    }
  });

  test.each(['transpose', 'concatenate', 'reverse'] as const)('%s', async (opcode) => {
    for (const n of [5, 17, 64, 129]) {
      const operands = opcode === 'concatenate' ? [floats(n, 33), floats(n, 7)] : [floats(n, 33)];
      const attributes = { permutation: [1, 0], axis: 1, axes: [1] };
      const own = Object.fromEntries(
        Object.keys(definitions[opcode].attributes).map((key) => [key, attributes[key as 'axis']]),
      );
      await check(opcode, { operands, attributes: own } as unknown as AnySample, precision, `${n}`);
    }
  });
});
