import { describe, expect, it } from 'vitest';
import { type Dim, dim, mulDims } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { SourceLocation } from '../../base/location.ts';
import { GraphBuilder, scalar } from '../../ir/builder.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { denseData, literal } from '../../ir/literal.ts';
import type { OpAttributes, Opcode } from '../../ir/opcodes.ts';
import { definitions, opcodes, traitsOf } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Graph, Literal } from '../../ir/types.ts';
import { verifyModule } from '../../ir/verifier.ts';
import { vjpGraph, vjpRules } from '../../passes/grad/index.ts';
import { checkVjp, evaluate, floatsOf, randomFloats } from './grad-check.ts';

const isFull = process.env.KILN_TEST === 'full';
const samplesOfEach = isFull ? 150 : 20;

/** A graph of one op on parameters. */
function single<K extends Opcode>(opcode: K, operands: readonly Literal[], attributes: OpAttributes[K]): Graph {
  const builder = new GraphBuilder();
  const parameters = operands.map(({ dtype, shape }) => builder.parameter({ dtype, shape }));
  return builder.build(builder.results(opcode, parameters, attributes));
}

/** Where functions are real and not too steep. */
const domains: Partial<Record<Opcode, (x: number, operand: number) => number>> = {
  log: (x) => Math.abs(x) + 0.3,
  log_plus_one: (x) => Math.abs(x),
  sqrt: (x) => Math.abs(x) + 0.3,
  rsqrt: (x) => Math.abs(x) + 0.3,
  power: (x, operand) => (operand === 0 ? Math.abs(x) + 0.3 : x),
  divide: (x, operand) => (operand === 1 ? Math.sign(x) * (Math.abs(x) + 0.3) : x),
  remainder: (x, operand) => (operand === 1 ? Math.abs(x) + 0.7 : x),
};

/** Inputs of a sample with floats that never tie. */
function smoothInputs(opcode: Opcode, operands: readonly Literal[], random: Random): Literal[] {
  const domain = domains[opcode] ?? ((x: number) => x);
  return operands.map((operand, i) => {
    if (operand.dtype !== 'float32') return operand;
    const floats = randomFloats(random, operand.shape);
    return { ...floats, data: Float64Array.from(floats.data, (x) => domain(1.5 * x, i)) };
  });
}

const differentiable = opcodes.filter((opcode) => vjpRules[opcode] !== 'zero' && opcode !== 'call');
const isRefused = (opcode: Opcode, attributes: object): boolean =>
  (opcode === 'scatter' && !['add', 'assign'].includes((attributes as OpAttributes['scatter']).kind)) ||
  (opcode === 'reduce_window' && (attributes as OpAttributes['reduce_window']).kind === 'product');

describe('vjpRules', () => {
  it('has zero rules exactly for ops that block gradients or never give floats', () => {
    for (const opcode of opcodes) {
      const blocks = vjpRules[opcode] === 'zero';
      const neverFloat = ['not', 'and', 'or', 'xor', 'shift_left', 'constant'].includes(opcode);
      if (traitsOf(opcode).blocksGradient) expect(blocks, opcode).toBe(true);
      else if (blocks) expect(neverFloat || opcode.startsWith('shift_right'), opcode).toBe(true);
    }
  });

  it.each(differentiable)('%s agrees with finite differences, twice', (opcode) => {
    let checked = 0;
    for (let seed = 1; checked < samplesOfEach && seed < samplesOfEach * 60; seed++) {
      const random = new Random(seed, { special: false });
      const sample = definitions[opcode].sample?.(random);
      if (!sample || isRefused(opcode, sample.attributes)) continue;
      const graph = single(opcode, sample.operands, sample.attributes);
      if (floatsOf(graph.parameters).length === 0 || floatsOf(graph.results).length === 0) continue;
      const inputs = smoothInputs(opcode, sample.operands, random);
      // A windowed extremum is infinite where it sees only padding.
      if (evaluate(graph, inputs).some(({ data }) => Array.from(data).some((x) => !Number.isFinite(x)))) continue;
      try {
        const first = checkVjp(graph, inputs, random);
        const second = floatsOf(first.gradient.results).slice(floatsOf(graph.results).length);
        checkVjp(first.gradient, first.inputs, random, undefined, second);
      } catch (error) {
        throw new Error(`${opcode}, seed ${seed}, ${JSON.stringify(sample.attributes)}`, { cause: error });
      }
      checked++;
    }
    expect(checked).toBe(samplesOfEach);
  });
});

it('the comparison with finite differences fails where a gradient is wrong', () => {
  const b = new GraphBuilder();
  const x = b.parameter({ dtype: 'float32', shape: [3] });
  const graph = b.build([b.op('multiply', [x, b.op('stop_gradient', [x])])]);
  expect(() => checkVjp(graph, [floats([3], [0.5, 0.6, 0.7])], new Random(1))).toThrow('d/d parameter 0');
});

/** Gradients of the first result for all float parameters, with the cotangent 1. */
function gradients(graph: Graph, inputs: readonly Literal[]): number[][] {
  const wrt = floatsOf(graph.parameters);
  const gradient = vjpGraph(graph, { wrt, outputs: [0] });
  const { shape } = evaluate(graph, inputs)[0];
  const one: Literal = { dtype: 'float32', shape, data: [1] };
  const results = evaluate(gradient, [...inputs, one]);
  return results.slice(graph.results.length).map((result) => Array.from(denseData(result)));
}

const floats = (shape: readonly number[], data: readonly number[]): Literal => literal('float32', shape, data);

describe('kinks and ties, as in JAX', () => {
  const binary = (opcode: 'maximum' | 'minimum' | 'power', a: number[], b: number[]) =>
    gradients(single(opcode, [floats([a.length], a), floats([b.length], b)], {}), [
      floats([a.length], a),
      floats([b.length], b),
    ]);

  it('maximum and minimum split the cotangent at a tie and give nothing at NaN', () => {
    expect(binary('maximum', [1, 2, 3, NaN], [2, 2, 2, 1])).toEqual([
      [0, 0.5, 1, 0],
      [1, 0.5, 0, 0],
    ]);
    expect(binary('minimum', [1, 2, 3], [2, 2, 2])).toEqual([
      [1, 0.5, 0],
      [0, 0.5, 1],
    ]);
  });

  it('abs has slope 0 at 0', () => {
    const x = floats([3], [-2, 0, 2]);
    expect(gradients(single('abs', [x], {}), [x])).toEqual([[-1, 0, 1]]);
  });

  it('power is guarded at a zero base and a zero exponent', () => {
    const [base, exponent] = binary('power', [0, 0, 0, 2], [0, 1, 2, 3]);
    expect(base).toEqual([0, 1, 0, 12]);
    expect(exponent.slice(0, 3)).toEqual([0, 0, 0]);
    expect(exponent[3]).toBeCloseTo(8 * Math.log(2));
  });

  it('reduce max shares among equal elements', () => {
    const x = floats([2, 3], [5, 1, 5, 2, 2, 2]);
    expect(gradients(single('reduce', [x], { kind: 'max', axes: [1] }), [x])).toEqual([
      [0.5, 0, 0.5, 1 / 3, 1 / 3, 1 / 3],
    ]);
  });

  it('reduce max of NaN has gradient NaN', () => {
    const x = floats([2, 2], [1, NaN, 1, 2]);
    expect(gradients(single('reduce', [x], { kind: 'max', axes: [1] }), [x])).toEqual([[NaN, NaN, 0, 1]]);
  });

  it('no gradient flows through integers and positions', () => {
    const b = new GraphBuilder();
    const x = b.parameter({ dtype: 'float32', shape: [3] });
    const whole = b.op('convert', [b.op('convert', [x], { dtype: 'int32' })], { dtype: 'float32' });
    const place = b.op('convert', [b.op('reduce', [x], { kind: 'argmax', axes: [0] })], { dtype: 'float32' });
    const sum = b.op('reduce', [b.op('add', [whole, x])], { kind: 'sum', axes: [0] });
    expect(gradients(b.build([b.op('multiply', [sum, place])]), [floats([3], [1.5, 2.5, 0.5])])).toEqual([[1, 1, 1]]);
  });

  it('a windowed maximum gives all to the first of equal elements', () => {
    const x = floats([4], [3, 3, 3, 1]);
    const attributes = {
      kind: 'max',
      window: [2],
      strides: [1],
      padding: [[0, 0]],
      base_dilation: [1],
      window_dilation: [1],
    } as const;
    expect(gradients(single('reduce_window', [x], attributes), [x])).toEqual([[1, 1, 1, 0]]);
  });

  it('reduce product is right where elements are zero', () => {
    const x = floats([3, 3], [2, 3, 4, 0, 3, 4, 0, 0, 4]);
    expect(gradients(single('reduce', [x], { kind: 'product', axes: [1] }), [x])).toEqual([
      [12, 8, 6, 12, 0, 0, 0, 0, 0],
    ]);
  });

  it('second derivatives of a product see through zeros', () => {
    const x = floats([3], [0, 3, 4]);
    const graph = single('reduce', [x], { kind: 'product', axes: [0] });
    checkVjp(graph, [x], new Random(5));
    const first = vjpGraph(graph, { wrt: [0], outputs: [0] });
    checkVjp(first, [x, floats([], [1])], new Random(6), [0], [1]);
  });

  it('an update that was overwritten gets no gradient', () => {
    const [x, u] = [floats([3], [1, 2, 3]), floats([3], [4, 5, 6])];
    const indices = literal('int32', [3, 1], [1, 1, 9]);
    const attributes = {
      update_window_axes: [],
      inserted_window_axes: [0],
      scatter_axes_to_operand_axes: [0],
      index_vector_axis: 1,
      kind: 'assign',
    } as const;
    expect(gradients(single('scatter', [x, indices, u], attributes), [x, indices, u])).toEqual([
      [1, 0, 1],
      [0, 1, 0],
    ]);
  });
});

describe('vjpGraph', () => {
  const f32 = (...shape: Dim[]) => ({ dtype: 'float32', shape }) as const;

  it('keeps the primal ops as the same objects in front, then seeds and gradients', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32(3), 'x');
    const y = b.op('multiply', [x, x]);
    const z = b.op('sine', [y]);
    const graph = b.build([z, y]);
    const gradient = vjpGraph(graph, { wrt: [0], outputs: [1] });
    expect(gradient.ops.slice(0, 2)).toEqual(graph.ops);
    expect(gradient.ops[0]).toBe(graph.ops[0]);
    expect(gradient.results.slice(0, 2)).toEqual([z, y]);
    expect(gradient.parameters[0]).toBe(x);
    expect(gradient.parameters.map(({ type }) => type)).toEqual([f32(3), f32(3)]);
    // Only the multiplication is differentiated: sine leads to no listed output.
    expect(gradient.ops.slice(2).map(({ opcode }) => opcode)).toEqual(['multiply', 'multiply', 'add']);
  });

  it('gives zeros for parameters that nothing depends on, and builds nothing else for them', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32(2));
    const unused = b.parameter(f32(2, 2));
    const blocked = b.op('stop_gradient', [unused]);
    const graph = b.build([b.op('add', [x, b.op('reduce', [blocked], { kind: 'sum', axes: [0] })])]);
    const gradient = vjpGraph(graph, { wrt: [0, 1], outputs: [0] });
    expect(gradient.ops.slice(graph.ops.length).map(({ opcode }) => opcode)).toEqual(['constant', 'broadcast_in_dim']);
    expect(gradients(graph, [floats([2], [1, 2]), floats([2, 2], [1, 2, 3, 4])])).toEqual([
      [1, 1],
      [0, 0, 0, 0],
    ]);
  });

  it('adds up cotangents of a result that is listed twice, used again and a parameter itself', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32());
    const y = b.op('multiply', [x, x]);
    const graph = b.build([y, y, x]);
    const gradient = vjpGraph(graph, { wrt: [0], outputs: [0, 1, 2] });
    const results = evaluate(
      gradient,
      [3, 1, 10, 100].map((value) => floats([], [value])),
    );
    expect(results[3].data[0]).toBe(2 * 3 * 11 + 100);
  });

  it('holds for symbolic sizes', () => {
    const T = dim('T', { min: 1, max: 64 });
    const b = new GraphBuilder();
    const x = b.parameter(f32(T, 4), 'x');
    const w = b.parameter(f32(4, 3), 'w');
    const h = b.op('tanh', [b.op('dot_general', [x, w], { contract: [[1], [0]], batch: [[], []] })]);
    const padded = b.op('pad', [h, scalar(b, 'float32', 1)], { low: [1, 0], high: [2, 0], interior: [1, 0] });
    const size = padded.type.shape[0];
    const cut = b.op('slice', [padded], { start: [0, 1], limit: [size, 3], strides: [2, 1] });
    const joined = b.op('concatenate', [cut, b.op('reverse', [cut], { axes: [0] })], { axis: 0 });
    const flat = b.op('reshape', [joined], { shape: [mulDims(joined.type.shape[0], 2)] });
    const mean = b.op('divide', [
      b.op('reduce', [flat], { kind: 'sum', axes: [0] }),
      b.op('dimension_size', [], { size: T, dtype: 'float32' }),
    ]);
    const top = b.op('reduce', [h], { kind: 'max', axes: [0] });
    const product = b.op('reduce', [h], { kind: 'product', axes: [0, 1] });
    const first = b.op('gather', [h, b.parameter({ dtype: 'int32', shape: [2, 1] })], {
      offset_axes: [1],
      collapsed_axes: [0],
      start_index_map: [0],
      index_vector_axis: 1,
      slice_sizes: [1, 3],
      mode: 'clamp',
    });
    const windows = b.op('reduce_window', [h], {
      kind: 'sum',
      window: [2, 1],
      strides: [1, 1],
      padding: [
        [1, 0],
        [0, 0],
      ],
      base_dilation: [1, 1],
      window_dilation: [1, 1],
    });
    const graph = b.build([mean, top, product, first, windows]);
    const random = new Random(3);
    for (const size of [1, 2, 5]) {
      const inputs = [randomFloats(random, [size, 4]), randomFloats(random, [4, 3]), literal('int32', [2, 1], [-1, 9])];
      const checked = checkVjp(graph, inputs, random);
      checkVjp(checked.gradient, checked.inputs, random, [0, 1], [5, 6]);
    }
  });

  it('differentiates a convolution over a symbolic batch and length', () => {
    const [N, T] = [dim('N', { min: 1, max: 8 }), dim('T', { min: 4, max: 64 })];
    const b = new GraphBuilder();
    const x = b.parameter(f32(N, 4, T));
    const w = b.parameter(f32(6, 2, 3));
    const y = b.op('convolution', [x, w], {
      strides: [2],
      padding: [[1, 1]],
      lhs_dilation: [1],
      rhs_dilation: [1],
      groups: 2,
    });
    const graph = b.build([y]);
    for (const [n, t] of [
      [1, 4],
      [3, 7],
    ]) {
      const random = new Random(11);
      checkVjp(graph, [randomFloats(random, [n, 4, t]), randomFloats(random, [6, 2, 3])], random);
    }
  });

  it('writes out calls on the way and keeps others', () => {
    const callee = new GraphBuilder();
    const p = callee.parameter(f32(2));
    const functions = new Map([['f', { name: 'f', graph: callee.build([callee.op('sine', [p]), p]) }]]);
    const outer = new GraphBuilder({ functions });
    const q = outer.parameter(f32(2));
    const inside = outer.results('call', [q], { function: 'f' });
    functions.set('g', { name: 'g', graph: outer.build([outer.op('multiply', [inside[0], inside[1]])]) });
    const b = new GraphBuilder({ functions });
    const x = b.parameter(f32(2));
    const constant = b.parameter(f32(2));
    const [y] = b.results('call', [x], { function: 'g' });
    const [z] = b.results('call', [constant], { function: 'g' });
    const graph = b.build([y, z]);
    const gradient = vjpGraph(graph, { wrt: [0], outputs: [0, 1], functions });
    expect(gradient.results.slice(0, 2)).toEqual([y, z]);
    expect(gradient.ops.filter(({ opcode }) => opcode === 'call')).toHaveLength(1);
    const module = { functions: [...functions.values(), { name: 'main', graph: gradient }], main: 'main' };
    verifyModule(module);
    const inputs = [
      [0.3, 0.5],
      [1, 1],
      [1, 1],
      [1, 1],
    ].map((data) => floats([2], data));
    const [, , dx] = evaluateModule(module, inputs, { mode: 'double' });
    for (const [i, v] of [0.3, 0.5].entries()) expect(dx.data[i]).toBeCloseTo(Math.sin(v) + v * Math.cos(v), 12);
  });

  it('refuses what has no gradient, at the line of the op', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32(4));
    const location = SourceLocation.of('model.ts', 12, 14);
    const attributes = {
      kind: 'product',
      window: [2],
      strides: [1],
      padding: [[0, 0]],
      base_dilation: [1],
      window_dilation: [1],
    } as const;
    const graph = b.build([b.op('reduce_window', [x], attributes, { location })]);
    const error = failure(() => vjpGraph(graph, { wrt: [0], outputs: [0] }));
    expect(error.code).toBe('not_differentiable');
    expect(error.message).toContain('reduce_window of f32[4]');
    expect(error.message).toContain('model.ts:12:14');
    const large = single('reduce_window', [{ dtype: 'float32', shape: [4000], data: [0] }], {
      ...attributes,
      kind: 'max',
      window: [2000],
    });
    expect(failure(() => vjpGraph(large, { wrt: [0], outputs: [0] })).message).toContain('2000 positions');
  });

  it('says where a symbolic size leaves a gradient open', () => {
    const T = dim('T', { min: 1, max: 9 });
    const b = new GraphBuilder();
    const x = b.parameter(f32(T));
    const location = SourceLocation.of('model.ts', 5, 2);
    const slice = { start: [1], limit: [T], strides: [2] };
    const error = failure(() =>
      vjpGraph(b.build([b.op('slice', [x], slice, { location })]), { wrt: [0], outputs: [0] }),
    );
    expect(error.code).toBe('unknown_size');
    expect(error.message).toContain('model.ts:5:2');
  });

  it('refuses parameters and results that are not floats', () => {
    const b = new GraphBuilder();
    const i = b.parameter({ dtype: 'int32', shape: [2] }, 'labels');
    const x = b.parameter(f32(2));
    const graph = b.build([b.op('add', [i, i]), x]);
    const parameter = failure(() => vjpGraph(graph, { wrt: [0], outputs: [1] }));
    expect(parameter.code).toBe('not_differentiable');
    expect(parameter.message).toContain('parameter 0 (labels)');
    expect(failure(() => vjpGraph(graph, { wrt: [1], outputs: [0] })).code).toBe('not_differentiable');
  });

  it('has a right third derivative', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32());
    let graph = b.build([b.op('multiply', [b.op('exponential', [x]), b.op('sine', [x])])]);
    for (let order = 1; order <= 3; order++) graph = vjpGraph(graph, { wrt: [0], outputs: [graph.results.length - 1] });
    const one = floats([], [1]);
    const value = evaluate(graph, [floats([], [0.7]), one, one, one]).at(-1)?.data[0];
    expect(value).toBeCloseTo(2 * Math.exp(0.7) * (Math.cos(0.7) - Math.sin(0.7)), 10);
  });

  it.each(['chain', 'fan'] as const)('takes a %s of 50,000 ops in about linear time', (shape) => {
    const time = (length: number): number => {
      const graph = longGraph(shape, length);
      const before = process.cpuUsage();
      const gradient = vjpGraph(graph, { wrt: [0], outputs: [0] });
      const { user } = process.cpuUsage(before);
      expect(gradient.ops.length).toBeGreaterThan(2 * length);
      return user / 1000;
    };
    const [small, large] = [time(5_000), time(50_000)];
    expect(large).toBeLessThan(5_000);
    expect(large / Math.max(small, 5)).toBeLessThan(40);
  });
});

/** Ops in a row, or many uses of one value. */
function longGraph(shape: 'chain' | 'fan', length: number): Graph {
  const b = new GraphBuilder();
  const x = b.parameter({ dtype: 'float32', shape: [2] });
  let value = x;
  for (let i = 0; i < length / 2; i++) {
    value = b.op('multiply', [shape === 'chain' ? b.op('sine', [value]) : b.op('sine', [x]), value]);
  }
  return b.build([value]);
}

function failure(run: () => unknown): KilnError {
  try {
    run();
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('expected a KilnError');
}
