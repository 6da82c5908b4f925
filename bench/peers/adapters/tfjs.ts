/** TensorFlow.js, on any backend. Images are NHWC for it. */
import type { Prepare } from '../adapter.ts';
import { type Algebra, interpret, type Variable } from '../expression.ts';
import type { Absent } from '../protocol.ts';
import { epsilon } from '../reference.ts';
import { type Kind, leaders, type Work, type WorkOf } from '../rows.ts';
import { type Elements, type NamedArray, ofKind } from '../work.ts';

interface TfTensor {
  dispose(): void;
  data(): Promise<Elements>;
}

type Unary = (x: TfTensor) => TfTensor;
type Binary = (x: TfTensor | number, y: TfTensor | number) => TfTensor;

export interface Tf
  extends Readonly<Record<'abs' | 'erf' | 'exp' | 'relu' | 'sigmoid' | 'sin' | 'sqrt' | 'tanh' | 'neg', Unary>>,
    Readonly<Record<'add' | 'sub' | 'mul' | 'div', Binary>> {
  readonly version_core: string;
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  tensor(data: Elements, shape: readonly number[], dtype: string): TfTensor;
  tidy<T>(body: () => T): T;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  conv2d(x: TfTensor, w: TfTensor, stride: number, padding: string | readonly (readonly number[])[]): TfTensor;
  depthwiseConv2d(x: TfTensor, w: TfTensor, stride: number, padding: string): TfTensor;
  maxPool(x: TfTensor, size: number, stride: number, padding: number): TfTensor;
  batchNorm(
    x: TfTensor,
    mean: TfTensor,
    variance: TfTensor,
    offset: TfTensor,
    scale: TfTensor,
    epsilon: number,
  ): TfTensor;
  softmax(x: TfTensor, axis: number): TfTensor;
  logSoftmax(x: TfTensor, axis: number): TfTensor;
  oneHot(x: TfTensor, classes: number): TfTensor;
  mean(x: TfTensor, axis: number | readonly number[], keepDims?: boolean): TfTensor;
  sum(x: TfTensor, axis: number): TfTensor;
  transpose(x: TfTensor, axes?: readonly number[]): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  topk(x: TfTensor, k: number): { readonly values: TfTensor };
  split(x: TfTensor, parts: number, axis: number): TfTensor[];
}

interface Built {
  call(inputs: readonly TfTensor[]): TfTensor;
  /** From the program's layout to the row's. */
  finish?(tf: Tf, result: TfTensor): TfTensor;
}

const algebra = (tf: Tf, variables: Readonly<Record<Variable, TfTensor>>): Algebra<TfTensor> => {
  const { abs, erf, exp, relu, sigmoid, sin, sqrt, tanh, add, sub, mul, div } = tf;
  return {
    variable: (name) => variables[name],
    constant: (value) => value,
    unary: {
      abs,
      erf,
      exp,
      relu,
      sigmoid,
      sin,
      sqrt,
      tanh,
      gelu: (x) => gelu(tf, x),
      silu: (x) => mul(x, sigmoid(x)),
    },
    binary: { add, sub, mul, div },
  };
};

const gelu = (tf: Tf, x: TfTensor): TfTensor => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));

function layerNorm(tf: Tf, x: TfTensor, weight: TfTensor, bias: TfTensor, axis: number): TfTensor {
  const centred = tf.sub(x, tf.mean(x, axis, true));
  const variance = tf.mean(tf.mul(centred, centred), axis, true);
  return tf.add(tf.mul(tf.div(centred, tf.sqrt(tf.add(variance, epsilon))), weight), bias);
}

const crossEntropy = (tf: Tf, logits: TfTensor, labels: TfTensor, classes: number): TfTensor =>
  tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits, 1), tf.oneHot(labels, classes)), 1));

const toChannelsLast = (tf: Tf, image: TfTensor): TfTensor => tf.transpose(image, [0, 2, 3, 1]);

/** The inputs by name, prepared once: images NHWC, kernels as `[height, width, in, out]`. */
function prepareInputs(tf: Tf, work: Work, inputs: readonly NamedArray[]): TfTensor[] {
  return inputs.map(({ name, data, shape, dtype }) => {
    const tensor = tf.tensor(data, shape, dtype);
    if (shape.length !== 4 || (work.kind !== 'convolution' && work.kind !== 'resnet50')) return tensor;
    if (name === 'x' || name === '1') return toChannelsLast(tf, tensor);
    const depthwise = work.kind === 'convolution' && work.groups > 1;
    return tf.transpose(tensor, depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0]);
  });
}

function resnet50(tf: Tf, names: readonly string[], inputs: readonly TfTensor[]): TfTensor {
  const has = (name: string): boolean => names.includes(name);
  const input = (name: string): TfTensor => inputs[names.indexOf(name)];
  const convNorm = (x: TfTensor, path: string, pad: number, stride: number): TfTensor => {
    const pads = [
      [0, 0],
      [pad, pad],
      [pad, pad],
      [0, 0],
    ];
    const convolved = tf.conv2d(x, input(`${path}.kernel`), stride, pad === 0 ? 'valid' : pads);
    const [mean, variance, bias, weight] = ['mean', 'variance', 'bias', 'weight'].map((part) =>
      input(`${path}.norm.${part}`),
    );
    return tf.batchNorm(convolved, mean, variance, bias, weight, epsilon);
  };
  let x = tf.maxPool(tf.relu(convNorm(input('1'), '0.stem', 3, 2)), 3, 2, 1);
  for (let stage = 0; has(`0.stages.${stage}.0.reduce.kernel`); stage++) {
    for (let block = 0; has(`0.stages.${stage}.${block}.reduce.kernel`); block++) {
      const path = `0.stages.${stage}.${block}`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const narrow = tf.relu(convNorm(x, `${path}.reduce`, 0, 1));
      const wide = convNorm(tf.relu(convNorm(narrow, `${path}.spatial`, 1, stride)), `${path}.expand`, 0, 1);
      const beside = has(`${path}.shortcut.kernel`) ? convNorm(x, `${path}.shortcut`, 0, stride) : x;
      x = tf.relu(tf.add(wide, beside));
    }
  }
  return tf.add(tf.matMul(tf.mean(x, [1, 2]), input('0.head.weight')), input('0.head.bias'));
}

function gptBlock(
  tf: Tf,
  { time, width, heads }: WorkOf<'gptBlock'>,
  names: readonly string[],
  inputs: readonly TfTensor[],
): TfTensor {
  const size = width / heads;
  const input = (name: string): TfTensor => inputs[names.indexOf(name)];
  const dense = (x: TfTensor, path: string): TfTensor =>
    tf.add(tf.matMul(x, input(`0.${path}.weight`)), input(`0.${path}.bias`));
  const norm = (x: TfTensor, path: string): TfTensor =>
    layerNorm(tf, x, input(`0.${path}.weight`), input(`0.${path}.bias`), 1);
  const x = tf.reshape(input('1'), [time, width]);
  const [q, k, v] = tf
    .split(dense(norm(x, 'attentionNorm'), 'qkv'), 3, 1)
    .map((part) => tf.transpose(tf.reshape(part, [time, heads, size]), [1, 0, 2]));
  const mask = Float32Array.from({ length: time * time }, (_, i) => (i % time <= Math.floor(i / time) ? 0 : -1e9));
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(size));
  const weights = tf.softmax(tf.add(scores, tf.tensor(mask, [time, time], 'float32')), 2);
  const mixed = tf.reshape(tf.transpose(tf.matMul(weights, v), [1, 0, 2]), [time, width]);
  const attended = tf.add(x, dense(mixed, 'out'));
  return tf.add(attended, dense(gelu(tf, dense(norm(attended, 'mlpNorm'), 'up')), 'down'));
}

function build(tf: Tf, work: Work, names: readonly string[]): Built | string {
  const of = (call: Built['call']): Built => ({ call });
  const unknown = (): string => 'no such operation';
  const loss: Built['call'] = ([firstBias, first, secondBias, second, x, labels]) => {
    const hidden = tf.relu(tf.add(tf.matMul(x, first), firstBias));
    return tf.mean(crossEntropy(tf, tf.add(tf.matMul(hidden, second), secondBias), labels, 10), 0);
  };
  const table: { readonly [K in Kind]: (work: WorkOf<K>) => Built | string } = {
    matmul: () => of(([a, b]) => tf.matMul(a, b)),
    int8Matmul: () => 'no integers of 8 bits',
    convolution: ({ stride, padding, groups }) => ({
      call: ([x, w]) => (groups > 1 ? tf.depthwiseConv2d(x, w, stride, padding) : tf.conv2d(x, w, stride, padding)),
      finish: (_, result) => tf.transpose(result, [0, 3, 1, 2]),
    }),
    softmax: () => of(([x]) => tf.softmax(x, 1)),
    layerNorm: () => of(([x, weight, bias]) => layerNorm(tf, x, weight, bias, 1)),
    rmsNorm: () =>
      of(([x, weight]) => {
        const square = tf.mean(tf.mul(x, x), 1, true);
        return tf.mul(tf.div(x, tf.sqrt(tf.add(square, epsilon))), weight);
      }),
    crossEntropy: ({ size }) => of(([x, labels]) => crossEntropy(tf, x, labels, size)),
    transpose: () => of(([x]) => tf.add(tf.transpose(x), 1)),
    sumRows: () => of(([x]) => tf.sum(x, 1)),
    sort: unknown,
    topk: () => of(([x]) => tf.topk(x, leaders).values),
    sumColumns: () => of(([x]) => tf.sum(x, 0)),
    elementwise: ({ expression }) => of(([x, y]) => interpret(expression, algebra(tf, { x, y }))),
    // Gradients of a gather and of relu are missing in its compiled backends.
    mlpStep: () => 'no gradients of what it takes',
    resnet50: () => of((inputs) => resnet50(tf, names, inputs)),
    gptBlock: (block) => of((inputs) => gptBlock(tf, block, names, inputs)),
    inTurn: () => of(loss),
    inFlight: unknown,
    tiny: () => of(([a, b]) => tf.add(tf.mul(a, b), a)),
    copy: unknown,
    read: unknown,
    registerTile: unknown,
  };
  return ofKind(table, work);
}

/** Builds work for a backend that is set. */
export async function prepareTf(tf: Tf, work: Work, inputs: readonly NamedArray[]): Promise<Prepare | Absent> {
  const names = inputs.map(({ name }) => name);
  const built = build(tf, work, names);
  if (typeof built === 'string') return { absent: built };
  const tensors = tf.tidy(() => prepareInputs(tf, work, inputs));
  const call = (): TfTensor => tf.tidy(() => built.call(tensors));
  const repeat = work.kind === 'inTurn' ? work.calls : 1;
  return {
    run(calls) {
      for (let i = 0; i < calls * repeat; i++) call().dispose();
    },
    async outputs() {
      const result = call();
      const elements = await (built.finish?.(tf, result) ?? result).data();
      result.dispose();
      return Array.from({ length: repeat }, () => elements);
    },
    release() {
      for (const tensor of tensors) tensor.dispose();
    },
  };
}
