/**
 * Symbolic signatures at call time: which concrete types an entry traced with symbolic sizes fits, and what its
 * symbols are then.
 *
 *     solveSizes([f32[B,784], i32[B]], [f32[7,784], i32[7]])      // Map { B → 7 }
 */
import { bindDims } from '../base/bind-dims.ts';
import { type Dim, type DimBindings, evaluateDim, SymbolicDim } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
import { sortedKeys } from '../base/static-key.ts';
import type { TensorType } from '../ir/types.ts';
import { isArrayLeaf, typeOfArray } from './array-leaf.ts';
import { nodeKind, registrationOf } from './pytree.ts';
import { TensorSpec } from './spec.ts';

/**
 * Values of the symbols under which the patterns are the actual types, within bounds; `undefined` if there are none.
 */
export function solveSizes(patterns: readonly TensorType[], actual: readonly TensorType[]): DimBindings | undefined {
  const fits =
    patterns.length === actual.length &&
    patterns.every(({ dtype, shape }, i) => dtype === actual[i].dtype && shape.length === actual[i].shape.length);
  if (!fits) return undefined;
  const pairs = patterns.flatMap(({ shape }, i) => shape.map((size, axis) => [size, actual[i].shape[axis]] as const));
  if (!pairs.every((pair): pair is readonly [Dim, number] => typeof pair[1] === 'number')) return undefined;
  try {
    return bindDims(pairs);
  } catch (error) {
    if (error instanceof KilnError) return undefined;
    throw error;
  }
}

/** A type under values of its symbols. */
export const bindShape = (shape: readonly Dim[], bindings: DimBindings): readonly number[] =>
  shape.map((size) => evaluateDim(size, bindings));

/**
 * The types that the option `dynamic` gives, by specs or shapes, to the arrays among the arguments, in order;
 * `undefined` where it says nothing.
 * @throws KilnError `tree_mismatch` when a tree of specs is not like its argument
 */
export function dynamicTypes(args: readonly unknown[], dynamic: readonly unknown[]): (TensorType | undefined)[] {
  const types: (TensorType | undefined)[] = [];
  for (const [i, arg] of args.entries()) collectTypes(arg, dynamic[i], `argument ${i}`, types);
  return types;
}

function collectTypes(value: unknown, pattern: unknown, path: string, types: (TensorType | undefined)[]): void {
  if (isArrayLeaf(value)) {
    types.push(pattern === undefined || pattern === null ? undefined : specAt(pattern, path, typeOfArray(value)));
    return;
  }
  const kind = nodeKind(value);
  if (kind === 'leaf' || kind === 'nothing') return;
  if (kind === 'instance') {
    const held = (instance: object): unknown => registrationOf(instance)?.parts.flatten(instance)[0];
    collectTypes(
      held(value as object),
      typeof pattern === 'object' && pattern ? held(pattern) : undefined,
      path,
      types,
    );
    return;
  }
  const fields = (pattern ?? {}) as Record<string, unknown>;
  if (pattern instanceof TensorSpec || typeof fields !== 'object') specAt(pattern, path, undefined);
  for (const key of kind === 'list' ? Object.keys(value as object) : sortedKeys(value as object)) {
    collectTypes((value as Record<string, unknown>)[key], fields[key], `${path}.${key}`, types);
  }
}

const isShape = (pattern: unknown): pattern is readonly Dim[] =>
  Array.isArray(pattern) &&
  pattern.every((size) => size instanceof SymbolicDim || (Number.isSafeInteger(size) && size >= 0));

function specAt(pattern: unknown, path: string, given: TensorType | undefined): TensorType {
  if (given && isShape(pattern) && pattern.length === given.shape.length) return { dtype: given.dtype, shape: pattern };
  const isLike =
    pattern instanceof TensorSpec &&
    given !== undefined &&
    pattern.dtype === given.dtype &&
    pattern.shape.length === given.shape.length;
  if (isLike) return pattern.type;
  throw new KilnError('tree_mismatch', `compile: the option dynamic does not fit ${path}`, {
    given: `${Array.isArray(pattern) ? `[${pattern.join(',')}]` : String(pattern)} for ${given ? new TensorSpec(given.dtype, given.shape).signature : 'a container'}`,
    expected: 'specs of the same dtype and rank, or shapes of the same rank, in a tree like the argument',
  });
}
