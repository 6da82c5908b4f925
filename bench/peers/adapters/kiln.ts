/** Kiln, on the device of its session. Its modes are the two precisions. */
import {
  compile,
  conv2d,
  crossEntropy,
  erf,
  gelu,
  layerNorm,
  memory,
  relu,
  resetPeakMemory,
  rmsNorm,
  sigmoid,
  silu,
  softmax,
  sort,
  Tensor,
  tensor,
  topk,
  tree,
} from '../../../index.ts';
import type { Model } from '../../models/model.ts';
import type { Prepare } from '../adapter.ts';
import { type Algebra, interpret, type Variable } from '../expression.ts';
import { epsilon } from '../reference.ts';
import { type FlightWork, type Kind, leaders, type WorkOf } from '../rows.ts';
import { type Elements, modelOf, type NamedArray, ofKind } from '../work.ts';

export type Precision = 'fast' | 'strict';
type Call = (...args: unknown[]) => unknown;

const scalar = (value: number): number => value;
const asTensor = (x: Tensor | number): Tensor => x as Tensor;

const algebra = (variables: Readonly<Partial<Record<Variable, Tensor>>>): Algebra<Tensor> => ({
  variable: (name) => asTensor(variables[name]!),
  constant: scalar,
  unary: {
    abs: (x) => x.abs(),
    erf: (x) => erf(x),
    exp: (x) => x.exp(),
    gelu: (x) => gelu(x),
    relu: (x) => relu(x),
    sigmoid: (x) => sigmoid(x),
    silu: (x) => silu(x),
    sin: (x) => x.sin(),
    sqrt: (x) => x.sqrt(),
    tanh: (x) => x.tanh(),
  },
  binary: {
    add: (x, y) => (typeof x === 'number' ? asTensor(y).add(x) : x.add(y)),
    mul: (x, y) => (typeof x === 'number' ? asTensor(y).mul(x) : x.mul(y)),
    sub: (x, y) => (typeof x === 'number' ? asTensor(y).neg().add(x) : x.sub(y)),
    div: (x, y) => (typeof x === 'number' ? asTensor(y).reciprocal().mul(x) : x.div(y)),
  },
});

/** Work that is no measure of the machine. */
export type FunctionKind = Exclude<Kind, 'copy' | 'read' | 'registerTile'>;

/** A function of the inputs in their order. */
const ofTensors =
  (fn: (...inputs: Tensor[]) => unknown): ((inputs: readonly Tensor[]) => { fn: Call; args: readonly unknown[] }) =>
  (inputs) => ({ fn: fn as Call, args: inputs });

const argumentsOf = (model: Model, inputs: readonly Tensor[]): unknown[] =>
  tree.unflatten(tree.flatten<unknown>(model.specs()).structure, [...inputs]) as unknown[];

/** A bench graph, whose arguments are trees. */
const ofModel = (model: Model) => (inputs: readonly Tensor[]) => ({
  fn: model.fn as Call,
  args: argumentsOf(model, inputs),
});

/** A bench graph of fixed parameters: its first argument is captured, as other runtimes hold weights as constants. */
const ofInference = (model: Model) => (inputs: readonly Tensor[]) => {
  const [parameters, ...args] = argumentsOf(model, inputs);
  return { fn: (...rest: unknown[]) => model.fn(parameters, ...rest), args };
};

const functions: {
  readonly [K in FunctionKind]: (
    work: WorkOf<K>,
  ) => (inputs: readonly Tensor[]) => { readonly fn: Call; readonly args: readonly unknown[] };
} = {
  matmul: () => ofTensors((a, b) => a.matmul(b)),
  int8Matmul: () => ofTensors((a, b) => a.astype('int32').matmul(b.astype('int32'))),
  convolution:
    ({ stride, padding, groups }) =>
    ([x, w]) => ({ fn: ((image: Tensor) => conv2d(image, w, null, { stride, padding, groups })) as Call, args: [x] }),
  softmax: () => ofTensors((x) => softmax(x, -1)),
  layerNorm: () => ofTensors((x, weight, bias) => layerNorm(x, weight, bias, { eps: epsilon })),
  rmsNorm: () => ofTensors((x, weight) => rmsNorm(x, weight, { eps: epsilon })),
  crossEntropy: () => ofTensors((x, labels) => crossEntropy(x, labels, { reduction: 'none' })),
  transpose: () => ofTensors((x) => x.T.add(1)),
  sumRows: () => ofTensors((x) => x.sum(1)),
  sumColumns: () => ofTensors((x) => x.sum(0)),
  sort: () => ofTensors((x) => sort(x)),
  topk: () => ofTensors((x) => topk(x, leaders)[0]),
  elementwise: ({ expression }) => ofTensors((x, y) => interpret(expression, algebra({ x, y }))),
  mlpStep: (work) => ofModel(modelOf.mlpStep(work)),
  resnet50: (work) => ofInference(modelOf.resnet50(work)),
  gptBlock: (work) => ofInference(modelOf.gptBlock(work)),
  inTurn: () => ofInference(modelOf.flight()),
  inFlight: () => ofInference(modelOf.flight()),
  tiny: () => ofTensors((a, b) => a.mul(b).add(a)),
};

const results = (value: unknown): readonly Tensor[] =>
  value instanceof Tensor ? [value] : tree.leaves(value as Tensor[]);

async function elementsOf(tensors: readonly Tensor[]): Promise<readonly Elements[]> {
  const elements = await Promise.all(tensors.map((result) => result.data() as Promise<Elements>));
  for (const result of tensors) result.dispose();
  return elements;
}

/** Calls that are read: each before the next begins, or all begun first. */
async function flight({ kind, calls }: FlightWork, call: () => unknown): Promise<readonly Elements[]> {
  if (kind === 'inFlight') {
    const begun = Array.from({ length: calls }, () => results(call()));
    return (await Promise.all(begun.map(elementsOf))).flat();
  }
  const elements: Elements[] = [];
  for (let i = 0; i < calls; i++) elements.push(...(await elementsOf(results(call()))));
  return elements;
}

const never = (): never => {
  throw new Error('the machine answers for that');
};

/**
 * Builds work as a compiled function.
 * @param storage the dtype that floats are stored in, where not that of the inputs
 */
export async function prepareKiln(
  work: WorkOf<FunctionKind>,
  inputs: readonly NamedArray[],
  precision: Precision,
  storage?: 'float16',
): Promise<Prepare> {
  const tensors = inputs.map(({ data, shape, dtype }) => {
    const made = tensor(data, { shape: [...shape], dtype });
    return storage && dtype === 'float32' ? made.astype(storage) : made;
  });
  const { fn, args } = ofKind({ ...functions, copy: never, read: never, registerTile: never }, work)(tensors);
  const compiled: Call = compile(fn, { precision: precision });
  const call = (): unknown => compiled(...args);
  const release = (): void => {
    for (const input of tensors) input.dispose();
  };
  if (work.kind === 'inTurn' || work.kind === 'inFlight') {
    const outputs = (): Promise<readonly Elements[]> => flight(work, call);
    const run = async (calls: number): Promise<void> => {
      for (let i = 0; i < calls; i++) await outputs();
    };
    return { run, outputs, release };
  }
  let peak = 0;
  return {
    async run(calls) {
      for (let i = 0; i < calls; i++) {
        const made = results(call());
        if (i === calls - 1) await Promise.all(made.map((result) => result.ready()));
        for (const result of made) result.dispose();
      }
    },
    async outputs() {
      resetPeakMemory();
      const others = memory().bytes - inputs.reduce((bytes, { data }) => bytes + data.byteLength, 0);
      const made = results(call());
      await Promise.all(made.map((result) => result.ready()));
      peak = memory().peakBytes - others;
      return elementsOf(made);
    },
    peakBytes: () => peak,
    release,
  };
}
