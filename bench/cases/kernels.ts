/**
 * Single kernels of the kinds that models are made of: skinny products, a convolution, reductions along either axis, a
 * softmax, a transpose. No rival, only what they reach; each result is checked before it is timed.
 */
import { compile, conv2d, softmax, type Tensor, tensor } from '../../index.ts';
import { assertClose, measureInTurn } from '../measure.ts';
import { randomFloats } from '../random-floats.ts';
import type { BenchResult, BenchRow } from '../result.ts';
import { formatMs } from '../table.ts';

interface Work {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly run: (...inputs: Tensor[]) => Tensor;
  /** One element of the result, for the check, and its index. */
  readonly expected: (...inputs: Float32Array[]) => readonly [index: number, value: number];
  readonly flops?: number;
  readonly bytes?: number;
}

const sum = (count: number, at: (i: number) => number): number =>
  Array.from({ length: count }, (_, i) => at(i)).reduce((total, value) => total + value, 0);

function product(rows: number, depth: number, columns: number): Work {
  return {
    name: `matmul ${rows}x${depth}x${columns}`,
    shapes: [
      [rows, depth],
      [depth, columns],
    ],
    run: (a, b) => a.matmul(b),
    expected: (a, b) => [columns - 1, sum(depth, (k) => a[k] * b[k * columns + columns - 1])],
    flops: 2 * rows * depth * columns,
  };
}

const works: readonly Work[] = [
  product(16, 512, 256),
  product(64, 784, 256),
  product(1, 1024, 1024),
  product(1000, 37, 129),
  {
    name: 'conv 3x3, 64 to 64 channels, 56x56, SAME',
    shapes: [
      [1, 64, 56, 56],
      [64, 64, 3, 3],
    ],
    run: (x, w) => conv2d(x, w, null, { padding: 'same' }),
    expected: (x, w) => [57, sum(576, (i) => w[i] * x[((i / 9) | 0) * 3136 + (((i % 9) / 3) | 0) * 56 + (i % 3)])],
    flops: 2 * 64 * 576 * 3136,
  },
  {
    name: 'sum over rows, 1024x1024',
    shapes: [[1024, 1024]],
    run: (x) => x.sum(1),
    expected: (x) => [5, sum(1024, (j) => x[5 * 1024 + j])],
    bytes: 2 ** 22,
  },
  {
    name: 'sum over columns, 1024x1024',
    shapes: [[1024, 1024]],
    run: (x) => x.sum(0),
    expected: (x) => [5, sum(1024, (i) => x[i * 1024 + 5])],
    bytes: 2 ** 22,
  },
  {
    name: 'softmax, 1024x1024',
    shapes: [[1024, 1024]],
    run: (x) => softmax(x, -1),
    expected: (x) => [7, Math.exp(x[7]) / sum(1024, (j) => Math.exp(x[j]))],
    bytes: 2 ** 23,
  },
  {
    name: 'transpose + 1, 4096x1024',
    shapes: [[4096, 1024]],
    run: (x) => x.T.add(1),
    expected: (x) => [1, x[1024] + 1],
    bytes: 2 ** 25,
  },
];

export async function kernelsCase(): Promise<BenchResult> {
  const rows: BenchRow[] = [];
  for (const { name, shapes, run, expected, flops, bytes } of works) {
    const data = shapes.map((shape, i) =>
      randomFloats(
        shape.reduce((count, size) => count * size, 1),
        i + 1,
      ),
    );
    const inputs = shapes.map((shape, i) => tensor(data[i], { shape }));
    const compiled = compile(run);
    const [index, value] = expected(...data);
    const result = await compiled(...inputs).data();
    assertClose(name, [Number(result[index])], [value], 1e-3);
    const [{ median }] = await measureInTurn([{ name, run: () => compiled(...inputs).dispose() }]);
    const rate = flops ? `${(flops / median / 1e6).toFixed(1)} GFLOP/s` : `${(bytes! / median / 1e6).toFixed(1)} GB/s`;
    rows.push({ work: name, measured: formatMs(median), figure: rate });
  }
  return { title: 'Single kernels, float32, one thread', mode: 'fast', rows };
}
