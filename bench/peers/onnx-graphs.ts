/**
 * The rows as ONNX graphs, in the form that is best for a runtime: one operator where the standard has one, weights of
 * models as constants, batch norms beside the convolutions that they fold into. Where a graph has parts that the
 * standard lacks, it is written out.
 *
 *     onnxGraphOf({ kind: 'softmax', rows: 4, size: 8 }, inputs)      // one node, Softmax
 */
import { type Algebra, interpret } from './expression.ts';
import type { OnnxAttribute, OnnxDType, OnnxGraph, OnnxInitializer, OnnxNode, OnnxTensorType } from './onnx.ts';
import { epsilon } from './reference.ts';
import { type Kind, leaders, type Work, type WorkOf } from './rows.ts';
import { type NamedArray, ofKind, outputSize, paddingOf } from './work.ts';

/** Which of the row's inputs are given at each call; the others are constants. */
export interface OnnxRow {
  readonly graph: OnnxGraph;
  readonly given: readonly NamedArray[];
}

/** Nodes in the making; values go by their names. */
class GraphBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly scalars: Record<string, number> = {};
  readonly #inputs: ReadonlyMap<string, NamedArray>;

  constructor(inputs: readonly NamedArray[]) {
    this.#inputs = new Map(inputs.map((input) => [input.name, input]));
  }

  /** The first result of a node. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    others: readonly string[] = [],
  ): string {
    const name = `v${this.nodes.length}`;
    this.nodes.push({ type, inputs, outputs: [name, ...others], attributes });
    return name;
  }

  scalar(value: number): string {
    const name = `scalar ${value}`;
    this.scalars[name] = value;
    return name;
  }

  /** An input of the row as a constant. */
  weight(name: string): string {
    const input = this.#inputs.get(name);
    if (!input) throw new Error(`no input ${name}`);
    if (!this.initializers.some((known) => known.name === name)) this.initializers.push(input);
    return name;
  }

  has(name: string): boolean {
    return this.#inputs.has(name);
  }

  integers(name: string, values: readonly number[]): string {
    if (!this.initializers.some((known) => known.name === name)) {
      this.initializers.push({ name, shape: [values.length], data: BigInt64Array.from(values, BigInt) });
    }
    return name;
  }
}

type Write = (builder: GraphBuilder) => string;

interface Form {
  readonly write: Write;
  readonly shape: readonly number[];
  readonly dtype?: OnnxDType;
  /** Names of the inputs that are given at each call; all unless said. */
  readonly given?: readonly string[];
}

const algebra = (builder: GraphBuilder): Algebra<string, string> => {
  const unary = (type: string) => (x: string) => builder.node(type, [x]);
  const binary = (type: string) => (x: string, y: string) => builder.node(type, [x, y]);
  return {
    variable: (name) => name,
    constant: (value) => builder.scalar(value),
    unary: {
      abs: unary('Abs'),
      erf: unary('Erf'),
      exp: unary('Exp'),
      gelu: unary('Gelu'),
      relu: unary('Relu'),
      sigmoid: unary('Sigmoid'),
      silu: (x) => builder.node('Mul', [x, builder.node('Sigmoid', [x])]),
      sin: unary('Sin'),
      sqrt: unary('Sqrt'),
      tanh: unary('Tanh'),
    },
    binary: { add: binary('Add'), sub: binary('Sub'), mul: binary('Mul'), div: binary('Div') },
  };
};

const layerNorm = (b: GraphBuilder, x: string, weight: string, bias: string): string =>
  b.node('LayerNormalization', [x, weight, bias], { axis: 1, epsilon: { float: epsilon } });

/** `x / sqrt(mean(x²) + eps) * weight`: operator set 20 has no operator for it. */
function rmsNorm(b: GraphBuilder, x: string, weight: string): string {
  const mean = b.node('ReduceMean', [b.node('Mul', [x, x]), b.integers('axes', [1])], { keepdims: 1 });
  const root = b.node('Sqrt', [b.node('Add', [mean, b.scalar(epsilon)])]);
  return b.node('Mul', [b.node('Div', [x, root]), weight]);
}

function convolve(b: GraphBuilder, x: string, weight: string, kernel: number, stride: number, pads: readonly number[]) {
  return b.node('Conv', [x, weight], { kernel_shape: [kernel, kernel], strides: [stride, stride], pads });
}

function convNorm(b: GraphBuilder, x: string, path: string, kernel: number, stride: number): string {
  const pad = Math.floor(kernel / 2);
  const convolved = convolve(b, x, b.weight(`${path}.kernel`), kernel, stride, [pad, pad, pad, pad]);
  const norm = ['weight', 'bias', 'mean', 'variance'].map((part) => b.weight(`${path}.norm.${part}`));
  return b.node('BatchNormalization', [convolved, ...norm], { epsilon: { float: epsilon } });
}

const relu = (b: GraphBuilder, x: string): string => b.node('Relu', [x]);

function resnet50(b: GraphBuilder): string {
  const stem = relu(b, convNorm(b, '1', '0.stem', 7, 2));
  let x = b.node('MaxPool', [stem], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  for (let stage = 0; b.has(`0.stages.${stage}.0.reduce.kernel`); stage++) {
    for (let block = 0; b.has(`0.stages.${stage}.${block}.reduce.kernel`); block++) {
      const path = `0.stages.${stage}.${block}`;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const narrow = relu(b, convNorm(b, x, `${path}.reduce`, 1, 1));
      const spatial = relu(b, convNorm(b, narrow, `${path}.spatial`, 3, stride));
      const wide = convNorm(b, spatial, `${path}.expand`, 1, 1);
      const beside = b.has(`${path}.shortcut.kernel`) ? convNorm(b, x, `${path}.shortcut`, 1, stride) : x;
      x = relu(b, b.node('Add', [wide, beside]));
    }
  }
  const pooled = b.node('Flatten', [b.node('GlobalAveragePool', [x])], { axis: 1 });
  return b.node('Gemm', [pooled, b.weight('0.head.weight'), b.weight('0.head.bias')]);
}

function dense(b: GraphBuilder, x: string, path: string): string {
  return b.node('Add', [b.node('MatMul', [x, b.weight(`${path}.weight`)]), b.weight(`${path}.bias`)]);
}

const shaped = (b: GraphBuilder, x: string, shape: readonly number[]): string =>
  b.node('Reshape', [x, b.integers(`shape ${shape}`, shape)]);

function gptBlock(b: GraphBuilder, { time, width, heads }: WorkOf<'gptBlock'>): string {
  const size = width / heads;
  const norm = (x: string, path: string): string =>
    b.node('LayerNormalization', [x, b.weight(`${path}.weight`), b.weight(`${path}.bias`)], {
      axis: 2,
      epsilon: { float: epsilon },
    });
  const qkv = dense(b, norm('1', '0.attentionNorm'), '0.qkv');
  const part = (at: number, perm: readonly number[]): string => {
    const range = [at * width, (at + 1) * width].map((edge) => b.integers(`edge ${edge}`, [edge]));
    const sliced = b.node('Slice', [qkv, ...range, b.integers('last axis', [2])]);
    return b.node('Transpose', [shaped(b, sliced, [1, time, heads, size])], { perm });
  };
  const scores = b.node('MatMul', [part(0, [0, 2, 1, 3]), part(1, [0, 2, 3, 1])]);
  const mask = Float32Array.from({ length: time * time }, (_, i) => (i % time <= Math.floor(i / time) ? 0 : -1e9));
  b.initializers.push({ name: 'mask', shape: [time, time], data: mask });
  const scaled = b.node('Add', [b.node('Mul', [scores, b.scalar(1 / Math.sqrt(size))]), 'mask']);
  const mixed = b.node('MatMul', [b.node('Softmax', [scaled], { axis: 3 }), part(2, [0, 2, 1, 3])]);
  const joined = shaped(b, b.node('Transpose', [mixed], { perm: [0, 2, 1, 3] }), [1, time, width]);
  const attended = b.node('Add', ['1', dense(b, joined, '0.out')]);
  const hidden = b.node('Gelu', [dense(b, norm(attended, '0.mlpNorm'), '0.up')]);
  return b.node('Add', [attended, dense(b, hidden, '0.down')]);
}

const mlpForward: Form = {
  shape: [],
  given: ['1', '2'],
  write: (b) => {
    const hidden = relu(b, dense(b, '1', '0.0'));
    const logits = b.node('LogSoftmax', [dense(b, hidden, '0.1')], { axis: 1 });
    const indices = b.node('Unsqueeze', ['2', b.integers('axes', [1])]);
    const chosen = b.node('GatherElements', [logits, indices], { axis: 1 });
    return b.node('Neg', [b.node('ReduceMean', [chosen], { keepdims: 0 })]);
  },
};

const nothing = (): undefined => undefined;

const forms: { readonly [K in Kind]: (work: WorkOf<K>) => Form | undefined } = {
  matmul: ({ m, n }) => ({ shape: [m, n], write: (b) => b.node('MatMul', ['a', 'b']) }),
  int8Matmul: ({ m, n }) => ({ shape: [m, n], dtype: 'int32', write: (b) => b.node('MatMulInteger', ['a', 'b']) }),
  convolution: (work) => {
    const { kernel, stride, groups, filters } = work;
    const [[before, after], size] = [paddingOf(work), outputSize(work)];
    return {
      shape: [1, filters, size, size],
      given: ['x'],
      write: (b) =>
        b.node('Conv', ['x', b.weight('w')], {
          kernel_shape: [kernel, kernel],
          strides: [stride, stride],
          pads: [before, before, after, after],
          group: groups,
        }),
    };
  },
  softmax: ({ rows, size }) => ({ shape: [rows, size], write: (b) => b.node('Softmax', ['x'], { axis: 1 }) }),
  layerNorm: ({ rows, size }) => ({
    shape: [rows, size],
    given: ['x'],
    write: (b) => layerNorm(b, 'x', b.weight('weight'), b.weight('bias')),
  }),
  rmsNorm: ({ rows, size }) => ({
    shape: [rows, size],
    given: ['x'],
    write: (b) => rmsNorm(b, 'x', b.weight('weight')),
  }),
  crossEntropy: ({ rows }) => ({
    shape: [rows],
    write: (b) => {
      const indices = b.node('Unsqueeze', ['labels', b.integers('axes', [1])]);
      const chosen = b.node('GatherElements', [b.node('LogSoftmax', ['x'], { axis: 1 }), indices], { axis: 1 });
      return b.node('Neg', [b.node('Squeeze', [chosen, 'axes'])]);
    },
  }),
  transpose: ({ rows, size }) => ({
    shape: [size, rows],
    write: (b) => b.node('Add', [b.node('Transpose', ['x'], { perm: [1, 0] }), b.scalar(1)]),
  }),
  sumRows: ({ rows }) => ({
    shape: [rows],
    write: (b) => b.node('ReduceSum', ['x', b.integers('axes', [1])], { keepdims: 0 }),
  }),
  sumColumns: ({ size }) => ({
    shape: [size],
    write: (b) => b.node('ReduceSum', ['x', b.integers('axes', [0])], { keepdims: 0 }),
  }),
  // The standard has no operator that sorts; all of the least, in order, are the same. The positions have no use.
  sort: ({ rows, size }) => ({
    shape: [rows, size],
    write: (b) => b.node('TopK', ['x', b.integers('size', [size])], { axis: 1, largest: 0 }, ['positions']),
  }),
  topk: ({ rows }) => ({
    shape: [rows, leaders],
    write: (b) => b.node('TopK', ['x', b.integers('leaders', [leaders])], { axis: 1 }, ['positions']),
  }),
  elementwise: ({ expression, elements }) => ({
    shape: [elements],
    write: (b) => interpret(expression, algebra(b)),
  }),
  // Training takes another build of the runtime, which is not on npm.
  mlpStep: nothing,
  resnet50: () => ({ shape: [1, 1000], given: ['1'], write: resnet50 }),
  gptBlock: (work) => ({ shape: [1, work.time, work.width], given: ['1'], write: (b) => gptBlock(b, work) }),
  inTurn: () => mlpForward,
  inFlight: () => mlpForward,
  tiny: () => ({ shape: [4], write: (b) => b.node('Add', [b.node('Mul', ['a', 'b']), 'a']) }),
  copy: nothing,
  read: nothing,
  registerTile: nothing,
};

/** The graph of some work, `undefined` where ONNX inference has none. */
export function onnxGraphOf(work: Work, inputs: readonly NamedArray[]): OnnxRow | undefined {
  const form = ofKind(forms, work);
  if (!form) return undefined;
  const builder = new GraphBuilder(inputs);
  const result = form.write(builder);
  const given = inputs.filter(({ name }) => form.given?.includes(name) ?? true);
  const output: OnnxTensorType = { name: result, shape: form.shape, ...(form.dtype ? { dtype: form.dtype } : {}) };
  const { nodes, initializers, scalars } = builder;
  return { graph: { nodes, inputs: given, outputs: [output], scalars, initializers }, given };
}
