/**
 * What follows from a row's work alone: its inputs, how many operations and bytes it takes, what results it has and how
 * far two right ones may be apart.
 *
 *     inputsOf({ kind: 'matmul', m: 2, k: 3, n: 4 })     // [{ name: 'a', shape: [2, 3], … }, { name: 'b', … }]
 */
import { type Tensor, tree } from '../../index.ts';
import { blockModel } from '../models/gpt.ts';
import { mlp } from '../models/mlp.ts';
import type { Model } from '../models/model.ts';
import { resnet50 } from '../models/resnet.ts';
import { forwardModel, stepModel } from '../models/training.ts';
import { randomFloats } from '../random-floats.ts';
import { variablesOf } from './expression.ts';
import type { ConvolutionWork, Kind, Work, WorkOf } from './rows.ts';

export type Elements = Float32Array | Int32Array | Int8Array;

export const dtypes = { float32: Float32Array, int32: Int32Array, int8: Int8Array } as const;
export type DTypeName = keyof typeof dtypes;

export interface ArrayType {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: DTypeName;
}

export interface NamedArray extends ArrayType {
  readonly data: Elements;
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((count, size) => count * size, 1);

type PerKind<T> = { readonly [K in Kind]: (work: WorkOf<K>) => T };

/** Asks a table with one function a kind. */
export function ofKind<T>(table: PerKind<T>, work: Work): T {
  const entry = table[work.kind] as (work: Work) => T;
  return entry(work);
}

const floats = (name: string, shape: readonly number[], scale = 1): NamedArray => {
  // The seed follows from the name and the size: operands differ from each other, and are the same in every run.
  const data = randomFloats(sizeOf(shape), name.charCodeAt(0) * 1_000_003 + sizeOf(shape));
  if (scale !== 1) for (let i = 0; i < data.length; i++) data[i] *= scale;
  return { name, shape, dtype: 'float32', data };
};

const around = (name: string, shape: readonly number[], centre: number): NamedArray => {
  const array = floats(name, shape, 0.25);
  for (let i = 0; i < array.data.length; i++) array.data[i] += centre;
  return array;
};

const integers = (name: string, shape: readonly number[], dtype: 'int32' | 'int8', below: number): NamedArray => {
  const uniform = floats(name, shape).data;
  const low = dtype === 'int8' ? -below : 0;
  const data = new dtypes[dtype](uniform.length);
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(low + ((uniform[i] + 1) / 2) * (below - low));
  return { name, shape, dtype, data };
};

/** The bench graph behind a kind of work. */
export const modelOf = {
  mlpStep: ({ batch, sizes }: WorkOf<'mlpStep'>): Model => stepModel(mlp({ batch, sizes }), 'sgd'),
  resnet50: ({ image }: WorkOf<'resnet50'>): Model => resnet50({ batch: 1, image }),
  gptBlock: ({ time, width, heads }: WorkOf<'gptBlock'>): Model => blockModel({ batch: 1, time, width, heads }),
  flight: (): Model => forwardModel(mlp({ batch: 64, sizes: [784, 256, 10] })),
} as const;

/** The leaves of a tree by their ways from the root, such as `0.stages.1.0.reduce.kernel`, in the order of leaves. */
function named(value: unknown, path: string): { readonly name: string; readonly leaf: Tensor }[] {
  if (value === null) return [];
  if (tree.leaves(value).length === 1 && tree.leaves(value)[0] === value)
    return [{ name: path, leaf: value as Tensor }];
  const keys = Object.keys(value as object);
  if (!Array.isArray(value)) keys.sort();
  const at = value as Readonly<Record<string, unknown>>;
  return keys.flatMap((key) => named(at[key], path === '' ? key : `${path}.${key}`));
}

function modelInputs(model: Model): NamedArray[] {
  return named(model.make(1), '').map(({ name, leaf }) => {
    const data = leaf.dataSync() as Elements;
    leaf.dispose();
    return { name, shape: leaf.shape, dtype: leaf.dtype as DTypeName, data };
  });
}

const matrix = ({ rows, size }: { readonly rows: number; readonly size: number }): NamedArray =>
  floats('x', [rows, size], 2);
const none = (): NamedArray[] => [];

const inputTable: PerKind<readonly NamedArray[]> = {
  matmul: ({ m, k, n }) => [floats('a', [m, k]), floats('b', [k, n])],
  int8Matmul: ({ m, k, n }) => [integers('a', [m, k], 'int8', 128), integers('b', [k, n], 'int8', 128)],
  convolution: ({ channels, image, filters, kernel, groups }) => [
    floats('x', [1, channels, image, image]),
    floats('w', [filters, channels / groups, kernel, kernel]),
  ],
  softmax: (work) => [matrix(work)],
  layerNorm: (work) => [matrix(work), around('weight', [work.size], 1), floats('bias', [work.size], 0.1)],
  rmsNorm: (work) => [matrix(work), around('weight', [work.size], 1)],
  crossEntropy: (work) => [matrix(work), integers('labels', [work.rows], 'int32', work.size)],
  transpose: (work) => [matrix(work)],
  sumRows: (work) => [matrix(work)],
  sumColumns: (work) => [matrix(work)],
  sort: (work) => [matrix(work)],
  topk: (work) => [matrix(work)],
  elementwise: ({ expression, elements }) => variablesOf(expression).map((name) => floats(name, [elements], 2)),
  mlpStep: (work) => modelInputs(modelOf.mlpStep(work)),
  resnet50: (work) => modelInputs(modelOf.resnet50(work)),
  gptBlock: (work) => modelInputs(modelOf.gptBlock(work)),
  inTurn: () => modelInputs(modelOf.flight()),
  inFlight: () => modelInputs(modelOf.flight()),
  tiny: () => [floats('a', [4]), floats('b', [4])],
  copy: none,
  read: none,
  registerTile: none,
};

/** The inputs of some work, random and the same in every run. */
export const inputsOf = (work: Work): readonly NamedArray[] => ofKind(inputTable, work);

/** Rows and columns of a convolution's result. */
export const outputSize = ({ image, kernel, stride, padding }: ConvolutionWork): number =>
  Math.ceil((padding === 'same' ? image : image - kernel + 1) / stride);

/** Zeros around the image, the odd one after it, as ONNX's `SAME_UPPER`. */
export function paddingOf(work: ConvolutionWork): readonly [before: number, after: number] {
  if (work.padding === 'valid') return [0, 0];
  const total = Math.max(0, (outputSize(work) - 1) * work.stride + work.kernel - work.image);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

/** The register tile's work: so that a call takes some milliseconds. */
export const tileFlops = 2 ** 27;

const { round } = Math;
const float = 4;
const noFlops = (): undefined => undefined;

const flopTable: PerKind<number | undefined> = {
  matmul: ({ m, k, n }) => 2 * m * k * n,
  int8Matmul: ({ m, k, n }) => 2 * m * k * n,
  convolution: (work) => {
    const { channels, filters, kernel, groups } = work;
    return 2 * filters * (channels / groups) * kernel ** 2 * outputSize(work) ** 2;
  },
  // Forward, weights' gradients, and the gradient of the hidden layer.
  mlpStep: ({ batch, sizes: [from, hidden, to] }) => 2 * batch * (2 * from * hidden + 3 * hidden * to),
  // 4.09 GMAC at 224 by 224 (He et al., 2016, as torchvision counts them).
  resnet50: ({ image }) => round(8.18e9 * (image / 224) ** 2),
  gptBlock: ({ time, width }) => 2 * time * 12 * width ** 2 + 4 * time ** 2 * width,
  inTurn: ({ calls }) => calls * 2 * 64 * (784 * 256 + 256 * 10),
  inFlight: ({ calls }) => calls * 2 * 64 * (784 * 256 + 256 * 10),
  registerTile: () => tileFlops,
  softmax: noFlops,
  layerNorm: noFlops,
  rmsNorm: noFlops,
  crossEntropy: noFlops,
  transpose: noFlops,
  sumRows: noFlops,
  sumColumns: noFlops,
  sort: noFlops,
  topk: noFlops,
  elementwise: noFlops,
  tiny: noFlops,
  copy: noFlops,
  read: noFlops,
};

/** Floating-point operations of one call, where that is what counts. */
export const flopsOf = (work: Work): number | undefined => ofKind(flopTable, work);

const mapped = ({ rows, size }: { readonly rows: number; readonly size: number }): number => 2 * rows * size * float;
const read = ({ rows, size }: { readonly rows: number; readonly size: number }): number => rows * size * float;
const unknown = (): undefined => undefined;

const byteTable: PerKind<number | undefined> = {
  softmax: mapped,
  layerNorm: mapped,
  rmsNorm: mapped,
  crossEntropy: read,
  transpose: mapped,
  sumRows: read,
  sumColumns: read,
  sort: mapped,
  topk: read,
  elementwise: ({ expression, elements }) => (variablesOf(expression).length + 1) * elements * float,
  copy: ({ bytes }) => 2 * bytes,
  read: ({ bytes }) => bytes,
  matmul: ({ m, k, n }) => (m * k + k * n + m * n) * float,
  int8Matmul: ({ m, k, n }) => m * k + k * n + m * n * float,
  convolution: (work) => {
    const { channels, image, filters, kernel, groups } = work;
    return (
      (channels * image ** 2 + (filters * channels * kernel ** 2) / groups + filters * outputSize(work) ** 2) * float
    );
  },
  mlpStep: unknown,
  resnet50: unknown,
  gptBlock: unknown,
  inTurn: unknown,
  inFlight: unknown,
  tiny: unknown,
  registerTile: unknown,
};

/** Bytes that one call reads and writes at the least, where they are known. */
export const bytesOf = (work: Work): number | undefined => ofKind(byteTable, work);

/** Samples that one call handles. */
export const batchOf = (work: Work): number => ('batch' in work ? work.batch : 'rows' in work ? work.rows : 1);

/** How far two right results may be apart, as a part of the largest magnitude: more where errors add up. */
export function toleranceOf(work: Work): number {
  if (work.kind === 'int8Matmul') return 0;
  return ['resnet50', 'gptBlock', 'mlpStep', 'inTurn', 'inFlight'].includes(work.kind) ? 1e-4 : 2e-5;
}
