/**
 * Random graphs that cut, pad, join and repeat along a symbolic axis: bounds are expressions such as `T-1` and `2*T`,
 * and questions about them often have no answer. The optimiser and the gradients must be right for every size.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDims, type Dim, dim, evaluateDim, mulDims, type SymbolicDim, subDims } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { GraphBuilder, scalar } from '../../ir/builder.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Graph, Literal, Module, Value } from '../../ir/types.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';
import { expectSame } from './optimize-compare.ts';

const runs = { numRuns: process.env.KILN_TEST === 'full' ? 3000 : 100 };

/** What the bounds do not allow to build, or to differentiate, is left out. */
function attempt<R>(run: () => R): R | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof KilnError && error.code !== 'internal') return undefined;
    throw error;
  }
}

class Generator {
  readonly #random: Random;
  readonly #builder = new GraphBuilder();
  readonly #pool: Value[];
  readonly #half: Value;
  readonly #T: SymbolicDim;

  /** @param least the lower bound of the symbolic size: many rules hold only where it is not 0 */
  constructor(seed: number, least: number) {
    this.#T = dim('T', { min: least, max: 9 });
    this.#random = new Random(seed, { special: false });
    this.#half = scalar(this.#builder, 'float32', 0.5);
    this.#pool = [0, 1].map(() => this.#builder.parameter({ dtype: 'float32', shape: [this.#T, 3] }));
  }

  run(): Graph {
    const steps = [this.#slice, this.#pad, this.#concatenate, this.#reshape, this.#transpose, this.#broadcast];
    for (let i = 0; i < 12; i++) {
      const from = this.#random.boolean() ? this.#pool[this.#pool.length - 1] : this.#random.pick(this.#pool);
      const step = this.#random.pick([...steps, this.#reduce, this.#square]);
      const value = attempt(() => step(from, from.type.shape));
      if (value && value.type.shape.length < 5) this.#pool.push(value);
    }
    return this.#builder.build(this.#pool.slice(-2));
  }

  #amount = (): Dim =>
    this.#random.pick([0, 0, 1, 1, 2, this.#T, subDims(this.#T, 1), addDims(this.#T, 1), mulDims(this.#T, 2)]);

  #slice = (x: Value, shape: readonly Dim[]): Value =>
    this.#builder.op('slice', [x], {
      start: shape.map((_, axis) => (axis === 0 ? this.#amount() : 0)),
      limit: shape.map((size, axis) => (axis === 0 ? subDims(size, this.#random.pick([0, this.#amount()])) : size)),
      strides: shape.map((_, axis) => (axis === 0 ? this.#random.pick([1, 1, 2]) : 1)),
    });

  #pad = (x: Value, shape: readonly Dim[]): Value =>
    this.#builder.op('pad', [x, this.#half], {
      low: shape.map(() => this.#random.pick([0, 1, -1, this.#T])),
      high: shape.map(() => this.#random.pick([0, 0, 1, -1, this.#T])),
      interior: shape.map(() => this.#random.pick([0, 0, 1])),
    });

  #concatenate = (x: Value): Value => this.#builder.op('concatenate', [x, this.#random.pick(this.#pool)], { axis: 0 });

  #reshape = (x: Value, shape: readonly Dim[]): Value =>
    this.#builder.op('reshape', [x], {
      shape: this.#random.boolean() ? [1, ...shape] : [shape.reduce<Dim>((product, size) => mulDims(product, size), 1)],
    });

  #transpose = (x: Value, shape: readonly Dim[]): Value =>
    this.#builder.op('transpose', [x], { permutation: this.#random.permutation(shape.length) });

  #broadcast = (x: Value, shape: readonly Dim[]): Value =>
    this.#builder.op('broadcast_in_dim', [x], {
      shape: [...shape, this.#random.pick([2, this.#T, 1])],
      axes: shape.map((_, axis) => axis),
    });

  #reduce = (x: Value, shape: readonly Dim[]): Value =>
    this.#builder.op('reduce', [x], {
      kind: this.#random.pick(['sum', 'max', 'min'] as const),
      axes: this.#random.subset(shape.length),
    });

  #square = (x: Value): Value => this.#builder.op('multiply', [x, x]);
}

const moduleOf = (graph: Graph): Module => ({ functions: [{ name: 'main', graph }], main: 'main' });

function inputsFor(graph: Graph, size: number, random: Random): Literal[] {
  const bindings = new Map([['T', size]]);
  return graph.parameters.map(({ type }) =>
    random.literal(
      'float32',
      type.shape.map((d) => evaluateDim(d, bindings)),
    ),
  );
}

function expectKept(graph: Graph, precision: 'fast' | 'strict', sizes: readonly number[], random: Random): void {
  const module = moduleOf(graph);
  const context = { precision, verify: true, constantBudget: 1 << 12 };
  const optimised = runPasses(module, optimizePipeline, context);
  expect(runPasses(optimised, optimizePipeline, context)).toBe(optimised);
  for (const size of sizes) {
    const inputs = inputsFor(graph, size, random);
    const expected = evaluateModule(module, inputs, { mode: 'rounded' });
    const actual = evaluateModule(optimised, inputs, { mode: 'rounded' });
    expectSame(actual, expected, precision === 'strict' ? 0 : 1e-4);
  }
}

describe.each(['fast', 'strict'] as const)('%s', (precision) => {
  it.each([2, 0])('graphs over a symbolic axis of at least %i and their gradients are kept', (least) => {
    const sizes = [least, 5];
    let differentiated = 0;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 30 }), (seed) => {
        const graph = new Generator(seed, least).run();
        const random = new Random(seed, { special: false });
        expectKept(graph, precision, sizes, random);
        const gradient = attempt(() => vjpGraph(graph, { wrt: [0, 1], outputs: [0, 1] }));
        if (!gradient) return;
        differentiated++;
        expectKept(gradient, precision, sizes, random);
      }),
      runs,
    );
    expect(differentiated).toBeGreaterThan(runs.numRuns * 0.9);
  });
});
