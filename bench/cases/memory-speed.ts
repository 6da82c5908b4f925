/**
 * Everything that only moves memory, against a plain copy of as many bytes measured in turn with it: permutations,
 * reductions over every choice of axes, cumulative operations, softmax and norms along each axis, joins and parts.
 *
 *     permute [1,0] of 2048x2048 float32    moves 2 * 16 MiB;   0.9 of the speed of copying 16 MiB to another 16 MiB
 *
 * Work below `cliff` of the copy's speed is flagged. Samples of each result are checked before anything is timed.
 * `SWEEP=permute,sum npm run bench -- memory-speed` takes only work whose name holds one of the texts.
 */
import {
  argmax,
  compile,
  concat,
  crossEntropy,
  cumulativeProd,
  cumulativeSum,
  flip,
  mean,
  oneHot,
  pad,
  permuteDims,
  roll,
  slice,
  softmax,
  sum,
  type Tensor,
  take,
  tensor,
  variance,
  where,
} from '../../index.ts';
import { measureInTurn } from '../measure.ts';
import { randomFloats } from '../random-floats.ts';
import type { BenchResult, BenchTable } from '../result.ts';
import { formatMs } from '../table.ts';

const cliff = 0.7;

type Shape = readonly number[];
type Stored = 'float32' | 'int8' | 'bool' | 'int32';
type Numbers = ArrayLike<number>;

export interface Work {
  readonly name: string;
  readonly inputs: readonly { readonly shape: Shape; readonly dtype?: Stored; readonly below?: number }[];
  readonly run: (...inputs: Tensor[]) => Tensor;
  /** An element of the result from the inputs. */
  readonly expected?: (index: readonly number[], ...inputs: Numbers[]) => number;
  /** Operations on an element that are more than a copy can hide; such work is not flagged. */
  readonly computes?: boolean;
}

const countOf = (shape: Shape): number => shape.reduce((count, size) => count * size, 1);
const flat = (shape: Shape, index: readonly number[]): number => index.reduce((at, i, axis) => at * shape[axis] + i, 0);

function unflat(shape: Shape, at: number): number[] {
  const index = new Array<number>(shape.length);
  let rest = at;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis];
    rest = Math.floor(rest / shape[axis]);
  }
  return index;
}

function permutations(items: readonly number[]): number[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}

const subsets = (rank: number): number[][] =>
  Array.from({ length: 2 ** rank - 1 }, (_, bits) =>
    Array.from({ length: rank }, (_, axis) => axis).filter((axis) => ((bits + 1) >> axis) & 1),
  );

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

const permuteWork = (shape: Shape, axes: readonly number[], dtype: Stored = 'float32', plus = 0): Work => ({
  name: `permute [${axes}]${plus ? ` + ${plus}` : ''} of ${shape.join('x')} ${dtype}`,
  inputs: [{ shape, dtype }],
  run: (x) => (plus ? permuteDims(x, axes).add(plus) : permuteDims(x, axes)),
  expected: (index, x) => {
    const source = new Array<number>(shape.length);
    for (const [to, from] of axes.entries()) source[from] = index[to];
    return x[flat(shape, source)] + plus;
  },
});

const permuteWorks = (shape: Shape, dtype: Stored = 'float32'): Work[] =>
  permutations(range(shape.length))
    .filter((axes) => axes.some((axis, at) => axis !== at))
    .map((axes) => permuteWork(shape, axes, dtype));

/** The elements that belong to an element of a reduction. */
function reduced(shape: Shape, axes: readonly number[], index: readonly number[], x: Numbers): number[] {
  const inner = axes.map((axis) => shape[axis]);
  return range(countOf(inner)).map((at) => {
    const within = unflat(inner, at);
    const kept = [...index];
    const full = shape.map((_, axis) => (axes.includes(axis) ? within[axes.indexOf(axis)] : kept.shift()!));
    return x[flat(shape, full)];
  });
}

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function reduceWorks(shape: Shape): Work[] {
  const kinds: { name: string; run: (x: Tensor, axes: number[]) => Tensor; value: (of: number[]) => number }[] = [
    { name: 'sum', run: (x, axes) => sum(x, axes), value: total },
    { name: 'max', run: (x, axes) => x.max(axes), value: (of) => of.reduce((a, b) => Math.max(a, b)) },
    { name: 'mean', run: (x, axes) => mean(x, axes), value: (of) => total(of) / of.length },
  ];
  const inputs = [{ shape }];
  const works = subsets(shape.length).flatMap((axes) =>
    kinds.map(
      ({ name, run, value }): Work => ({
        name: `${name} [${axes}] of ${shape.join('x')}`,
        inputs,
        run: (x) => run(x, axes),
        expected: (index, x) => value(reduced(shape, axes, index, x)),
      }),
    ),
  );
  const argmaxes = range(shape.length).map(
    (axis): Work => ({
      name: `argmax [${axis}] of ${shape.join('x')}`,
      inputs,
      run: (x) => argmax(x, axis),
      expected: (index, x) => {
        const values = reduced(shape, [axis], index, x);
        return values.indexOf(values.reduce((a, b) => Math.max(a, b)));
      },
    }),
  );
  return [...works, ...argmaxes];
}

function truthWorks(shape: Shape): Work[] {
  return subsets(shape.length).map((axes) => ({
    name: `any [${axes}] of ${shape.join('x')} bool`,
    inputs: [{ shape, dtype: 'bool' }],
    run: (x) => x.any(axes),
    expected: (index, x) => reduced(shape, axes, index, x).reduce((a, b) => Math.max(a, b)),
  }));
}

function cumulativeWorks(shape: Shape): Work[] {
  return range(shape.length).flatMap((axis): Work[] => {
    const upTo = (index: readonly number[], x: Numbers): number[] => {
      const others = index.filter((_, at) => at !== axis);
      return reduced(shape, [axis], others, x).slice(0, index[axis] + 1);
    };
    const [inputs, of] = [[{ shape }], `[${axis}] of ${shape.join('x')}`];
    return [
      {
        name: `cumsum ${of}`,
        inputs,
        run: (x) => cumulativeSum(x, axis),
        ...(shape[axis] <= 8192 && { expected: (i: readonly number[], x: Numbers) => total(upTo(i, x)) }),
      },
      { name: `cumprod ${of}`, inputs, run: (x) => cumulativeProd(x.mul(0.01).add(1), axis), computes: true },
    ];
  });
}

function normWorks(shape: Shape): Work[] {
  const text = shape.join('x');
  return range(shape.length).flatMap((axis): Work[] => [
    {
      name: `softmax [${axis}] of ${text}`,
      inputs: [{ shape }],
      run: (x) => softmax(x, axis),
      expected: (index, x) => {
        const others = index.filter((_, at) => at !== axis);
        return Math.exp(x[flat(shape, index)]) / total(reduced(shape, [axis], others, x).map(Math.exp));
      },
      computes: true,
    },
    {
      name: `standardise [${axis}] of ${text}`,
      inputs: [{ shape }],
      run: (x) => x.sub(mean(x, axis, { keepdims: true })).mul(variance(x, axis, { keepdims: true }).add(1e-5).rsqrt()),
      computes: true,
    },
    {
      name: `rms norm [${axis}] of ${text}`,
      inputs: [{ shape }],
      run: (x) => x.mul(mean(x.mul(x), axis, { keepdims: true }).add(1e-5).rsqrt()),
      computes: true,
    },
  ]);
}

const square = 2048;
const matrix: Shape = [square, square];

const movingWorks: readonly Work[] = [
  { name: 'x + row', inputs: [{ shape: matrix }, { shape: [square] }], run: (x, r) => x.add(r) },
  { name: 'x + column', inputs: [{ shape: matrix }, { shape: [square, 1] }], run: (x, c) => x.add(c) },
  { name: 'row + column', inputs: [{ shape: [square] }, { shape: [square, 1] }], run: (r, c) => r.add(c) },
  ...[0, 1].map(
    (axis): Work => ({
      name: `concat [${axis}]`,
      inputs: [{ shape: [square, 1024] }, { shape: [square, 1024] }],
      run: (a, b) => concat([a, b], axis),
    }),
  ),
  {
    name: 'concat [1] of 1023 and 1025',
    inputs: [{ shape: [square, 1023] }, { shape: [square, 1025] }],
    run: (a, b) => concat([a, b], 1),
  },
  {
    name: 'concat [2] of 3 + 5',
    inputs: [{ shape: [1024, 512, 3] }, { shape: [1024, 512, 5] }],
    run: (a, b) => concat([a, b], 2),
  },
  { name: 'slice rows', inputs: [{ shape: matrix }], run: (x) => slice(x, [100, 1900]) },
  { name: 'slice columns', inputs: [{ shape: matrix }], run: (x) => slice(x, null, [101, 1901]) },
  { name: 'slice every 2nd row', inputs: [{ shape: matrix }], run: (x) => slice(x, [0, square, 2]) },
  { name: 'slice every 2nd column', inputs: [{ shape: matrix }], run: (x) => slice(x, null, [0, square, 2]) },
  { name: 'slice every 3rd column', inputs: [{ shape: matrix }], run: (x) => slice(x, null, [0, square, 3]) },
  { name: 'flip columns', inputs: [{ shape: matrix }], run: (x) => flip(x, 1) },
  { name: 'flip rows', inputs: [{ shape: matrix }], run: (x) => flip(x, 0) },
  { name: 'flip bytes', inputs: [{ shape: matrix, dtype: 'int8' }], run: (x) => flip(x, 1) },
  { name: 'roll columns by 5', inputs: [{ shape: matrix }], run: (x) => roll(x, 5, 1) },
  { name: 'roll rows by 5', inputs: [{ shape: matrix }], run: (x) => roll(x, 5, 0) },
  { name: 'pad by 1', inputs: [{ shape: matrix }], run: (x) => pad(x, 1) },
  {
    name: 'pad 16x64x56x56 by 1',
    inputs: [{ shape: [16, 64, 56, 56] }],
    run: (x) =>
      pad(x, [
        [0, 0],
        [0, 0],
        [1, 1],
        [1, 1],
      ]),
  },
  {
    name: 'take rows',
    inputs: [{ shape: matrix }, { shape: [square], dtype: 'int32', below: square }],
    run: (x, i) => take(x, i, 0),
  },
  {
    name: 'take columns',
    inputs: [{ shape: matrix }, { shape: [square], dtype: 'int32', below: square }],
    run: (x, i) => take(x, i, 1),
  },
  {
    name: 'one-hot 4096 of 1000',
    inputs: [{ shape: [4096], dtype: 'int32', below: 1000 }],
    run: (i) => oneHot(i, 1000),
  },
  {
    name: 'where',
    inputs: [{ shape: matrix, dtype: 'bool' }, { shape: matrix }, { shape: matrix }],
    run: (c, a, b) => where(c, a, b),
  },
  {
    name: 'stack of channels',
    inputs: [{ shape: [1024, 1024] }, { shape: [1024, 1024] }],
    run: (a, b) => concat([a.reshape([1024, 1024, 1]), b.reshape([1024, 1024, 1])], 2),
  },
  {
    name: 'cross-entropy 1024x1024',
    inputs: [{ shape: [1024, 1024] }, { shape: [1024], dtype: 'int32', below: 1024 }],
    run: (x, t) => crossEntropy(x, t),
    computes: true,
  },
];

export const works = (): readonly Work[] => [
  ...permuteWorks([square, square]),
  ...permuteWorks([2047, 2049]),
  ...permuteWorks([square, square], 'int8'),
  ...permuteWorks([2047, 2049], 'bool'),
  permuteWork([4096, 1024], [1, 0], 'float32', 1),
  permuteWork([1048576, 3], [1, 0]),
  permuteWork([3, 1048576], [1, 0]),
  permuteWork([500000, 7], [1, 0]),
  permuteWork([16, 262144], [1, 0]),
  ...permuteWorks([128, 160, 192]),
  ...permuteWorks([127, 161, 193]),
  permuteWork([8, 3, 512, 512], [0, 2, 3, 1]),
  permuteWork([8, 512, 512, 3], [0, 3, 1, 2], 'int8'),
  permuteWork([8, 512, 512, 3], [0, 3, 1, 2]),
  permuteWork([8, 128, 16, 64], [0, 2, 1, 3]),
  permuteWork([32, 128, 16, 64], [0, 2, 1, 3]),
  ...permuteWorks([32, 48, 64, 40]),
  permuteWork([16, 12, 20, 24, 28], [4, 3, 2, 1, 0]),
  permuteWork([16, 12, 20, 24, 28], [1, 4, 0, 3, 2]),
  ...reduceWorks([square, square]),
  ...reduceWorks([2047, 2049]),
  ...reduceWorks([128, 160, 192]),
  ...reduceWorks([1048576, 4]),
  ...reduceWorks([3, 1048576]),
  ...truthWorks([square, square]),
  ...cumulativeWorks([square, square]),
  ...cumulativeWorks([128, 160, 192]),
  ...cumulativeWorks([1048576, 4]),
  ...cumulativeWorks([4194304]),
  ...normWorks([1024, 1024]),
  ...normWorks([1023, 1025]),
  ...normWorks([64, 128, 130]),
  ...normWorks([131072, 16]),
  ...movingWorks,
];

function makeInput({ shape, dtype = 'float32', below }: Work['inputs'][number], seed: number) {
  const floats = randomFloats(countOf(shape), seed);
  if (dtype === 'float32') return { data: floats, value: tensor(floats, { shape }) };
  const range = dtype === 'bool' ? 2 : (below ?? 200);
  const shift = dtype === 'int8' ? 100 : 0;
  const Data = dtype === 'int32' ? Int32Array : dtype === 'int8' ? Int8Array : Uint8Array;
  const data = new Data(floats.map((v) => Math.floor(((v + 1) / 2) * range) - shift));
  return { data, value: tensor(data, { shape, dtype }) };
}

export interface Speed {
  readonly name: string;
  readonly milliseconds: number;
  /** Bytes read and written a second, in units of 10^9, of the work and of a copy of as many bytes. */
  readonly rate: number;
  readonly copyRate: number;
  readonly computes: boolean;
}

const bytesOf = (dtype: string): number => (dtype === 'float32' || dtype === 'int32' ? 4 : 1);

/** Checks a few elements of the result, then times the work and a copy of half its bytes, in turn. */
export async function measureWork(work: Work, rounds = 15): Promise<Speed> {
  const inputs = work.inputs.map((input, i) => makeInput(input, i + 1));
  const values = inputs.map(({ value }) => value);
  const compiled = compile(work.run);
  const result = compiled(...values);
  await checkSamples(
    work,
    result,
    inputs.map(({ data }) => data),
  );
  const moved =
    countOf(result.shape as Shape) * bytesOf(result.dtype) +
    work.inputs.reduce((bytes, { shape, dtype = 'float32' }) => bytes + countOf(shape) * bytesOf(dtype), 0);
  result.dispose();
  const source = new Uint8Array(Math.ceil(moved / 2)).fill(1);
  const target = new Uint8Array(source.length).fill(2);
  const [{ best }, copy] = await measureInTurn(
    [
      { name: work.name, run: () => compiled(...values).dispose() },
      { name: 'copy', run: () => target.set(source) },
    ],
    { rounds, warmup: 6 },
  );
  for (const value of values) value.dispose();
  const rate = (ms: number): number => moved / ms / 1e6;
  return {
    name: work.name,
    milliseconds: best,
    rate: rate(best),
    copyRate: rate(copy.best),
    computes: work.computes ?? false,
  };
}

async function checkSamples({ name, expected }: Work, result: Tensor, inputs: readonly Numbers[]): Promise<void> {
  const shape = result.shape as Shape;
  const data = await result.data();
  if (!expected) return;
  const count = countOf(shape);
  for (const share of [0, 0.37, 0.71, 1]) {
    const at = Math.floor(share * (count - 1));
    const [actual, wanted] = [Number(data[at]), expected(unflat(shape, at), ...inputs)];
    const close = Math.abs(actual - wanted) <= 1e-3 * Math.max(1, Math.abs(wanted));
    if (!close) throw new Error(`${name}: element ${at} is ${actual}, expected ${wanted}`);
  }
}

export async function memorySpeedCase(): Promise<BenchResult> {
  const wanted = process.env.SWEEP?.split(',');
  const speeds: Speed[] = [];
  for (const work of works()) {
    if (wanted && !wanted.some((text) => work.name.includes(text))) continue;
    speeds.push(await measureWork(work));
  }
  const table: BenchTable = {
    title: 'GB/s read and written, beside a copy of as many bytes',
    columns: ['work', 'time', 'GB/s', 'copy', 'share', ''],
    rows: speeds.map(({ name, milliseconds, rate, copyRate, computes }) => {
      const share = rate / copyRate;
      const mark = computes ? 'computes' : share < cliff ? 'below' : '';
      return [name, formatMs(milliseconds), rate.toFixed(1), copyRate.toFixed(1), share.toFixed(2), mark];
    }),
  };
  const moving = speeds.filter(({ computes }) => !computes);
  const fast = moving.filter(({ rate, copyRate }) => rate >= cliff * copyRate).length;
  const row = {
    work: 'reductions and shape operations, one thread',
    measured: `${fast} of ${moving.length} at ${cliff} of a copy or better`,
    figure: `${((100 * fast) / Math.max(moving.length, 1)).toFixed(0)} %`,
    target: 'all',
    met: fast === moving.length,
  };
  return { title: 'Memory speed', mode: 'fast', rows: [row], tables: [table] };
}
