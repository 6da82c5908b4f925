/**
 * What a compiled function knows of a signature: the program, how its outputs become the result, and for which types of
 * arguments it stands.
 *
 *     entry { source, captures: [], structure: '*', patterns: [f32[B,4], f32[4,2]] }
 *     boundTo(entry, [f32[8,4], f32[4,2]]).outputs      // [f32[8,2]]
 */
import { equalShapes, symbolsOf } from '../base/dim.ts';
import { computedDTypes, type DType } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import type { TensorType } from '../ir/types.ts';
import type { CompiledSource } from './program-cache.ts';
import type { TreeStructure } from './pytree.ts';
import type { Effect } from './receiver.ts';
import { TensorSpec } from './spec.ts';
import { bindShape, solveSizes } from './symbolic.ts';
import type { Tensor } from './tensor.ts';

/** One trace and its program; it serves every key whose sizes fit its patterns. */
export interface Entry {
  readonly source: CompiledSource;
  readonly device: string;
  readonly captures: readonly Tensor[];
  readonly structure: TreeStructure;
  readonly resultCount: number;
  readonly effects: readonly Effect[];
  /** Types of the arrays among the arguments, symbolic where they may vary. */
  readonly patterns: readonly TensorType[];
  readonly results: readonly TensorType[];
  /** Key without sizes, for an entry with symbolic ones. */
  readonly shapelessKey: string | undefined;
}

interface OutputType {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly signature: string;
}

/** An entry under the sizes of one key. */
export interface Bound {
  readonly entry: Entry;
  readonly outputs: readonly OutputType[];
}

/** An entry's outputs under concrete types of its arguments. */
export function boundTo(entry: Entry, actual: readonly TensorType[]): Bound {
  const bindings = entry.shapelessKey ? solveSizes(entry.patterns, actual) : new Map<string, number>();
  if (!bindings) throw internalError(`${entry.source.name}: sizes that do not fit their own entry`);
  const outputs = entry.results.map(({ dtype, shape }): OutputType => {
    const sizes = Object.freeze(bindShape(shape, bindings));
    return { dtype, shape: sizes, signature: new TensorSpec(dtype, sizes).signature };
  });
  return { entry, outputs };
}

/** Whether types are the same, the bounds of their symbolic sizes included. */
export const equalTypes = (a: readonly TensorType[], b: readonly TensorType[]): boolean =>
  a.length === b.length &&
  a.every(({ dtype, shape }, i) => dtype === b[i].dtype && equalShapes(shape, b[i].shape)) &&
  boundsText(a) === boundsText(b);

/** The symbolic sizes of types with their bounds: `B 1 1024`. */
export const boundsText = (types: readonly TensorType[]): string =>
  symbolsOf(...types.flatMap(({ shape }) => shape))
    .map(({ name, min, max }) => `${name} ${min} ${max}`)
    .join();

/** @throws KilnError `unsupported_dtype` for an argument that no kernel of this release can take */
export function assertComputable(types: readonly TensorType[], label: string): void {
  const wrong = types.find(({ dtype }) => !computedDTypes.includes(dtype));
  if (!wrong) return;
  throw new KilnError(
    'unsupported_dtype',
    `${label}: an argument has a dtype that this release does not compute with`,
    {
      given: new TensorSpec(wrong.dtype, wrong.shape).signature,
      expected: computedDTypes.join(', '),
      hint: 'convert it on the host: Float32Array.from(data)',
    },
  );
}
