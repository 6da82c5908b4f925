/**
 * The kernels of the main patterns, as text. `npx vitest run test/passes/lower -u` writes them anew; read the
 * difference before you keep it.
 */
import { describe, expect, test } from 'vitest';
import { dim } from '../../../base/dim.ts';
import { GraphBuilder, scalar } from '../../../ir/builder.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import type { Graph, Value } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { attention, dense, f32, i32, layerNorm, like, moduleOf, relu, softmax, spread } from '../../support/models.ts';

const B = dim('B', { min: 1, max: 1024 });

function graphOf(build: (b: GraphBuilder) => Value | readonly Value[]): Graph {
  const b = new GraphBuilder();
  const results = build(b);
  return b.build(Array.isArray(results) ? (results as Value[]) : [results as Value]);
}

function kernelsOf(graph: Graph): string {
  const lowered = lowerModule(moduleOf(graph), { name: 'test', donated: [], precision: 'strict' });
  return `${lowered.launches.map(({ kernel }) => printKernel(lowered.kernels[kernel])).join('\n\n')}\n`;
}

const patterns: Record<string, (b: GraphBuilder) => Value | readonly Value[]> = {
  'elementwise-chain': (b) => {
    const x = b.parameter(f32(64, 64));
    const inner = b.op('add', [b.op('multiply', [x, like(b, x, 2)]), like(b, x, 1)]);
    return relu(b, b.op('multiply', [b.op('tanh', [inner]), x]));
  },
  softmax: (b) => softmax(b, b.parameter(f32(B, 128))),
  'layer-norm': (b) => layerNorm(b, b.parameter(f32(4, 8, 128)), b.parameter(f32(128)), b.parameter(f32(128))),
  'dense-relu': (b) => relu(b, dense(b, b.parameter(f32(B, 128)), b.parameter(f32(128, 64)), b.parameter(f32(64)))),
  'dense-dequantized': (b) => {
    const [x, w] = [b.parameter(f32(8, 128)), b.parameter(i32(128, 64))];
    return dense(b, x, b.op('convert', [w], { dtype: 'float32' }));
  },
  convolution: (b) => {
    const [x, w, bias] = [b.parameter(f32(2, 4, 8, 8)), b.parameter(f32(6, 2, 3, 3)), b.parameter(f32(6))];
    const y = b.op('convolution', [x, w], {
      strides: [1, 1],
      padding: [
        [1, 1],
        [1, 1],
      ],
      lhs_dilation: [1, 1],
      rhs_dilation: [1, 1],
      groups: 2,
    });
    return b.op('add', [y, spread(b, bias, y.type.shape, [1])]);
  },
  'split-heads': (b) => {
    const x = b.parameter(f32(2, 16, 24));
    const split = b.op('reshape', [b.op('negate', [x])], { shape: [2, 16, 4, 6] });
    return b.op('transpose', [split], { permutation: [0, 2, 1, 3] });
  },
  'merge-axes': (b) => {
    const moved = b.op('transpose', [b.parameter(f32(4, 6, 8))], { permutation: [1, 0, 2] });
    return b.op('negate', [b.op('reshape', [moved], { shape: [6, 32] })]);
  },
  'max-pool': (b) =>
    b.op('reduce_window', [b.parameter(f32(1, 2, 8, 8))], {
      kind: 'max',
      window: [1, 1, 3, 3],
      strides: [1, 1, 2, 2],
      padding: [
        [0, 0],
        [0, 0],
        [1, 1],
        [1, 1],
      ],
      base_dilation: [1, 1, 1, 1],
      window_dilation: [1, 1, 1, 1],
    }),
  moments: (b) => {
    const x = b.parameter(f32(256, 64));
    const square = b.op('multiply', [x, x]);
    return [x, square].map((value) => b.op('reduce', [value], { kind: 'sum', axes: [0] }));
  },
  'adam-two-parameters': (b) => {
    const count = b.op('add', [b.parameter(f32()), scalar(b, 'float32', 1)]);
    const left = (beta: number): Value =>
      b.op('subtract', [scalar(b, 'float32', 1), b.op('power', [scalar(b, 'float32', beta), count])]);
    const [first, second] = [left(0.9), left(0.999)];
    const updates = [f32(784, 256), f32(10)].flatMap((type) => {
      const [p, g, m, v] = ['p', 'g', 'm', 'v'].map((name) => b.parameter(type, name));
      const mix = (old: Value, fresh: Value, beta: number): Value =>
        b.op('add', [b.op('multiply', [old, like(b, old, beta)]), b.op('multiply', [fresh, like(b, fresh, 1 - beta)])]);
      const [nextM, nextV] = [mix(m, g, 0.9), mix(v, b.op('multiply', [g, g]), 0.999)];
      const root = b.op('sqrt', [b.op('divide', [nextV, spread(b, second, type.shape, [])])]);
      const step = b.op('divide', [b.op('divide', [nextM, spread(b, first, type.shape, [])]), root]);
      return [b.op('subtract', [p, step]), nextM, nextV];
    });
    return [...updates, count];
  },
  attention: (b) => attention(b, b.parameter(f32(2, 16, 32)), b.parameter(f32(32, 96)), b.parameter(f32(32, 32)), 4),
  concatenate: (b) => {
    const [x, y] = [b.parameter(f32(4, 8)), b.parameter(f32(4, 3))];
    return b.op('concatenate', [b.op('exponential', [x]), y], { axis: 1 });
  },
  'rotate-half': (b) => {
    const [x, s] = [b.parameter(f32(4, 8)), b.parameter(f32(4, 8))];
    const part = (from: number): Value =>
      b.op('slice', [x], { start: [0, from], limit: [4, from + 4], strides: [1, 1] });
    const turned = b.op('concatenate', [b.op('negate', [part(4)]), part(0)], { axis: 1 });
    return b.op('multiply', [turned, s]);
  },
  embedding: (b) => {
    const [table, tokens] = [b.parameter(f32(100, 32)), b.parameter(i32(B))];
    const rows = b.op('gather', [table, tokens], {
      offset_axes: [1],
      collapsed_axes: [0],
      start_index_map: [0],
      index_vector_axis: 1,
      slice_sizes: [1, 32],
      mode: 'clamp',
    });
    return b.op('multiply', [rows, like(b, rows, 8)]);
  },
  'scatter-add': (b) => {
    const [indices, updates] = [b.parameter(i32(B)), b.parameter(f32(B, 32))];
    const zeros = spread(b, b.op('constant', [], { value: { dtype: 'float32', shape: [], data: [0] } }), [100, 32], []);
    return b.op('scatter', [zeros, indices, updates], {
      update_window_axes: [1],
      inserted_window_axes: [0],
      scatter_axes_to_operand_axes: [0],
      index_vector_axis: 1,
      kind: 'add',
    });
  },
};

describe('kernels', () => {
  test.each(Object.entries(patterns))('%s', async (name, build) => {
    await expect(kernelsOf(graphOf(build))).toMatchFileSnapshot(`golden/${name}.txt`);
  });
});

test('lowering is deterministic', () => {
  for (const build of Object.values(patterns)) expect(kernelsOf(graphOf(build))).toBe(kernelsOf(graphOf(build)));
});
