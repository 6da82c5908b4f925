/**
 * jax-js, on any of its devices. Its arrays are moved by use: `.ref` keeps one for another use, so every function here
 * takes its inputs by `.ref` and lets go of them at the end.
 */
import type { Prepare } from '../adapter.ts';
import { type Algebra, interpret, type Variable } from '../expression.ts';
import type { Absent } from '../protocol.ts';
import { epsilon } from '../reference.ts';
import { type Kind, leaders, type Work, type WorkOf } from '../rows.ts';
import { type Elements, type NamedArray, ofKind, paddingOf } from '../work.ts';

interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(axes?: readonly number[]): JaxArray;
  dispose(): void;
  data(): Promise<Elements>;
  blockUntilReady(): Promise<JaxArray>;
}

type Unary = (x: JaxArray) => JaxArray;
type OverAxis = (x: JaxArray, axis: number, options?: { readonly keepdims?: boolean }) => JaxArray;
type Tree = JaxArray | readonly Tree[] | { readonly [key: string]: Tree };

export interface Jax {
  init(device: string): Promise<readonly string[]>;
  defaultDevice(device: string): void;
  jit<A extends readonly unknown[]>(fn: (...args: A) => Tree): (...args: A) => Tree;
  valueAndGrad<A extends readonly unknown[]>(fn: (...args: A) => JaxArray): (...args: A) => [JaxArray, A[0]];
  readonly numpy: Readonly<Record<'abs' | 'exp' | 'sin' | 'sqrt' | 'tanh', Unary>> &
    Readonly<Record<'sum' | 'mean', OverAxis>> & {
      matmul(x: JaxArray, y: JaxArray): JaxArray;
      array(data: Elements, options: { readonly shape: readonly number[]; readonly dtype: string }): JaxArray;
      split(x: JaxArray, parts: number, axis: number): JaxArray[];
      sort(x: JaxArray, axis: number): JaxArray;
    };
  readonly nn: Readonly<Record<'relu' | 'sigmoid' | 'silu', Unary>> & {
    gelu(x: JaxArray, options: { readonly approximate: boolean }): JaxArray;
    softmax(x: JaxArray, axis: number): JaxArray;
    logSoftmax(x: JaxArray, axis: number): JaxArray;
    oneHot(x: JaxArray, classes: number): JaxArray;
  };
  readonly lax: {
    erf: Unary;
    topK(x: JaxArray, k: number, axis: number): [values: JaxArray, positions: JaxArray];
    convGeneralDilated(
      x: JaxArray,
      w: JaxArray,
      strides: readonly number[],
      padding: readonly (readonly number[])[],
      options: { readonly featureGroupCount: number },
    ): JaxArray;
  };
}

/** Takes its inputs in their order; each use of one is a `.ref`. */
type Build = (inputs: readonly JaxArray[]) => Tree;

class Functions {
  readonly #jax: Jax;

  constructor(jax: Jax) {
    this.#jax = jax;
  }

  #algebra(variables: Readonly<Record<Variable, JaxArray>>): Algebra<JaxArray> {
    const { numpy, nn, lax } = this.#jax;
    const { abs, exp, sin, sqrt, tanh } = numpy;
    const { relu, sigmoid, silu } = nn;
    const gelu: Unary = (x) => nn.gelu(x, { approximate: false });
    const isNumber = (x: JaxArray | number): x is number => typeof x === 'number';
    return {
      variable: (name) => variables[name].ref,
      constant: (value) => value,
      unary: { abs, erf: lax.erf, exp, gelu, relu, sigmoid, silu, sin, sqrt, tanh },
      binary: {
        add: (x, y) => (isNumber(x) ? (y as JaxArray).add(x) : x.add(y)),
        mul: (x, y) => (isNumber(x) ? (y as JaxArray).mul(x) : x.mul(y)),
        sub: (x, y) => (isNumber(x) ? (y as JaxArray).mul(-1).add(x) : x.sub(y)),
        div: (x, y) => {
          if (isNumber(x)) throw new Error('no row divides a constant');
          return x.div(y);
        },
      },
    };
  }

  layerNorm(x: JaxArray, weight: JaxArray, bias: JaxArray): JaxArray {
    const { mean, sqrt } = this.#jax.numpy;
    const last = x.shape.length - 1;
    const centred = x.ref.sub(mean(x, last, { keepdims: true }));
    const variance = mean(centred.ref.mul(centred.ref), last, { keepdims: true });
    return centred
      .div(sqrt(variance.add(epsilon)))
      .mul(weight)
      .add(bias);
  }

  /** A loss for each row. */
  #crossEntropy(logits: JaxArray, labels: JaxArray): JaxArray {
    const { nn, numpy } = this.#jax;
    const classes = logits.shape[1];
    return numpy.sum(nn.logSoftmax(logits, 1).mul(nn.oneHot(labels, classes)), 1).mul(-1);
  }

  /** The classifier's mean loss; layers are `bias, weight` each, as the leaves of a tree are sorted. */
  #loss(layers: readonly JaxArray[], x: JaxArray, labels: JaxArray): JaxArray {
    const { numpy, nn } = this.#jax;
    const [firstBias, first, secondBias, second] = layers;
    const hidden = nn.relu(numpy.matmul(x, first).add(firstBias));
    const logits = numpy.matmul(hidden, second).add(secondBias);
    return numpy.mean(this.#crossEntropy(logits, labels), 0);
  }

  #gptBlock({ time, width, heads }: WorkOf<'gptBlock'>, names: readonly string[]): Build {
    const { numpy, nn } = this.#jax;
    const size = width / heads;
    return (inputs) => {
      const input = (name: string): JaxArray => inputs[names.indexOf(name)].ref;
      const x = (): JaxArray => input('1').reshape([time, width]);
      const dense = (value: JaxArray, path: string): JaxArray =>
        numpy.matmul(value, input(`0.${path}.weight`)).add(input(`0.${path}.bias`));
      const norm = (value: JaxArray, path: string): JaxArray =>
        this.layerNorm(value, input(`0.${path}.weight`), input(`0.${path}.bias`));
      const [q, k, v] = numpy
        .split(dense(norm(x(), 'attentionNorm'), 'qkv'), 3, 1)
        .map((part) => part.reshape([time, heads, size]).transpose([1, 0, 2]));
      const mask = numpy.array(
        Float32Array.from({ length: time * time }, (_, i) => (i % time <= Math.floor(i / time) ? 0 : -1e9)),
        {
          shape: [1, time, time],
          dtype: 'float32',
        },
      );
      const scores = numpy
        .matmul(q, k.transpose([0, 2, 1]))
        .mul(1 / Math.sqrt(size))
        .add(mask);
      const mixed = numpy.matmul(nn.softmax(scores, 2), v).transpose([1, 0, 2]).reshape([time, width]);
      const attended = x().add(dense(mixed, 'out'));
      const hidden = nn.gelu(dense(norm(attended.ref, 'mlpNorm'), 'up'), { approximate: false });
      return attended.add(dense(hidden, 'down'));
    };
  }

  of(work: Work, names: readonly string[]): Build | string {
    const { numpy, nn, lax } = this.#jax;
    const unknown = 'no such operation';
    const table: { readonly [K in Kind]: (work: WorkOf<K>) => Build | string } = {
      matmul:
        () =>
        ([a, b]) =>
          numpy.matmul(a.ref, b.ref),
      int8Matmul: () => 'no integers of 8 bits',
      convolution:
        (conv) =>
        ([x, w]) => {
          const pads = paddingOf(conv);
          const strides = [conv.stride, conv.stride];
          return lax.convGeneralDilated(x.ref, w.ref, strides, [pads, pads], { featureGroupCount: conv.groups });
        },
      softmax:
        () =>
        ([x]) =>
          nn.softmax(x.ref, 1),
      layerNorm:
        () =>
        ([x, weight, bias]) =>
          this.layerNorm(x.ref, weight.ref, bias.ref),
      rmsNorm:
        () =>
        ([x, weight]) => {
          const square = numpy.mean(x.ref.mul(x.ref), 1, { keepdims: true });
          return x.ref.div(numpy.sqrt(square.add(epsilon))).mul(weight.ref);
        },
      crossEntropy:
        () =>
        ([x, labels]) =>
          this.#crossEntropy(x.ref, labels.ref),
      transpose:
        () =>
        ([x]) =>
          x.ref.transpose().add(1),
      sumRows:
        () =>
        ([x]) =>
          numpy.sum(x.ref, 1),
      sort:
        () =>
        ([x]) =>
          numpy.sort(x.ref, 1),
      topk:
        () =>
        ([x]) =>
          lax.topK(x.ref, leaders, 1)[0],
      sumColumns:
        () =>
        ([x]) =>
          numpy.sum(x.ref, 0),
      elementwise:
        ({ expression }) =>
        ([x, y]) =>
          interpret(expression, this.#algebra({ x, y })),
      mlpStep: () => (inputs) => {
        const [layers, x, labels] = [inputs.slice(0, 4), inputs[4], inputs[5]];
        const kept = layers.map((layer) => layer.ref);
        const [loss, gradients] = this.#jax.valueAndGrad((p: readonly JaxArray[]) => this.#loss(p, x.ref, labels.ref))(
          kept,
        );
        return [loss, ...layers.map((layer, i) => layer.ref.sub(gradients[i].mul(0.1)))];
      },
      resnet50: () => 'convolutions take it so long that a call would be over in tens of seconds',
      gptBlock: (block) => this.#gptBlock(block, names),
      inTurn: () => (inputs) =>
        this.#loss(
          inputs.slice(0, 4).map((layer) => layer.ref),
          inputs[4].ref,
          inputs[5].ref,
        ),
      inFlight: () => unknown,
      tiny:
        () =>
        ([a, b]) =>
          a.ref.mul(b.ref).add(a.ref),
      copy: () => unknown,
      read: () => unknown,
      registerTile: () => unknown,
    };
    return ofKind(table, work);
  }
}

const isArray = (tree: Tree): tree is JaxArray => typeof (tree as Partial<JaxArray>).blockUntilReady === 'function';
const leavesOf = (tree: Tree): JaxArray[] => (isArray(tree) ? [tree] : Object.values(tree).flatMap(leavesOf));

/** Builds work for the default device. */
export async function prepareJax(jax: Jax, work: Work, inputs: readonly NamedArray[]): Promise<Prepare | Absent> {
  const names = inputs.map(({ name }) => name);
  const build = new Functions(jax).of(work, names);
  if (typeof build === 'string') return { absent: build };
  const arrays = inputs.map(({ data, shape, dtype }) => jax.numpy.array(data, { shape, dtype }));
  const compiled = jax.jit((...args: JaxArray[]) => {
    const result = build(args);
    for (const arg of args) arg.dispose();
    return result;
  });
  const call = async (): Promise<JaxArray[]> => {
    const results = leavesOf(compiled(...arrays.map((array) => array.ref)));
    for (const result of results) await result.blockUntilReady();
    return results;
  };
  const repeat = work.kind === 'inTurn' ? work.calls : 1;
  return {
    async run(calls) {
      for (let i = 0; i < calls * repeat; i++) for (const result of await call()) result.dispose();
    },
    async outputs() {
      const results = await call();
      // Reading an array lets go of it.
      const elements = await Promise.all(results.map((result) => result.data()));
      return Array.from({ length: repeat }, () => elements).flat();
    },
    release() {
      for (const array of arrays) array.dispose();
    },
  };
}
