/**
 * `checkGrads`: gradients against central finite differences. The function is traced, and both sides are computed in
 * double precision by the reference evaluator of its graph, so that what is compared is the derivative and not the
 * rounding of float32.
 *
 *     await checkGrads((x) => x.tanh().sum(), [x]);
 *
 * Along random directions v of the inputs and u of the outputs it compares
 * u · (f(x + εv) − f(x − εv)) / 2ε with vjp(u) · v.
 */
import { isFloat } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import { evaluateModule } from '../ir/evaluate.ts';
import { denseData } from '../ir/literal.ts';
import type { Func, Graph, Literal } from '../ir/types.ts';
import { vjpGraph } from '../passes/grad/index.ts';
import { currentDeviceName } from '../runtime/session.ts';
import { arraysAsTensors } from './array-leaf.ts';
import { sign } from './signature.ts';
import type { Tensor } from './tensor.ts';
import { traceFunction } from './trace-function.ts';

export interface CheckGradsOptions {
  /** Which derivatives: 1 checks the gradient, 2 also the gradient of the gradient. 1 unless given. */
  readonly order?: 1 | 2;
  /** Step of the finite differences; 1e-5 unless given. */
  readonly epsilon?: number;
  /** Largest difference allowed, relative to the larger side or to 1; 1e-5 unless given. */
  readonly tolerance?: number;
  /** Number of random directions; 4 unless given. */
  readonly directions?: number;
  /** Seed of the directions; 0 unless given. */
  readonly seed?: number;
}

interface Check {
  readonly epsilon: number;
  readonly tolerance: number;
  readonly random: () => number;
}

/**
 * Resolves when the gradients of a function are right at the given arguments, with respect to every float tensor among
 * them and of every float output.
 * @throws KilnError (as a rejection) `gradient_mismatch` with both sides; all that a trace can meet
 */
export async function checkGrads<A extends readonly unknown[]>(
  fn: (...args: A) => unknown,
  args: A,
  options: CheckGradsOptions = {},
): Promise<void> {
  const { order = 1, epsilon = 1e-5, tolerance = 1e-5, directions = 4, seed = 0 } = options;
  const location = SourceLocation.capture();
  const label = `checkGrads(${fn.name || 'anonymous'})`;
  const uploaded = args.map((arg) => arraysAsTensors(arg));
  const shared = { functions: new Map<string, Func>(), calls: new Map() };
  const { graph, captures } = traceFunction({
    fn: fn as never,
    label,
    kind: 'symbolic',
    device: (sign(uploaded).arrays as Tensor[])[0]?.device ?? currentDeviceName(),
    args: uploaded,
    isStatic: () => false,
    receiver: undefined,
    thisArg: undefined,
    shared,
    types: undefined,
  });
  const inputs: Literal[] = [];
  for (const tensor of [...(sign(uploaded).arrays as Tensor[]), ...captures]) inputs.push(await literalOf(tensor));
  const check: Check = { epsilon, tolerance, random: randomNumbers(seed) };
  const functions = shared.functions;
  try {
    let current = graph;
    let point = inputs;
    for (let level = 1; level <= order; level++) {
      for (let i = 0; i < directions; i++) checkDirection(`${label}, order ${level}`, current, point, functions, check);
      const { whole, gradients, seeds } = derivativeOf(current, functions);
      point = [...point, ...seeds.map((type) => randomLike(type, check.random))];
      current = { ...whole, results: gradients };
    }
  } catch (error) {
    throw error instanceof KilnError ? error.at(location) : error;
  }
}

async function literalOf(tensor: Tensor): Promise<Literal> {
  const data = (await tensor.data()) as unknown as ArrayLike<number>;
  return { dtype: tensor.dtype, shape: tensor.shape, data: Float64Array.from(data) };
}

const floatsAmong = (values: Graph['parameters']): number[] =>
  values.flatMap(({ type }, i) => (isFloat(type.dtype) ? [i] : []));

function derivativeOf(graph: Graph, functions: ReadonlyMap<string, Func>) {
  const wrt = floatsAmong(graph.parameters);
  const outputs = floatsAmong(graph.results);
  const whole = vjpGraph(graph, { wrt, outputs, functions });
  const gradients = whole.results.slice(graph.results.length);
  const seeds = whole.parameters
    .slice(graph.parameters.length)
    .map(({ type }) => type as { shape: number[] } & typeof type);
  return { whole, gradients, seeds, wrt, outputs };
}

function checkDirection(
  label: string,
  graph: Graph,
  point: readonly Literal[],
  functions: ReadonlyMap<string, Func>,
  { epsilon, tolerance, random }: Check,
): void {
  const { whole, gradients, seeds, wrt, outputs } = derivativeOf(graph, functions);
  const direction = new Map(wrt.map((i) => [i, randomLike(point[i], random)]));
  const cotangents = seeds.map((type) => randomLike(type, random));
  const run = (body: Graph, inputs: readonly Literal[]): Literal[] =>
    evaluateModule({ functions: [...functions.values(), { name: 'main', graph: body }], main: 'main' }, inputs, {
      mode: 'double',
    });
  const along = (step: number): number => {
    const moved = point.map((value, i) => {
      const by = direction.get(i);
      return by ? combine(value, by, (x, v) => x + step * v) : value;
    });
    const results = run(graph, moved);
    return outputs.reduce((sum, position, i) => sum + dot(results[position], cotangents[i]), 0);
  };
  const numeric = (along(epsilon) - along(-epsilon)) / (2 * epsilon);
  const found = run({ ...whole, results: gradients }, [...point, ...cotangents]);
  const analytic = wrt.reduce((sum, position, i) => sum + dot(found[i], direction.get(position)!), 0);
  const scale = Math.max(1, Math.abs(numeric), Math.abs(analytic));
  if (Math.abs(numeric - analytic) <= tolerance * scale) return;
  throw new KilnError('gradient_mismatch', `${label}: the gradient is not what finite differences give`, {
    given: `${analytic} along a random direction`,
    expected: `${numeric} within ${tolerance * scale}`,
    hint: 'near a kink finite differences are wrong: move the arguments; else please report the operation',
  });
}

const combine = (a: Literal, b: Literal, f: (x: number, y: number) => number): Literal => {
  const [x, y] = [denseData(a), denseData(b)];
  return { ...a, data: Float64Array.from(x, (value, i) => f(value, y[i])) };
};

const dot = (a: Literal, b: Literal): number => {
  const [x, y] = [denseData(a), denseData(b)];
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
};

function randomLike({ dtype, shape }: Omit<Literal, 'data'>, random: () => number): Literal {
  const count = shape.reduce((product, size) => product * size, 1);
  return { dtype, shape, data: Float64Array.from({ length: count }, () => 2 * random() - 1) };
}

/** Mulberry32 (Tommy Ettinger): small, and good enough for directions. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
