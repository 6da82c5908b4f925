/**
 * Right results in double precision, to hold every runtime against before it is timed. Big results are sampled: all
 * runtimes must then agree with each other in full (`compare.ts`).
 *
 *     referenceOf({ kind: 'matmul', m: 2, k: 3, n: 4 }, inputs)   // { at: [0, 1, 2, 3, …], values: [0.25, …] }
 */
import { evaluate } from './expression.ts';
import {
  type ConvolutionWork,
  type Kind,
  leaders,
  type MatmulWork,
  type RowWork,
  type Work,
  type WorkOf,
} from './rows.ts';
import { type Elements, type NamedArray, ofKind, outputSize, paddingOf } from './work.ts';

/** Elements of the first result: where they are, and what they are. */
export interface Reference {
  readonly at: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

/** Elements that are looked at where computing all would take long. */
const samples = 4096;

/** So many positions below `count`, spread over all of it; all of them where there are no more. */
function positions(count: number, most = samples): Uint32Array {
  if (count <= most) return Uint32Array.from({ length: count }, (_, i) => i);
  // Steps of an odd length below the whole meet every part, the first and the last element among them.
  return Uint32Array.from({ length: most }, (_, i) =>
    i === most - 1 ? count - 1 : Math.floor((i * count) / (most - 1)),
  );
}

const sample = (count: number, value: (at: number) => number, most?: number): Reference => {
  const at = positions(count, most);
  return { at, values: Float64Array.from(at, value) };
};

function product({ m, k, n }: MatmulWork, [a, b]: readonly Elements[]): Reference {
  return sample(m * n, (at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = 0;
    for (let i = 0; i < k; i++) sum += a[row * k + i] * b[i * n + column];
    return sum;
  });
}

function convolution(work: ConvolutionWork, [x, w]: readonly Elements[]): Reference {
  const { channels, image, filters, kernel, stride, groups } = work;
  const [size, [before], inGroup] = [outputSize(work), paddingOf(work), channels / groups];
  return sample(filters * size ** 2, (at) => {
    const [filter, row, column] = [Math.floor(at / size ** 2), Math.floor(at / size) % size, at % size];
    const first = Math.floor(filter / (filters / groups)) * inGroup;
    let sum = 0;
    for (let c = 0; c < inGroup; c++) {
      for (let i = 0; i < kernel; i++) {
        const y = row * stride + i - before;
        if (y < 0 || y >= image) continue;
        for (let j = 0; j < kernel; j++) {
          const z = column * stride + j - before;
          if (z < 0 || z >= image) continue;
          sum += x[((first + c) * image + y) * image + z] * w[((filter * inGroup + c) * kernel + i) * kernel + j];
        }
      }
    }
    return sum;
  });
}

/** Results whose rows follow from single rows of `x`. */
function overRows(
  { rows, size }: RowWork,
  [x]: readonly Elements[],
  row: (values: Float64Array, index: number) => ArrayLike<number>,
): Reference {
  const chosen = positions(rows, 64);
  const results = Array.from(chosen, (index) =>
    row(Float64Array.from(x.subarray(index * size, (index + 1) * size)), index),
  );
  const width = results[0].length;
  return {
    at: Array.from(chosen).flatMap((index) => Array.from({ length: width }, (_, j) => index * width + j)),
    values: results.flatMap((result) => Array.from(result)),
  };
}

const sumOf = (values: ArrayLike<number>, of: (value: number) => number = (value) => value): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += of(values[i]);
  return sum;
};

function logSumExp(row: Float64Array): number {
  const most = row.reduce((a, b) => Math.max(a, b));
  return most + Math.log(sumOf(row, (value) => Math.exp(value - most)));
}

/** The default of `layerNorm` and `rmsNorm` here and in PyTorch. */
export const epsilon = 1e-5;

type Inputs = readonly Elements[];
const agreement = (): undefined => undefined;

const table: { readonly [K in Kind]: (work: WorkOf<K>) => ((inputs: Inputs) => Reference) | undefined } = {
  matmul: (work) => (inputs) => product(work, inputs),
  int8Matmul: (work) => (inputs) => product(work, inputs),
  convolution: (work) => (inputs) => convolution(work, inputs),
  softmax: (work) => (inputs) =>
    overRows(work, inputs, (row) => {
      const total = logSumExp(row);
      return row.map((value) => Math.exp(value - total));
    }),
  layerNorm: (work) => (inputs) =>
    overRows(work, inputs, (row) => {
      const mean = sumOf(row) / row.length;
      const variance = sumOf(row, (value) => (value - mean) ** 2) / row.length;
      return row.map((value, j) => ((value - mean) / Math.sqrt(variance + epsilon)) * inputs[1][j] + inputs[2][j]);
    }),
  rmsNorm: (work) => (inputs) =>
    overRows(work, inputs, (row) => {
      const meanSquare = sumOf(row, (value) => value ** 2) / row.length;
      return row.map((value, j) => (value / Math.sqrt(meanSquare + epsilon)) * inputs[1][j]);
    }),
  crossEntropy: (work) => (inputs) => overRows(work, inputs, (row, i) => [logSumExp(row) - row[inputs[1][i]]]),
  transpose:
    ({ rows, size }) =>
    ([x]) =>
      sample(rows * size, (at) => Math.fround(x[(at % rows) * size + Math.floor(at / rows)] + 1)),
  sumRows: (work) => (inputs) => overRows(work, inputs, (row) => [sumOf(row)]),
  sumColumns:
    ({ rows, size }) =>
    ([x]) =>
      sample(size, (column) => {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += x[i * size + column];
        return sum;
      }),
  sort: (work) => (inputs) => overRows(work, inputs, (row) => row.sort()),
  topk: (work) => (inputs) => overRows(work, inputs, (row) => row.sort().reverse().subarray(0, leaders)),
  elementwise:
    ({ expression, elements }) =>
    ([x, y]) =>
      sample(elements, (at) => evaluate(expression, x[at], y === undefined ? 0 : y[at]), 65_536),
  tiny:
    () =>
    ([a, b]) =>
      sample(4, (at) => a[at] * b[at] + a[at]),
  // The models: `test/bench/models.test.ts` holds their small twins against the evaluator; here all must agree.
  mlpStep: agreement,
  resnet50: agreement,
  gptBlock: agreement,
  inTurn: agreement,
  inFlight: agreement,
  copy: agreement,
  read: agreement,
  registerTile: agreement,
};

/** The reference of some work, `undefined` where agreement among the runtimes has to do. */
export function referenceOf(work: Work, inputs: readonly NamedArray[]): Reference | undefined {
  return ofKind(table, work)?.(inputs.map(({ data }) => data));
}
