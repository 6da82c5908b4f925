/**
 * Random graphs of the idioms that rewrite rules are about: parts that are cut out of joins, padding around padding,
 * transposes and reshapes around elementwise ops, choices between numbers, products with repeated operands, updates at
 * known places. Arbitrary random graphs seldom have them. The rules that fire are counted, and nearly all must.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KilnError } from '../../base/error.ts';
import { full, GraphBuilder, scalar } from '../../ir/builder.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Literal, Module, TensorType, Value } from '../../ir/types.ts';
import { runPasses } from '../../passes/manager.ts';
import { canonicalRules, optimizePipeline } from '../../passes/optimize/index.ts';
import { expectSame } from './optimize-compare.ts';

const runs = { numRuns: process.env.KILN_TEST === 'full' ? 1500 : 250 };
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const fired = new Set<string>();

type Shape = readonly number[];

class Generator {
  readonly #random: Random;
  readonly #b = new GraphBuilder();
  readonly #pool: Value[] = [];
  readonly #inputs: Literal[] = [];

  constructor(seed: number, special: boolean) {
    this.#random = new Random(seed, { special });
    for (const dtype of ['float32', 'float32', 'int32'] as const) this.#parameter({ dtype, shape: this.#shape() });
  }

  run(steps: number): { readonly module: Module; readonly inputs: readonly Literal[] } {
    for (let i = 0; i < steps; i++) {
      const from = this.#random.boolean(0.6) ? this.#pool[this.#pool.length - 1] : this.#random.pick(this.#pool);
      const made = this.#attempt(from);
      const rank = made?.type.shape.length ?? 0;
      if (made && rank > 0 && rank < 5 && this.#count(made) <= 200) this.#pool.push(made);
    }
    const graph = this.#b.build(this.#pool.slice(-2));
    return { module: { functions: [{ name: 'main', graph }], main: 'main' }, inputs: this.#inputs };
  }

  #attempt(from: Value): Value | undefined {
    try {
      return this.#random.pick(this.#steps)(from, from.type.shape as Shape);
    } catch (error) {
      if (error instanceof KilnError && error.code !== 'internal') return undefined;
      throw error;
    }
  }

  #shape = (): number[] => range(this.#random.integer(1, 3)).map(() => this.#random.pick([1, 2, 3, 4]));
  #count = ({ type }: Value): number => (type.shape as Shape).reduce((product, size) => product * size, 1);

  #parameter(type: TensorType): Value {
    const value = this.#b.parameter(type);
    this.#inputs.push(this.#random.literal(type.dtype, type.shape as Shape));
    if (type.shape.length > 0) this.#pool.push(value);
    return value;
  }

  /** Another value of the same type: an old one, or a new parameter. */
  #partner({ type }: Value): Value {
    const fitting = this.#pool.filter(
      (value) => value.type.dtype === type.dtype && String(value.type.shape) === String(type.shape),
    );
    const isOld = fitting.length > 1 || (fitting.length === 1 && this.#random.boolean(0.3));
    return isOld ? this.#random.pick(fitting) : this.#parameter(type);
  }

  #number = (dtype: TensorType['dtype']): number =>
    dtype === 'bool'
      ? this.#random.integer(0, 1)
      : this.#random.pick(dtype === 'int32' ? [0, 1, 2, 8, -1, 3] : [0, -0, 1, 2, 0.5, -1, 3, Infinity]);
  #splat = ({ type }: Value): Value => full(this.#b, type, this.#number(type.dtype));
  #zero = ({ type }: Value, value = this.#random.pick([0, 0, 1])): Value => scalar(this.#b, type.dtype, value);
  #axis = (shape: Shape): number => this.#random.integer(0, shape.length - 1);
  #isNumber = ({ type }: Value): boolean => type.dtype !== 'bool';

  #unary = (x: Value): Value => {
    const forFloat = ['negate', 'abs', 'exponential', 'tanh', 'sqrt', 'floor'] as const;
    return x.type.dtype === 'float32'
      ? this.#b.op(this.#random.pick(forFloat), [x])
      : this.#b.op(x.type.dtype === 'bool' ? 'not' : 'negate', [x]);
  };

  #binary = (x: Value): Value => {
    const other = this.#random.boolean() ? this.#partner(x) : this.#splat(x);
    const operands = this.#random.boolean(0.7) ? [x, other] : [other, x];
    if (!this.#isNumber(x)) return this.#b.op(this.#random.pick(['and', 'or', 'xor'] as const), operands);
    const opcodes = ['add', 'subtract', 'multiply', 'maximum', 'minimum', 'divide', 'remainder'] as const;
    return this.#b.op(this.#random.pick(opcodes), operands);
  };

  #twice = (x: Value): Value => (this.#isNumber(x) ? this.#b.op('multiply', [x, x]) : x);

  #inverse = (x: Value): Value => {
    const other = this.#partner(x);
    return this.#b.op('subtract', [this.#b.op('add', [x, other]), other]);
  };

  #power = (x: Value): Value => {
    const base = x.type.dtype === 'float32' && this.#random.boolean() ? this.#b.op('abs', [x]) : x;
    const exponents = x.type.dtype === 'float32' ? [0, 0.5, -0.5, 2, 4] : [0, 2, 5];
    return this.#b.op('power', [base, full(this.#b, x.type, this.#random.pick(exponents))]);
  };

  #shift = (x: Value): Value => {
    const by = (): Value => full(this.#b, x.type, this.#random.pick([0, 1, 5, 20]));
    const opcode = this.#random.pick(['shift_left', 'shift_right_logical', 'shift_right_arithmetic'] as const);
    return this.#b.op(opcode, [this.#b.op(opcode, [x, by()]), by()]);
  };

  #compare = (x: Value): Value =>
    this.#b.op('compare', [x, this.#random.boolean() ? this.#splat(x) : this.#partner(x)], {
      direction: this.#random.pick(['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'] as const),
    });

  #choice = (x: Value): Value => {
    const predicate = x.type.dtype === 'bool' ? x : this.#compare(x);
    const alike = this.#pool.filter(({ type }) => String(type.shape) === String(x.type.shape));
    const like = alike.length > 0 ? this.#random.pick(alike) : x;
    const side = (): Value =>
      this.#random.pick([() => this.#splat(like), () => like, () => this.#unary(this.#partner(like))])();
    return this.#b.op('select', [predicate, side(), side()]);
  };

  /** A choice by the predicate, or the operands, of a choice that is there. */
  #choiceAgain = (x: Value): Value => {
    const predicate = x.type.dtype === 'bool' ? x : this.#compare(x);
    const [a, b] = [this.#partner(x), this.#partner(x)];
    const inner = this.#b.op('select', [predicate, a, b]);
    const other = this.#compare(this.#partner(x));
    if (this.#random.boolean(0.3))
      return this.#b.op('select', [this.#b.op('compare', [a, b], { direction: 'GT' }), a, b]);
    return this.#random.boolean() ? this.#b.op('select', [other, inner, b]) : this.#b.op('select', [other, a, inner]);
  };

  #convert = (x: Value): Value =>
    this.#b.op('convert', [x], { dtype: this.#random.pick(['float32', 'int32', 'bool'] as const) });

  #complement = (x: Value): Value => {
    const bits = x.type.dtype === 'float32' ? this.#compare(x) : x;
    return this.#b.op(this.#random.pick(['and', 'or', 'xor'] as const), [bits, this.#b.op('not', [bits])]);
  };

  #transpose = (x: Value, shape: Shape): Value =>
    this.#b.op('transpose', [x], { permutation: this.#random.permutation(shape.length) });

  #reshape = (x: Value, shape: Shape): Value => {
    const sizes = [...shape];
    const at = this.#axis(shape);
    if (this.#random.boolean(0.4)) sizes.splice(at, 0, 1);
    else if (sizes[at] === 4) sizes.splice(at, 1, 2, 2);
    else if (at + 1 < sizes.length) sizes.splice(at, 2, sizes[at] * sizes[at + 1]);
    return this.#b.op('reshape', [x], { shape: sizes });
  };

  #broadcast = (x: Value, shape: Shape): Value => {
    const at = this.#random.integer(0, shape.length);
    const to = [...shape];
    to.splice(at, 0, this.#random.pick([1, 2, 3]));
    return this.#b.op('broadcast_in_dim', [x], {
      shape: to,
      axes: range(shape.length).map((i) => (i < at ? i : i + 1)),
    });
  };

  /** Two values that are repeated along other axes, and what becomes of both. */
  #repeated = (x: Value): Value => {
    const [n, m, k] = [2, 3, this.#random.pick([1, 4])];
    const dtype = x.type.dtype === 'bool' ? 'float32' : x.type.dtype;
    const [a, b] = [this.#parameter({ dtype, shape: [n, k] }), this.#parameter({ dtype, shape: [k, m] })];
    const spread = (value: Value, axes: number[]): Value =>
      this.#b.op('broadcast_in_dim', [value], { shape: [n, k, m], axes });
    const rows = this.#random.boolean() ? spread(b, [1, 2]) : spread(this.#parameter({ dtype, shape: [n] }), [0]);
    const product = this.#b.op('multiply', [spread(a, [0, 1]), rows]);
    return this.#b.op('reduce', [product], { kind: 'sum', axes: [1] });
  };

  #iota = (x: Value, shape: Shape): Value => {
    const axis = this.#axis(shape);
    const dtype = x.type.dtype === 'bool' ? 'int32' : x.type.dtype;
    const line = this.#b.op('iota', [], { dtype, shape: [shape[axis]], axis: 0 });
    return this.#b.op('broadcast_in_dim', [line], { shape, axes: [axis] });
  };

  #reverse = (x: Value, shape: Shape): Value => this.#b.op('reverse', [x], { axes: this.#random.subset(shape.length) });

  #slice = (x: Value, shape: Shape): Value => {
    const start = shape.map((size) => this.#random.pick([0, 0, 1, Math.max(0, size - 1)]));
    const limit = shape.map((size, i) => this.#random.pick([size, size, Math.max(start[i], size - 1)]));
    return this.#b.op('slice', [x], { start, limit, strides: shape.map(() => this.#random.pick([1, 1, 1, 2])) });
  };

  #pad = (x: Value, shape: Shape): Value => {
    const amounts = (): number[] => shape.map(() => this.#random.pick([0, 0, 1, 2]));
    const interior = shape.map(() => this.#random.pick([0, 0, 0, 1]));
    return this.#b.op('pad', [x, this.#zero(x)], { low: amounts(), high: amounts(), interior });
  };

  /** Parts that are put side by side by adding them, as gradients of slices are. */
  #placed = (x: Value, shape: Shape): Value => {
    const axis = this.#axis(shape);
    const gap = this.#random.pick([0, 0, 1]);
    const size = 2 * shape[axis] + gap;
    const at = (start: number) => {
      const along = (amount: number): number[] => shape.map((_, i) => (i === axis ? amount : 0));
      return { low: along(start), high: along(size - shape[axis] - start), interior: shape.map(() => 0) };
    };
    const zero = this.#zero(x, 0);
    const parts = [
      this.#b.op('pad', [x, zero], at(0)),
      this.#b.op('pad', [this.#partner(x), zero], at(shape[axis] + gap)),
    ];
    return this.#b.op('add', this.#random.boolean() ? parts : parts.reverse());
  };

  #concatenate = (x: Value, shape: Shape): Value => {
    const others = range(this.#random.integer(0, 2)).map(() =>
      this.#random.boolean() ? this.#partner(x) : this.#splat(x),
    );
    return this.#b.op('concatenate', [x, ...others], { axis: this.#axis(shape) });
  };

  #update = (x: Value, shape: Shape): Value => {
    const update = this.#slice(x, shape);
    const index = this.#parameter({ dtype: 'int32', shape: [] });
    const starts = shape.map(() =>
      this.#random.boolean(0.6) ? scalar(this.#b, 'int32', this.#random.integer(-1, 3)) : index,
    );
    const base = this.#random.boolean() ? this.#splat(x) : x;
    const once = this.#b.op('dynamic_update_slice', [base, update, ...starts]);
    if (this.#random.boolean(0.4)) return once;
    if (this.#random.boolean()) return this.#b.op('dynamic_slice', [once, ...starts], { sizes: update.type.shape });
    return this.#b.op('dynamic_update_slice', [once, this.#partner(update), ...starts]);
  };

  #gather = (x: Value, shape: Shape): Value => {
    const axis = this.#axis(shape);
    const count = this.#random.integer(1, shape[axis]);
    const indices = this.#random.pick([
      () => this.#b.op('iota', [], { dtype: 'int32', shape: [count], axis: 0 }),
      () => full(this.#b, { dtype: 'int32', shape: [count] }, this.#random.integer(-1, 4)),
      () => this.#parameter({ dtype: 'int32', shape: [count] }),
    ])();
    const result = range(shape.length);
    return this.#b.op('gather', [x, indices], {
      offset_axes: result.filter((i) => i !== axis),
      collapsed_axes: [axis],
      start_index_map: [axis],
      index_vector_axis: 1,
      slice_sizes: shape.map((size, i) => (i === axis ? 1 : size)),
      mode: this.#random.pick(['clamp', 'fill'] as const),
    });
  };

  #reduce = (x: Value, shape: Shape): Value => {
    const kind = x.type.dtype === 'bool' ? 'or' : this.#random.pick(['sum', 'sum', 'max', 'min', 'argmax'] as const);
    const axes = kind === 'argmax' ? [this.#axis(shape)] : this.#random.subset(shape.length);
    return this.#b.op('reduce', [x], { kind, axes });
  };

  #window = (x: Value, shape: Shape): Value => {
    const whole = this.#random.boolean();
    return this.#b.op('reduce_window', [x], {
      kind: this.#random.pick(['sum', 'max'] as const),
      window: shape.map((size) => (whole ? this.#random.pick([1, size]) : this.#random.pick([1, 2]))),
      strides: shape.map(() => 1),
      padding: shape.map(() => [0, 0] as const),
      base_dilation: shape.map(() => 1),
      window_dilation: shape.map(() => 1),
    });
  };

  #dot = (x: Value, shape: Shape): Value => {
    const axis = this.#axis(shape);
    const other = this.#random.pick([
      () => this.#parameter({ dtype: x.type.dtype, shape: [3, shape[axis]] }),
      () => full(this.#b, { dtype: x.type.dtype, shape: [2, shape[axis]] }, this.#random.pick([1, 2])),
      () =>
        this.#b.op('broadcast_in_dim', [this.#parameter({ dtype: x.type.dtype, shape: [shape[axis]] })], {
          shape: [2, shape[axis]],
          axes: [1],
        }),
    ])();
    return this.#b.op('dot_general', [x, other], { contract: [[axis], [1]], batch: [[], []] });
  };

  /** A product of matrices in a batch, which may be a batch of one. */
  #batchedDot = (x: Value): Value => {
    const { dtype, shape } = x.type;
    if (shape.length < 2) return x;
    const [first, last] = [shape[0], shape[shape.length - 1]];
    const other = this.#parameter({ dtype, shape: [first, last, 2] });
    return this.#b.op('dot_general', [x, other], { contract: [[shape.length - 1], [1]], batch: [[0], [0]] });
  };

  #convolution = (x: Value, shape: Shape): Value => {
    if (shape.length < 3) return x;
    const image = this.#b.op('pad', [x, this.#zero(x, 0)], {
      low: shape.map((_, i) => (i < 2 ? 0 : 1)),
      high: shape.map((_, i) => (i < 2 ? 0 : this.#random.pick([0, 1]))),
      interior: shape.map((_, i) => (i < 2 ? 0 : this.#random.pick([0, 1]))),
    });
    const spatial = shape.slice(2);
    return this.#b.op(
      'convolution',
      [image, this.#parameter({ dtype: x.type.dtype, shape: [2, shape[1], ...spatial.map(() => 2)] })],
      {
        strides: spatial.map(() => 1),
        padding: spatial.map(() => [this.#random.pick([0, 1]), 0] as const),
        lhs_dilation: spatial.map(() => 1),
        rhs_dilation: spatial.map(() => 1),
        groups: 1,
      },
    );
  };

  #scatter = (x: Value): Value => {
    const updates = this.#random.boolean() ? this.#splat(x) : this.#partner(x);
    const indices = this.#b.op('iota', [], { dtype: 'int32', shape: [x.type.shape[0]], axis: 0 });
    const rest = range(x.type.shape.length).slice(1);
    return this.#b.op('scatter', [x, indices, updates], {
      update_window_axes: rest,
      inserted_window_axes: [0],
      scatter_axes_to_operand_axes: [0],
      index_vector_axis: 1,
      kind: 'add',
    });
  };

  #empty = (x: Value, shape: Shape): Value => {
    const axis = this.#axis(shape);
    const bounds = {
      start: shape.map(() => 0),
      limit: shape.map((size, i) => (i === axis ? 0 : size)),
      strides: shape.map(() => 1),
    };
    const none = this.#b.op('slice', [x], bounds);
    return this.#random.pick([
      () => this.#b.op('reduce', [none], { kind: x.type.dtype === 'bool' ? 'and' : 'max', axes: [axis] }),
      () =>
        this.#b.op('pad', [none, this.#zero(x)], {
          low: shape.map(() => 1),
          high: shape.map(() => 0),
          interior: shape.map(() => 0),
        }),
      () => this.#b.op('concatenate', [x, this.#unary(none)], { axis }),
      () => this.#b.op('dynamic_update_slice', [x, none, ...shape.map(() => scalar(this.#b, 'int32', 0))]),
      () => this.#b.op('dot_general', [none, this.#unary(none)], { contract: [[axis], [axis]], batch: [[], []] }),
      () =>
        this.#b.op(
          'reduce',
          [
            this.#b.op('broadcast_in_dim', [none], {
              shape: [2, ...none.type.shape],
              axes: shape.map((_, i) => i + 1),
            }),
          ],
          { kind: x.type.dtype === 'bool' ? 'or' : 'sum', axes: [axis + 1] },
        ),
    ])();
  };

  readonly #steps = [
    this.#unary,
    this.#unary,
    this.#binary,
    this.#binary,
    this.#binary,
    this.#twice,
    this.#inverse,
    this.#power,
    this.#shift,
    this.#compare,
    this.#choice,
    this.#choice,
    this.#choiceAgain,
    this.#convert,
    this.#complement,
    this.#transpose,
    this.#transpose,
    this.#reshape,
    this.#reshape,
    this.#broadcast,
    this.#broadcast,
    this.#repeated,
    this.#iota,
    this.#reverse,
    this.#slice,
    this.#slice,
    this.#slice,
    this.#pad,
    this.#pad,
    this.#placed,
    this.#concatenate,
    this.#concatenate,
    this.#update,
    this.#gather,
    this.#reduce,
    this.#reduce,
    this.#reduce,
    this.#window,
    this.#dot,
    this.#dot,
    this.#batchedDot,
    this.#convolution,
    this.#scatter,
    this.#empty,
  ]; // prettier-ignore
}

const watch = (rule: string): void => {
  fired.add(rule);
};

function optimize(module: Module, precision: 'fast' | 'strict'): Module {
  const context = { precision, verify: true, constantBudget: 1 << 12, watch };
  const once = runPasses(module, optimizePipeline, context);
  expect(runPasses(once, optimizePipeline, context)).toBe(once);
  return once;
}

describe('random graphs of idioms', () => {
  const seeds = fc.integer({ min: 1, max: 1 << 30 });

  it('keep every bit in strict mode, NaN, infinities and -0 included', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { module, inputs } = new Generator(seed, true).run(14);
        const expected = evaluateModule(module, inputs, { mode: 'rounded' });
        expectSame(evaluateModule(optimize(module, 'strict'), inputs, { mode: 'rounded' }), expected, 0);
      }),
      runs,
    );
  });

  it('change only how results are rounded in fast mode', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { module, inputs } = new Generator(seed, false).run(10);
        const before = evaluateModule(module, inputs, { mode: 'double' });
        const after = evaluateModule(optimize(module, 'fast'), inputs, { mode: 'double' });
        // Reassociation alone: in double precision next to nothing is left of it.
        expectSame(after, before, 1e-6);
      }),
      runs,
    );
  });

  it('make nearly all rules fire', () => {
    const quiet = canonicalRules.map(({ name }) => name).filter((name) => !fired.has(name));
    expect(quiet.length).toBeLessThan(canonicalRules.length / 4);
  });
});
