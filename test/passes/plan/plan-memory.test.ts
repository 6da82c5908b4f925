import { describe, expect, test } from 'vitest';
import { arenaLowerBound, reservedBytes } from '../../../base/arena.ts';
import { dim } from '../../../base/dim.ts';
import { GraphBuilder } from '../../../ir/builder.ts';
import type { Lowered } from '../../../ir/lowered.ts';
import type { Graph, Value } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { adamStep, dense, f32, gptLoss, i32, like, mlpLoss, moduleOf, optimized } from '../../support/models.ts';
import { randomModule } from '../../support/random-graph.ts';

function plan(build: (b: GraphBuilder) => readonly Value[], donated: readonly boolean[] = []): Lowered {
  const b = new GraphBuilder();
  return planGraph(b.build(build(b)), donated);
}

const planGraph = (graph: Graph, donated: readonly boolean[] = [], fusion: 'full' | 'none' = 'none'): Lowered =>
  lowerModule(moduleOf(graph), { name: 'test', donated, precision: 'strict', fusion });

const sources = (lowered: Lowered): unknown[] => lowered.outputs.map(({ source }) => source);

describe('outputs', () => {
  test('a reshaped input and an unchanged one are the input', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const x = b.parameter(f32(2, 3));
      return [x, b.op('reshape', [x], { shape: [6] })];
    };
    const b = new GraphBuilder();
    expect(sources(planGraph(b.build(build(b)), [], 'full'))).toEqual([
      { kind: 'input', index: 0 },
      { kind: 'input', index: 0 },
    ]);
  });

  test('an array of several elements is a constant', () => {
    const value = { dtype: 'float32', shape: [3], data: [1, 2, 3] } as const;
    const lowered = plan((b) => [b.op('constant', [], { value })]);
    expect(sources(lowered)).toEqual([{ kind: 'constant', index: 0 }]);
    expect(lowered.launches).toEqual([]);
  });

  test('the same value twice is one buffer', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const y = b.op('exponential', [b.parameter(f32(4))]);
      return [y, y];
    };
    expect(sources(plan(build))).toEqual([{ kind: 'own' }, { kind: 'output', index: 0 }]);
  });

  test('an empty output needs no launch', () => {
    const lowered = plan((b) => [b.op('exponential', [b.parameter(f32(0, 4))])]);
    expect([lowered.launches, sources(lowered)]).toEqual([[], [{ kind: 'own' }]]);
  });
});

describe('in place', () => {
  const chain = (b: GraphBuilder): readonly Value[] => {
    let value: Value = b.parameter(f32(100));
    for (let at = 0; at < 4; at++) value = b.op('exponential', [value]);
    return [value];
  };

  test('a chain of elementwise launches works in the output buffer', () => {
    const lowered = plan(chain);
    expect(lowered.temporaries).toEqual([]);
    expect(lowered.launches.map(({ buffers }) => buffers)).toEqual([
      [
        { kind: 'input', index: 0 },
        { kind: 'output', index: 0 },
      ],
      ...Array.from({ length: 3 }, () => [
        { kind: 'output', index: 0 },
        { kind: 'output', index: 0 },
      ]),
    ]);
  });

  test('a donated input is overwritten', () => {
    const lowered = plan(chain, [true]);
    expect(sources(lowered)).toEqual([{ kind: 'donated', input: 0 }]);
  });

  test('a donated input that is still read later is not', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const x = b.parameter(f32(4, 4));
      const y = b.op('exponential', [x]);
      return [b.op('add', [b.op('transpose', [x], { permutation: [1, 0] }), y])];
    };
    const lowered = plan(build, [true]);
    expect(lowered.launches[0].buffers[1].kind).toBe('temporary');
  });

  test('a product is not written over its operand', () => {
    const lowered = plan((b) => [dense(b, b.parameter(f32(4, 4)), b.parameter(f32(4, 4)))], [true, true]);
    expect(sources(lowered)).toEqual([{ kind: 'own' }]);
  });

  test('a donated input that died before holds a later output', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const sum = b.op('reduce', [b.parameter(f32(8, 8))], { kind: 'sum', axes: [1] });
      return [
        b.op('dot_general', [sum, sum], {
          contract: [[], []],
          batch: [[], []],
        }),
      ];
    };
    expect(sources(plan(build, [true]))).toEqual([{ kind: 'donated', input: 0 }]);
  });

  test('an input that is also a result is never overwritten', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const x = b.parameter(f32(8));
      return [x, b.op('exponential', [x])];
    };
    expect(sources(plan(build, [true]))).toEqual([{ kind: 'input', index: 0 }, { kind: 'own' }]);
  });

  test('the update of a slice of a donated array writes nothing but the slice', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const [cache, update] = [b.parameter(f32(1000, 8)), b.parameter(f32(1, 8))];
      const [at, zero] = [b.parameter(i32()), b.parameter(i32())];
      return [b.op('dynamic_update_slice', [cache, update, at, zero])];
    };
    const [kept, given] = [plan(build), plan(build, [true])];
    const rows = ({ kernels }: Lowered): unknown[] =>
      kernels[0].body.flatMap((node) => (node.kind === 'loop' ? [node.axis.extent] : []));
    expect([rows(kept), rows(given)]).toEqual([[1000], [8]]);
    expect(sources(given)).toEqual([{ kind: 'donated', input: 0 }]);
  });

  test('a scatter into a temporary that dies leaves out the copy', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const base = b.op('exponential', [b.parameter(f32(50))]);
      const scattered = b.op('scatter', [base, b.parameter(i32(3)), b.parameter(f32(3))], {
        update_window_axes: [],
        inserted_window_axes: [0],
        scatter_axes_to_operand_axes: [0],
        index_vector_axis: 1,
        kind: 'add',
      });
      return [scattered];
    };
    const lowered = plan(build);
    expect(lowered.kernels[1].body.filter(({ kind }) => kind === 'loop')).toHaveLength(1);
    expect(lowered.kernels[1].buffers.map(({ access }) => access)).toEqual(['read', 'read', 'read_write']);
  });
});

describe('temporaries', () => {
  test('with symbolic sizes have no offsets yet', () => {
    const B = dim('B', { min: 1, max: 64 });
    const build = (b: GraphBuilder): readonly Value[] => {
      const h = dense(b, b.parameter(f32(B, 4)), b.parameter(f32(4, 5)));
      return [dense(b, h, b.parameter(f32(5, 6)))];
    };
    const lowered = plan(build);
    expect(lowered.arenaBytes).toBeUndefined();
    expect(lowered.temporaries.map(({ bytes, offset }) => [String(bytes), offset])).toEqual([['20*B', undefined]]);
  });

  const models: readonly (readonly [string, Graph])[] = [
    ['an MLP', adamStep(mlpLoss(64, [784, 256, 128, 10]))],
    ['a GPT', adamStep(gptLoss({ batch: 2, time: 32, width: 64, heads: 4, layers: 2, vocabulary: 96 }))],
  ];
  test.each(models.map(([name]) => name))('of %s are at most a twentieth above the lower bound', (name) => {
    const graph = new Map(models).get(name);
    if (!graph) throw new Error(`no model ${name}`);
    const lowered = lowerModule(optimized(graph), { name: 'test', donated: [], precision: 'fast' });
    const intervals = lowered.temporaries.map(({ bytes, first, last }) => ({ bytes: Number(bytes), first, last }));
    expect(Number(lowered.arenaBytes) / arenaLowerBound(intervals)).toBeLessThan(1.05);
  });

  test('of random graphs never overlap while alive', () => {
    for (let seed = 0; seed < 30; seed++) {
      const { module } = randomModule(seed, { ops: 30 });
      const { temporaries } = lowerModule(module, { name: 'x', donated: [], precision: 'strict', fusion: 'none' });
      temporaries.forEach((a, at) => {
        for (const b of temporaries.slice(0, at)) {
          if (a.first > b.last || b.first > a.last) continue;
          const [aEnd, bEnd] = [a, b].map(({ offset, bytes }) => Number(offset) + reservedBytes(Number(bytes)));
          expect(aEnd <= Number(b.offset) || bEnd <= Number(a.offset)).toBe(true);
        }
      });
    }
  });

  test('a value read long after it was written stays', () => {
    const build = (b: GraphBuilder): readonly Value[] => {
      const x = b.parameter(f32(16, 16));
      const early = dense(b, x, x);
      let value = early;
      for (let at = 0; at < 3; at++) value = dense(b, value, x);
      return [dense(b, b.op('add', [b.op('multiply', [early, like(b, early, 2)]), value]), x)];
    };
    const { temporaries } = plan(build);
    expect(temporaries.some(({ first, last }) => first === 0 && last >= 4)).toBe(true);
  });
});
