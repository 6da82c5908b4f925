/**
 * What a bench graph is: a plain function on the public API, the types of its arguments, and random arguments of
 * those types. Tests, ablation, reports and benchmarks share them.
 *
 *     const model = defineModel('softmax', (x: Tensor) => softmax(x), () => [inputs.normal([32, 128])]);
 *     compile(model.fn).explain(...model.specs()).kernels
 *     compile(model.fn)(...model.make(1))
 */
import { type Dim, KilnError, spec, type Tensor, type TensorSpec, tensor, tree } from '../../index.ts';

export interface Model {
  readonly name: string;
  /** Takes what `make` gives; compiles with `compile(model.fn)`. */
  fn(...args: unknown[]): unknown;
  /** The arguments as trees of specs: nothing is allocated. */
  specs(): unknown[];
  /** Arguments with random elements, the same for a seed on every machine. */
  make(seed: number): unknown[];
}

/** Numbers that are uniform in [-1, 1). */
type Uniform = () => number;

/** How the elements of a spec are drawn; those not named here are uniform in [-1, 1). */
const draws = new WeakMap<TensorSpec, (uniform: Uniform) => number>();

function drawn<D extends 'float32' | 'int32' | 'int8'>(
  shape: readonly Dim[],
  dtype: D,
  draw: (uniform: Uniform) => number,
): TensorSpec<D> {
  const made = spec(shape, dtype);
  draws.set(made, draw);
  return made;
}

/** Specs that know what their elements should look like. */
export const inputs = {
  /** Floats in [-scale, scale). */
  floats: (shape: readonly Dim[], scale = 1) => drawn(shape, 'float32', (uniform) => uniform() * scale),
  /** The weight of a layer whose output sums `fanIn` products, so that magnitudes stay as they are. */
  weight: (shape: readonly Dim[], fanIn: number) =>
    drawn(shape, 'float32', (uniform) => uniform() * Math.sqrt(3 / fanIn)),
  /** Floats around one: gains of norms. */
  gain: (shape: readonly Dim[]) => drawn(shape, 'float32', (uniform) => 1 + uniform() / 4),
  /** Floats in (0, 1]: variances. */
  positive: (shape: readonly Dim[]) => drawn(shape, 'float32', (uniform) => (1 - uniform()) / 2),
  /** Integers from 0 to below `limit`: tokens and labels. */
  integers: (shape: readonly Dim[], limit: number) =>
    drawn(shape, 'int32', (uniform) => Math.floor(((uniform() + 1) / 2) * limit)),
  /** Weights stored in 8 bits. */
  quantised: (shape: readonly Dim[]) => drawn(shape, 'int8', (uniform) => Math.floor(uniform() * 128)),
  /** A scalar that is always the same. */
  constant: (value: number) => drawn([], 'float32', () => value),
} as const;

/** The model of a function. Arguments that are no specs are static and stay as they are. */
export function defineModel(name: string, fn: (...args: never[]) => unknown, specs: () => readonly unknown[]): Model {
  return { name, fn: fn as Model['fn'], specs: () => [...specs()], make: (seed) => fill([...specs()], seed) };
}

/** Tensors in the place of specs. */
function fill(specs: unknown[], seed: number): unknown[] {
  const { leaves, structure } = tree.flatten<unknown>(specs);
  const uniform = uniformFrom(seed);
  const filled = leaves.map((leaf) => (isSpec(leaf) ? randomTensor(leaf, uniform) : leaf));
  return tree.unflatten(structure, filled) as unknown[];
}

const isSpec = (leaf: unknown): leaf is TensorSpec => typeof leaf === 'object' && leaf !== null && 'signature' in leaf;

const arrays = { float32: Float32Array, int32: Int32Array, int8: Int8Array } as const;

function randomTensor(leaf: TensorSpec, uniform: Uniform): Tensor {
  const shape = leaf.shape.map((size) => {
    if (typeof size === 'number') return size;
    throw new KilnError('invalid_size', 'random arguments need sizes that are numbers', { given: leaf.signature });
  });
  const length = shape.reduce((product, size) => product * size, 1);
  const draw = draws.get(leaf) ?? ((next: Uniform) => next());
  const data = new arrays[leaf.dtype as keyof typeof arrays](length);
  for (let i = 0; i < length; i++) data[i] = draw(uniform);
  return tensor(data, { shape });
}

/** A linear congruential generator: enough for inputs, and the same everywhere. */
function uniformFrom(seed: number): Uniform {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
