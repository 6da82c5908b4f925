/**
 * Chains, sums and families of matrix products, as random graphs: the passes that reorder, factor and join them keep
 * the values, never raise the number of operations, and find the best order that there is.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Dim, dim, evaluateDim } from '../../base/dim.ts';
import { GraphBuilder, scalar } from '../../ir/builder.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { flopsOf } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import { type Literal, type Module, mainOf, type Value } from '../../ir/types.ts';
import { type Pass, runPasses } from '../../passes/manager.ts';
import {
  batchSharedMatmuls,
  eliminateDeadCode,
  factorProducts,
  optimizePipeline,
  orderMatmulChains,
} from '../../passes/optimize/index.ts';
import { expectSame } from './optimize-compare.ts';

const runs = { numRuns: process.env.KILN_TEST === 'full' ? 3000 : 150 };
const seeds = fc.integer({ min: 1, max: 1 << 30 });
const plain = { contract: [[1], [0]], batch: [[], []] } as const;

class Generator {
  readonly random: Random;
  readonly b = new GraphBuilder();
  readonly inputs: Literal[] = [];

  constructor(seed: number) {
    this.random = new Random(seed, { special: false });
  }

  parameter(shape: readonly number[]): Value {
    this.inputs.push(this.random.literal('float32', shape));
    return this.b.parameter({ dtype: 'float32', shape });
  }

  #size = (): number => this.random.pick([1, 2, 3, 5, 8]);

  /** A matrix of a chain: `[...batch, rows, columns]`, perhaps transposed, scaled or the same for the whole batch. */
  #matrix(batch: readonly number[], rows: number, columns: number): Value {
    const isShared = batch.length > 0 && this.random.boolean(0.3);
    const value = this.parameter(isShared ? [rows, columns] : [...batch, rows, columns]);
    if (!isShared) return value;
    const axes = [batch.length, batch.length + 1];
    return this.b.op('broadcast_in_dim', [value], { shape: [...batch, rows, columns], axes });
  }

  /** The product of random matrices in a random order. */
  chain(): Value {
    const batch = this.random.boolean(0.4) ? [2] : [];
    const count = this.random.integer(3, 6);
    const sizes = Array.from({ length: count + 1 }, this.#size);
    let row = Array.from({ length: count }, (_, i) => this.#matrix(batch, sizes[i], sizes[i + 1]));
    while (row.length > 1) {
      const at = this.random.integer(0, row.length - 2);
      row = [...row.slice(0, at), this.#product(row[at], row[at + 1], batch.length), ...row.slice(at + 2)];
    }
    return row[0];
  }

  #product(left: Value, right: Value, batchRank: number): Value {
    const batch = Array.from({ length: batchRank }, (_, i) => i);
    const isSwapped = this.random.boolean(0.3);
    const [a, b] = [this.#decorated(left, batchRank), this.#decorated(right, batchRank)];
    const contract = [[batchRank + (a.turned ? 0 : 1)], [batchRank + (b.turned ? 1 : 0)]] as const;
    if (!isSwapped) return this.b.op('dot_general', [a.value, b.value], { contract, batch: [batch, batch] });
    const swapped = this.b.op('dot_general', [b.value, a.value], {
      contract: [contract[1], contract[0]],
      batch: [batch, batch],
    });
    return this.b.op('transpose', [swapped], { permutation: [...batch, batchRank + 1, batchRank] });
  }

  #decorated(x: Value, batchRank: number): { readonly value: Value; readonly turned: boolean } {
    let value = x;
    if (this.random.boolean(0.3)) {
      const factor = this.random.boolean() ? scalar(this.b, 'float32', 0.5) : this.parameter([]);
      const repeated = this.b.op('broadcast_in_dim', [factor], { shape: x.type.shape, axes: [] });
      value = this.b.op('multiply', [value, repeated]);
    }
    const turned = this.random.boolean(0.3);
    if (!turned) return { value, turned };
    const batch = Array.from({ length: batchRank }, (_, i) => i);
    return { value: this.b.op('transpose', [value], { permutation: [...batch, batchRank + 1, batchRank] }), turned };
  }

  /** Sums of products with factors in common, on either side. */
  sum(): Value {
    const [m, k, n] = [this.#size(), this.#size(), this.#size()];
    const [a, b] = [this.parameter([m, k]), this.parameter([k, n])];
    const terms = Array.from({ length: this.random.integer(2, 5) }, () => {
      const left = this.random.boolean(0.6) ? a : this.parameter([m, k]);
      const right = left !== a || this.random.boolean(0.4) ? b : this.parameter([k, n]);
      return this.b.op('dot_general', [left, right], plain);
    });
    return terms.reduce((sum, term) => this.b.op(this.random.pick(['add', 'subtract'] as const), [sum, term]));
  }

  /** Products that share operands and depend on each other here and there. */
  family(): Value {
    const n = 4;
    const pool = [this.parameter([n, n]), this.parameter([n, n])];
    for (let i = 0; i < 8; i++) {
      const [a, b] = [this.random.pick(pool), this.random.pick(pool)];
      const width = this.random.pick([n, n, 2]);
      const right = width === n ? b : this.b.op('slice', [b], { start: [0, 0], limit: [n, width], strides: [1, 1] });
      const product = this.b.op('dot_general', [a, right], plain);
      if (width === n && this.random.boolean(0.7)) pool.push(product);
      else pool.push(this.b.op('dot_general', [product, this.parameter([width, n])], plain));
    }
    return pool.reduce((sum, value) => this.b.op('add', [sum, this.b.op('tanh', [value])]));
  }

  module(...results: readonly Value[]): Module {
    return { functions: [{ name: 'main', graph: this.b.build(results) }], main: 'main' };
  }
}

const context = { precision: 'fast', verify: true, constantBudget: 1 << 12 } as const;
const apply = (module: Module, ...passes: readonly Pass[]): Module =>
  runPasses(module, [...passes, eliminateDeadCode], context);

const flops = (module: Module): number =>
  mainOf(module).graph.ops.reduce(
    (sum, op) => sum + (op.opcode === 'dot_general' ? evaluateDim(flopsOf(op), new Map([['B', 64]])) : 0),
    0,
  );

function expectClose(before: Module, after: Module, inputs: readonly Literal[]): void {
  const [expected, actual] = [before, after].map((module) => evaluateModule(module, inputs, { mode: 'double' }));
  expectSame(actual, expected, 1e-9);
}

/** Operations of the best order of a chain of plain matrices, by trying all. */
function leastFlops(sizes: readonly number[]): number {
  if (sizes.length < 3) return 0;
  let least = Infinity;
  for (let cut = 1; cut < sizes.length - 1; cut++) {
    const own = 2 * sizes[0] * sizes[cut] * sizes[sizes.length - 1];
    least = Math.min(least, own + leastFlops(sizes.slice(0, cut + 1)) + leastFlops(sizes.slice(cut)));
  }
  return least;
}

describe('orderMatmulChains', () => {
  it('keeps values and never computes more', () => {
    let changed = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const g = new Generator(seed);
        const before = g.module(g.chain());
        const after = apply(before, orderMatmulChains);
        if (after !== before) changed++;
        expect(flops(after)).toBeLessThanOrEqual(flops(before));
        expectClose(before, after, g.inputs);
        // A batch that is dropped may show another chain; every further change makes it a tenth cheaper.
        let last = after;
        for (let round = 0; round < 4; round++) last = apply(last, orderMatmulChains);
        expect(apply(last, orderMatmulChains)).toBe(last);
        expect(flops(last)).toBeLessThanOrEqual(flops(after));
      }),
      runs,
    );
    expect(changed).toBeGreaterThan(runs.numRuns / 3);
  });

  it('finds an order whose operations are within a tenth of the fewest, where traffic does not decide', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(64, 128, 512, 1024), { minLength: 4, maxLength: 7 }), (sizes) => {
        const b = new GraphBuilder();
        const matrices = sizes.slice(1).map((size, i) => b.parameter({ dtype: 'float32', shape: [sizes[i], size] }));
        const product = matrices.reduce((left, right) => b.op('dot_general', [left, right], plain));
        const module: Module = { functions: [{ name: 'main', graph: b.build([product]) }], main: 'main' };
        const cost = flops(apply(module, orderMatmulChains));
        expect(cost).toBeLessThanOrEqual(flops(module));
        expect(cost).toBeLessThanOrEqual(1.5 * leastFlops(sizes));
      }),
      { numRuns: 100 },
    );
  });

  it('estimates symbolic sizes within their bounds', () => {
    const shapesFor = (max: number): readonly (readonly Dim[])[] => {
      const b = new GraphBuilder();
      const B = dim('B', { min: 1, max });
      const [x, w, v] = [
        b.parameter({ dtype: 'float32', shape: [B, 32] }),
        b.parameter({ dtype: 'float32', shape: [32, 32] }),
        b.parameter({ dtype: 'float32', shape: [32, 32] }),
      ];
      const graph = b.build([b.op('dot_general', [b.op('dot_general', [x, w], plain), v], plain)]);
      const module = apply({ functions: [{ name: 'main', graph }], main: 'main' }, orderMatmulChains);
      return mainOf(module).graph.ops.map((op) => op.results[0].type.shape);
    };
    // Few rows go through both matrices; for many the matrices are multiplied first.
    expect(shapesFor(2).map(String)).toEqual(['B,32', 'B,32']);
    expect(shapesFor(1000).map(String)).toEqual(['32,32', 'B,32']);
  });

  it('does nothing in strict mode', () => {
    const g = new Generator(3);
    const module = g.module(g.chain());
    expect(orderMatmulChains.run(module, { ...context, precision: 'strict' })).toBe(module);
    expect(factorProducts.run(module, { ...context, precision: 'strict' })).toBe(module);
  });

  it('takes time in proportion to the length of a chain', () => {
    const time = (length: number): number => {
      const b = new GraphBuilder();
      let value = b.parameter({ dtype: 'float32', shape: [1, 8] });
      for (let i = 0; i < length; i++) {
        value = b.op('dot_general', [value, b.parameter({ dtype: 'float32', shape: [8, 8] })], plain);
      }
      const module: Module = { functions: [{ name: 'main', graph: b.build([value]) }], main: 'main' };
      const { user: start } = process.cpuUsage();
      runPasses(module, [orderMatmulChains], { ...context, verify: false });
      return process.cpuUsage().user - start;
    };
    time(200);
    const [small, large] = [time(200), time(2000)];
    expect(large).toBeLessThan(30 * Math.max(small, 10_000));
  });
});

describe('factorProducts', () => {
  it('keeps values and never computes more', () => {
    let fewer = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const g = new Generator(seed);
        const before = g.module(g.sum());
        const after = apply(before, factorProducts);
        if (flops(after) < flops(before)) fewer++;
        expect(flops(after)).toBeLessThanOrEqual(flops(before));
        expectClose(before, after, g.inputs);
      }),
      runs,
    );
    expect(fewer).toBeGreaterThan(runs.numRuns / 6);
  });
});

describe('batchSharedMatmuls', () => {
  it('keeps every bit, the order of what depends on what, and joins families', () => {
    let joined = 0;
    fc.assert(
      fc.property(seeds, (seed) => {
        const g = new Generator(seed);
        const before = g.module(g.family());
        const after = apply(before, batchSharedMatmuls);
        if (after !== before) joined++;
        expect(flops(after)).toBe(flops(before));
        const [expected, actual] = [before, after].map((module) =>
          evaluateModule(module, g.inputs, { mode: 'rounded' }),
        );
        expectSame(actual, expected, 0);
      }),
      runs,
    );
    expect(joined).toBeGreaterThan(runs.numRuns / 3);
  });
});

it('the whole pipeline on products changes nothing the second time', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const g = new Generator(seed);
      const before = g.module(g.chain(), g.sum(), g.family());
      const after = runPasses(before, optimizePipeline, context);
      expectClose(before, after, g.inputs);
      expect(runPasses(after, optimizePipeline, context)).toBe(after);
    }),
    runs,
  );
});
