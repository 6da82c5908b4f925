/**
 * One entry of a bake, traced: what the artefact says of the function, the tensors that it uses from around it, and
 * the request for its programs, which lacks only the tier.
 */

import { type Dim, symbolsOf } from '../../base/dim.ts';
import { type ErrorDetails, KilnError } from '../../base/error.ts';
import { SourceLocation } from '../../base/location.ts';
import type { TensorType } from '../../ir/types.ts';
import type { FunctionRecord } from '../../runtime/artefact/records.ts';
import type { TensorSpec } from '../../runtime/program.ts';
import { typeOfArray } from '../array-leaf.ts';
import { Compilation } from '../compilation.ts';
import { type CompileOptions, type ResolvedOptions, resolveOptions } from '../compile-options.ts';
import { compilations } from '../compiled-functions.ts';
import type { CompileRequest } from '../compiler.ts';
import { assertComputable } from '../entry.ts';
import { defaultPrecision } from '../settings.ts';
import { parameterNames, usesThis } from '../source-parse.ts';
import type { Tensor } from '../tensor.ts';
import type { BakeEntry } from './define.ts';
import { recordArgument, recordResult } from './tree-record.ts';

type AnyFunction = (...args: never[]) => unknown;

export interface TracedEntry {
  readonly record: Omit<FunctionRecord, 'captures' | 'programs'>;
  readonly captures: readonly Tensor[];
  readonly request: Omit<CompileRequest, 'tier' | 'threads'>;
  /** Milliseconds for measuring schedules, where that was asked for. */
  readonly autotuneMs: number | undefined;
}

/**
 * Traces an entry. Nothing runs.
 * @throws KilnError `bake_failed`, and what tracing throws; whatever the function throws. `failureOf` makes one of all.
 */
export function traceEntry(name: string, { fn, args: given, ...wanted }: BakeEntry): TracedEntry {
  const args = given as readonly unknown[];
  const known = compilations.get(fn);
  const plain = known?.fn ?? (fn as AnyFunction);
  if (known?.takesReceiver || usesThis(plain)) throw receiverRefused(name);
  const options = resolveOptions(plain, { name, device: 'wasm', ...optionsOf(known?.options, args.length), ...wanted });
  const compilation = new Compilation(plain, options, false);
  const names = parameterNames(plain);
  const parameters = args.map((arg, i) => ({
    ...(names[i] !== undefined && { name: names[i] }),
    tree: recordArgument(arg, names[i] ?? `argument ${i}`, options.isStatic(i)),
  }));
  const signed = compilation.sign(undefined, args);
  const types = signed.arrays.map(typeOfArray);
  assertComputable(types, compilation.label);
  const { module, graph } = compilation.traceModule(signed, types, 'wasm');
  const donated = compilation.donatedOf(signed, module);
  const precision = options.precision ?? defaultPrecision();
  return {
    record: {
      name,
      parameters,
      inputs: types.map(recordType),
      symbols: symbolsOf(...types.flatMap(({ shape }) => shape)).map(({ name, min, max }) => ({ name, min, max })),
      results: graph.graph.results.map(({ type }) => recordType(type)),
      result: recordResult(graph.structure),
      precision,
    },
    captures: graph.captures,
    request: {
      module,
      name: options.name,
      precision,
      donated,
      held: compilation.heldOf(signed, graph),
      ...(options.memoryBudget !== undefined && { memoryBudget: options.memoryBudget }),
    },
    autotuneMs: options.autotuneMs,
  };
}

/** What a compiled function was compiled with. */
function optionsOf(options: ResolvedOptions | undefined, count: number): CompileOptions {
  if (!options) return {};
  const { statics, isDonated, precision, memoryBudget, autotuneMs } = options;
  return {
    static: [...statics],
    donate: Array.from({ length: count }, (_, i) => i).filter(isDonated),
    ...(precision && { precision }),
    ...(memoryBudget !== undefined && { memoryBudget }),
    ...(autotuneMs !== undefined && { autotune: { budgetMs: autotuneMs } }),
  };
}

const recordType = ({ dtype, shape }: TensorType): TensorSpec => ({
  dtype,
  shape: shape.map((size: Dim) => (typeof size === 'number' ? size : String(size))),
});

const receiverRefused = (name: string): KilnError =>
  new KilnError('bake_failed', 'a function that uses `this` belongs to an object, which a file can not hold', {
    given: `a method as '${name}'`,
    expected: 'a function of its arguments',
    hint: `bake a function that calls it: { fn: (x) => model.${name}(x), args: […] }`,
  });

/**
 * What an entry or a module failed with, under its name.
 * @param when what was done, for an error that is none of Kiln's
 */
export function failureOf(name: string, error: unknown, when = 'the function throws while it is traced'): KilnError {
  if (error instanceof KilnError) {
    const { code, summary, given, expected, hint, location } = error;
    const details: ErrorDetails = {
      ...(given !== undefined && { given }),
      ...(expected !== undefined && { expected }),
      ...(hint !== undefined && { hint }),
      ...(location && { location }),
      cause: error,
    };
    return new KilnError('bake_failed', `${name}: ${code === 'bake_failed' ? '' : `[${code}] `}${summary}`, details);
  }
  const location = error instanceof Error ? { location: SourceLocation.ofError(error) } : {};
  return new KilnError('bake_failed', `${name}: ${when}`, {
    given: String(error),
    cause: error,
    ...location,
  });
}
