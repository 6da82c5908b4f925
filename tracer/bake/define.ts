/**
 * `defineBake`: what a module declares so that `kiln bake` compiles it ahead of time. Nothing is traced here.
 *
 *     export default defineBake(
 *       {
 *         forward: { fn: forward, args: [specOf(params), spec([dim('B'), 784])] },
 *         step: { fn: step, args: [specOf(params), spec([32, 784]), spec([32], 'int32')], donate: [0] },
 *       },
 *       { weights: { params } },
 *     );
 */
import { type ErrorDetails, KilnError } from '../../base/error.ts';
import { SourceLocation } from '../../base/location.ts';
import type { WithSpecs } from '../compile.ts';
import type { CompileOptions } from '../compile-options.ts';
import { describe } from '../outputs.ts';

type AnyFunction = (...args: never[]) => unknown;

/** Options of `compile` that a bake knows too; for a compiled function they take precedence over its own. */
export type BakeCompileOptions = Pick<
  CompileOptions,
  'name' | 'static' | 'donate' | 'precision' | 'memoryBudget' | 'autotune'
>;

/** A function to bake, and what for. */
export interface BakeEntry<F extends AnyFunction = AnyFunction> extends BakeCompileOptions {
  /** A plain function or a compiled one. Tensors that it uses from around it become weights of the artefact. */
  readonly fn: F;
  /** Specs in the place of tensors and typed arrays; every other value is fixed, and guarded when it is called. */
  readonly args: WithSpecs<Parameters<F>>;
}

export interface BakeOptions {
  /** Trees of tensors by name: they travel with the functions, and the loader hands them out. */
  readonly weights?: Readonly<Record<string, unknown>>;
}

/** What a module declares. */
export interface BakeDefinition {
  readonly kind: typeof definitionKind;
  readonly entries: Readonly<Record<string, BakeEntry>>;
  readonly weights: Readonly<Record<string, unknown>>;
  /** Where it was declared, for messages. */
  readonly source?: string;
}

/** Told by its value, not by identity: a second copy of Kiln knows it too. */
const definitionKind = 'kiln bake';

const entryOptions = ['fn', 'args', 'name', 'static', 'donate', 'precision', 'memoryBudget', 'autotune'];

export const isBakeDefinition = (value: unknown): value is BakeDefinition =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === definitionKind;

/**
 * Declares functions to bake, by the names that the artefact gives them.
 * @throws KilnError `bake_failed` for what is no entry
 */
export function defineBake<F extends Readonly<Record<string, AnyFunction>>>(
  entries: { readonly [K in keyof F]: BakeEntry<F[K]> },
  options: BakeOptions = {},
): BakeDefinition {
  const given = entries as Readonly<Record<string, unknown>>;
  if (typeof given !== 'object' || given === null || Object.keys(given).length === 0) {
    refuse('there is nothing to bake', { given: describe(given) });
  }
  for (const [name, entry] of Object.entries(given)) assertEntry(name, entry);
  for (const option of Object.keys(options)) {
    if (option !== 'weights') refuse('an option is not right', { given: `option ${option}`, expected: 'weights' });
  }
  const { weights = {} } = options;
  if (typeof weights !== 'object' || weights === null || Array.isArray(weights)) {
    refuse('the weights must be an object of named trees', { given: describe(weights), hint: 'weights: { params }' });
  }
  return {
    kind: definitionKind,
    entries: { ...given } as Readonly<Record<string, BakeEntry>>,
    weights: { ...weights },
  };
}

function assertEntry(name: string, entry: unknown): void {
  const { fn, args } = (entry ?? {}) as { readonly fn?: unknown; readonly args?: unknown };
  if (name === '' || typeof fn !== 'function' || !Array.isArray(args)) {
    refuse(`the entry '${name}' is none`, {
      given: describe(entry),
      expected: '{ fn: a function, args: an array of specs and values }',
    });
  }
  for (const option of Object.keys(entry as object)) {
    if (entryOptions.includes(option)) continue;
    refuse(`the entry '${name}' has an option that does not exist`, {
      given: option,
      expected: entryOptions.join(', '),
    });
  }
}

function refuse(summary: string, details: ErrorDetails): never {
  throw new KilnError('bake_failed', `defineBake: ${summary}`, {
    expected: '{ name: { fn, args: [spec([32, 784]), …] } }',
    ...details,
    location: SourceLocation.capture(),
  });
}
