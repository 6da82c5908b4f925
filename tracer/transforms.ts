/**
 * Transforms as users call them: `grad`, `valueAndGrad`, `vjp`, `checkpoint`, `stopGradient`. Each takes a function and
 * gives one of the same signature. They nest in any order, inside and outside `compile`.
 *
 *     const [loss, g] = valueAndGrad(lossFn)(params, x, y);
 *     const second = grad((x: Tensor) => grad(f)(x).sum());
 */
import { isFloat } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import { splat } from '../ir/literal.ts';
import { leavesOf } from './array-leaf.ts';
import { callCheckpointed } from './checkpoint.ts';
import { compile } from './compile.ts';
import { compilations } from './compiled-functions.ts';
import { type ArgumentTree, type Derivative, differentiate } from './differentiate.ts';
import { currentTrace } from './graph-trace.ts';
import { currentLocation } from './location.ts';
import type { Floating } from './operations/index.ts';
import { stopGradient as stopTensor } from './operations/unary.ts';
import { assertSameStructure, mapLeaves, rebuild, tree } from './pytree.ts';
import { Tensor } from './tensor.ts';
import { emit } from './trace.ts';
import { markTrusted } from './trusted.ts';

export interface GradOptions {
  /** Which arguments to differentiate with respect to; a number gives one gradient, an array an array of them. */
  readonly argnums?: number | readonly number[];
  /** The function returns `[output, aux]`, where aux is handed through. */
  readonly hasAux?: boolean;
}

/** The gradients that `argnums` asks for. */
export type Gradients<A extends readonly unknown[], N> = N extends number
  ? A[N]
  : N extends readonly number[]
    ? { -readonly [I in keyof N]: N[I] extends number ? A[N[I]] : never }
    : A[0];

type ArgnumsOf<O> = O extends { readonly argnums: infer N } ? N : 0;
type ValueOf<R> = R extends readonly [infer V, unknown] ? V : never;
type AuxOf<R> = R extends readonly [unknown, infer X] ? X : never;
type HasAux<O> = O extends { readonly hasAux: true } ? true : false;

export type GradResult<A extends readonly unknown[], R, O> =
  HasAux<O> extends true ? [gradients: Gradients<A, ArgnumsOf<O>>, aux: AuxOf<R>] : Gradients<A, ArgnumsOf<O>>;

/** A value that has a gradient is a float, whatever its function's type says; so its `item()` is a number. */
type FloatValue<R> = R extends Tensor<infer D> ? Tensor<Floating<D>> : R;

export type ValueAndGradResult<A extends readonly unknown[], R, O> = [
  value: HasAux<O> extends true ? [value: FloatValue<ValueOf<R>>, aux: AuxOf<R>] : FloatValue<R>,
  gradients: Gradients<A, ArgnumsOf<O>>,
];

/**
 * The gradient of a function that returns a scalar.
 * @param options by default with respect to the first argument
 * @returns a function of the same arguments: a gradient tree like each argument differentiated, or with `hasAux`
 *   `[gradients, aux]`
 * @throws KilnError when called: `shape_mismatch` when the output is no scalar, `not_differentiable`,
 *   `invalid_argument`, and all that a trace can meet
 */
export function grad<A extends readonly unknown[], R, const O extends GradOptions = Record<never, never>>(
  fn: (...args: A) => R,
  options?: O,
): (...args: A) => GradResult<A, R, O> {
  const compute = gradientOf('grad', fn, options);
  return named(`grad(${fn.name})`, (...args: A) => {
    const { gradients, aux } = compute(args);
    return (options?.hasAux ? [gradients, aux] : gradients) as GradResult<A, R, O>;
  });
}

/**
 * A function's scalar value together with its gradient.
 * @returns a function of the same arguments: `[value, gradients]`, or with `hasAux` `[[value, aux], gradients]`
 * @throws KilnError as `grad` does
 */
export function valueAndGrad<A extends readonly unknown[], R, const O extends GradOptions = Record<never, never>>(
  fn: (...args: A) => R,
  options?: O,
): (...args: A) => ValueAndGradResult<A, R, O> {
  const compute = gradientOf('valueAndGrad', fn, options);
  return named(`valueAndGrad(${fn.name})`, (...args: A) => {
    const { value, gradients, aux } = compute(args);
    return [options?.hasAux ? [value, aux] : value, gradients] as ValueAndGradResult<A, R, O>;
  });
}

interface Computed {
  readonly value: Tensor;
  readonly aux: unknown;
  readonly gradients: unknown;
}

/** What `grad` and `valueAndGrad` share. A compiled function outside all traces gets a compiled gradient. */
function gradientOf<A extends readonly unknown[]>(
  name: string,
  fn: (...args: A) => unknown,
  options: GradOptions = {},
): (args: A) => Computed {
  assertFunction(name, fn);
  const label = `${name}(${fn.name || 'anonymous'})`;
  const compute = (args: A): Computed => computeGradient(label, fn as never, args, options);
  const compilation = compilations.get(fn);
  if (!compilation) return compute;
  const { device, precision, statics, memoryBudget, isKept } = compilation.options;
  const compiled = compile(
    markTrusted((...args: A) => ({ ...compute(args) })),
    {
      name: `${name}_${compilation.options.name}`,
      static: [...statics],
      ...(device !== undefined && { device }),
      ...(precision !== undefined && { precision }),
      ...(memoryBudget !== undefined && { memoryBudget }),
      ...(!isKept && { cache: false }),
    },
  );
  return (args) => (currentTrace() ? compute(args) : compiled(...args));
}

function computeGradient(
  label: string,
  fn: (...args: never[]) => unknown,
  args: readonly unknown[],
  { argnums = 0, hasAux = false }: GradOptions,
): Computed {
  const positions = typeof argnums === 'number' ? [argnums] : argnums;
  return withTemporaries((made) => {
    const derivative = differentiate({ fn, label, args, argnums: positions, hasAux }, made);
    const value = scalarOutput(derivative, label);
    const seed = emit('constant', [], { value: splat(value.dtype, [], 1) }, value.device);
    made.push(seed);
    const trees = gradientTrees(derivative.argStructures, derivative.pullback([seed], made));
    return { value, aux: derivative.aux, gradients: typeof argnums === 'number' ? trees[0] : trees };
  });
}

/**
 * Runs `body`, adds the user's line to its errors, and outside all traces releases what it made but does not return.
 * What is returned and not its own (an argument handed through, a tensor returned twice) becomes an alias.
 */
function withTemporaries<T>(body: (made: Tensor[]) => T): T {
  const made: Tensor[] = [];
  const release = (kept: ReadonlySet<Tensor>): void => {
    if (currentTrace()) return;
    for (const tensor of made) if (!tensor.traced && !kept.has(tensor)) tensor.release({ by: 'tidy' });
  };
  try {
    const result = body(made);
    if (currentTrace()) return result;
    const own = new Set(made);
    const kept = new Set<Tensor>();
    const owned = mapLeaves(result, (leaf) => {
      if (!(leaf instanceof Tensor)) return leaf;
      if (own.has(leaf) && !kept.has(leaf)) {
        kept.add(leaf);
        return leaf;
      }
      return aliasOf(leaf);
    });
    release(kept);
    return owned as T;
  } catch (error) {
    release(new Set());
    throw error instanceof KilnError ? error.at(currentLocation()) : error;
  }
}

const aliasOf = (tensor: Tensor): Tensor =>
  tensor.handle ? Tensor.of(tensor.dtype, tensor.shape, tensor.handle.device.alias(tensor.handle)) : tensor;

function scalarOutput({ outputs, structure }: Derivative, label: string): Tensor {
  const [output] = outputs;
  if (structure.kind === 'leaf' && output.shape.length === 0 && isFloat(output.dtype)) return output;
  throw new KilnError('shape_mismatch', `${label}: the function must return a float scalar`, {
    given: structure.kind === 'leaf' ? output.signature : `${outputs.length} tensors in a container`,
    expected: 'a tensor of shape [] and a float dtype',
    hint: 'reduce the output with .sum() or .mean(); with further outputs use { hasAux: true }; else use vjp',
  });
}

/** Gradients in trees like the arguments; leaves that are no tensors stay. */
function gradientTrees(trees: readonly ArgumentTree[], gradients: readonly Tensor[]): unknown[] {
  let next = 0;
  return trees.map(({ structure, leaves }) => {
    let at = 0;
    return rebuild(structure, () => {
      const leaf = leaves[at++];
      return leaf instanceof Tensor ? gradients[next++] : leaf;
    });
  });
}

type MainOf<R, O> = HasAux<O> extends true ? (R extends readonly [infer M, unknown] ? M : never) : R;
type AllPositions<A extends readonly unknown[]> = { -readonly [I in keyof A]: A[I] };
type VjpGradients<A extends readonly unknown[], O> = O extends { readonly argnums: infer N }
  ? Gradients<A, N>
  : AllPositions<A>;

export type VjpResult<A extends readonly unknown[], R, O> =
  HasAux<O> extends true
    ? [output: MainOf<R, O>, pullback: (cotangent: MainOf<R, O>) => VjpGradients<A, O>, aux: AuxOf<R>]
    : [output: R, pullback: (cotangent: R) => VjpGradients<A, O>];

/**
 * A function's output together with its vector-Jacobian product.
 * @param options by default with respect to all arguments that hold float tensors
 * @returns a function of the same arguments: `[output, pullback]`, or with `hasAux` `[output, pullback, aux]`.
 *   `pullback` takes a tree like the output and gives the gradients: for a number `argnums` one, else an array with
 *   one for each position (null for an argument without float tensors). It may be called more than once.
 * @throws KilnError as `grad` does; the pullback `tree_mismatch` or `shape_mismatch` for other cotangents
 */
export function vjp<A extends readonly unknown[], R, const O extends GradOptions = Record<never, never>>(
  fn: (...args: A) => R,
  options?: O,
): (...args: A) => VjpResult<A, R, O> {
  assertFunction('vjp', fn);
  const label = `vjp(${fn.name || 'anonymous'})`;
  const { argnums, hasAux = false }: GradOptions = options ?? {};
  return named(label, (...args: A) => {
    try {
      const positions =
        typeof argnums === 'number' ? [argnums] : (argnums ?? args.flatMap((arg, i) => (hasFloats(arg) ? [i] : [])));
      const derivative = differentiate({ fn: fn as never, label, args, argnums: positions, hasAux }, []);
      let at = 0;
      const output = rebuild(derivative.structure, () => derivative.outputs[at++]);
      const pullback = (cotangent: unknown): unknown => {
        const trees = withTemporaries((made) =>
          gradientTrees(derivative.argStructures, derivative.pullback(cotangents(derivative, cotangent), made)),
        );
        if (typeof argnums === 'number') return trees[0];
        if (argnums) return trees;
        return args.map((_, i) => (positions.includes(i) ? trees[positions.indexOf(i)] : null));
      };
      return (hasAux ? [output, pullback, derivative.aux] : [output, pullback]) as VjpResult<A, R, O>;
    } catch (error) {
      throw error instanceof KilnError ? error.at(currentLocation()) : error;
    }
  });
}

const hasFloats = (arg: unknown): boolean => {
  const tensors = leavesOf(arg).filter((leaf) => leaf instanceof Tensor);
  return tensors.length > 0 && tensors.every(({ dtype }) => isFloat(dtype));
};

/** Cotangents as a list. @throws KilnError when they are not like the outputs */
function cotangents({ outputs, structure }: Derivative, given: unknown): readonly Tensor[] {
  const { leaves, structure: found } = tree.flatten(given);
  assertSameStructure('pullback', structure, found, 'the cotangent');
  return (leaves as readonly unknown[]).map((leaf, i) => {
    if (leaf instanceof Tensor && leaf.signature === outputs[i].signature) return leaf;
    throw new KilnError('shape_mismatch', 'pullback: a cotangent does not have the type of its output', {
      given: leaf instanceof Tensor ? leaf.signature : String(leaf),
      expected: outputs[i].signature,
      location: currentLocation(),
    });
  });
}

/**
 * The same function, of which gradients keep nothing but its arguments: what it computes inside is computed again on
 * the way back. That takes less memory and more time; values and gradients are the same, random numbers included.
 *
 *     const loss = (p: Params, x: Tensor) => p.blocks.reduce((h, block) => checkpoint(layer)(block, h), x).mean();
 *
 * Checkpointed functions may contain others. Without a gradient the function runs as it is.
 * @returns a function of the same arguments and results; its results are tensors in nested arrays and plain objects
 * @throws KilnError when called where it is traced: `invalid_argument`, `invalid_output`, and all that a trace can meet
 */
export function checkpoint<A extends readonly unknown[], R>(fn: (...args: A) => R): (...args: A) => R {
  assertFunction('checkpoint', fn);
  const label = `checkpoint(${fn.name || 'anonymous'})`;
  return named(label, (...args: A) => {
    const trace = currentTrace();
    if (!trace) return fn(...args);
    try {
      return callCheckpointed(trace, fn as never, label, args) as R;
    } catch (error) {
      throw error instanceof KilnError ? error.at(currentLocation()) : error;
    }
  });
}

/**
 * The same values, through which no gradient flows.
 * @param value any pytree; leaves that are no tensors stay
 */
export function stopGradient<T>(value: T): T {
  return mapLeaves(value, (leaf) => (leaf instanceof Tensor ? stopTensor(leaf) : leaf)) as T;
}

function assertFunction(name: string, fn: unknown): void {
  if (typeof fn === 'function') return;
  throw new KilnError('invalid_argument', `${name}: the first argument must be a function`, {
    given: String(fn),
    location: currentLocation(),
  });
}

const named = <F extends (...args: never[]) => unknown>(name: string, fn: F): F =>
  markTrusted(Object.defineProperty(fn, 'name', { value: name }));
