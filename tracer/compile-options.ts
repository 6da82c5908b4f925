/**
 * Options of `compile`, checked once. Arguments are named by position or by the name of the parameter; `'this'` is the
 * receiver of a method.
 */
import { type ErrorDetails, KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import { assertDevice } from '../runtime/session.ts';
import { describe } from './outputs.ts';
import type { Precision } from './settings.ts';
import { parameterNames } from './source-parse.ts';

/** Which argument: its position, or the name of its parameter (which minifiers may change; positions stay). */
export type ArgumentName = number | string;

export interface CompileOptions {
  /** Device to run on; by default that of the arguments. */
  readonly device?: string;
  /** Name in messages, profiles and dumps; by default the function's. */
  readonly name?: string;
  /** Arguments that are part of the key as a whole, whatever they are: any class, no tensors inside. */
  readonly static?: readonly ArgumentName[];
  /** Arguments whose tensors the call may overwrite and which are gone afterwards. */
  readonly donate?: readonly ArgumentName[];
  /**
   * Symbolic sizes: for each argument a tree like it of specs or shapes, such as `[dim('B'), 784]`, or `undefined`
   * where sizes are fixed. A call whose shapes fit, within the bounds of the sizes, needs no compile of its own.
   */
  readonly dynamic?: readonly unknown[];
  /** `'fast'` or `'strict'`; by default that of `init`. */
  readonly precision?: Precision;
  /**
   * The most bytes that one run may take: arguments, outputs, constants and everything in between, as
   * `explain(...).peakBytes` counts them. Where that is less than the function takes otherwise, values are computed
   * again instead of kept, with the same bits; where it can not be met, the compile fails with `memory_budget`.
   */
  readonly memoryBudget?: number;
  /**
   * Measures how contractions and reductions are best cut up here when the function is compiled, `budgetMs` long at
   * most (2 seconds unless given), and keeps the winners and the program in the cache. In `strict` no bit depends on
   * what wins. Without it nothing is measured.
   */
  readonly autotune?: boolean | { readonly budgetMs?: number };
  /**
   * `false`: nothing of this function is kept for other processes, nor taken from them.
   *
   * A text is your word that the function of this name is the one that was kept under it: a process that finds a call of
   * the same signature in the cache runs its program, without running the function once to trace it. Kiln can not see that the
   * function, or a number that it takes from around it, has changed since: change the text with it, say to
   * `'step v2'`. Of a function that captures tensors, or is called with functions or objects that are known only by
   * identity, no trace is kept; it is traced in each process, and its program found by its graph, as without the option.
   */
  readonly cache?: false | string;
  /** Most signatures the function may meet beyond the first; 256 unless given. */
  readonly maxRecompiles?: number;
}

/** Options as the machinery uses them. */
export interface ResolvedOptions {
  readonly device: string | undefined;
  readonly name: string;
  readonly statics: ReadonlySet<number>;
  readonly isStatic: (position: number) => boolean;
  readonly isDonated: (position: number) => boolean;
  readonly donatesReceiver: boolean;
  readonly hasDonations: boolean;
  readonly dynamic: readonly unknown[] | undefined;
  readonly precision: Precision | undefined;
  readonly memoryBudget: number | undefined;
  /** Milliseconds for measuring; `undefined` where nothing is to be measured. */
  readonly autotuneMs: number | undefined;
  /** Whether programs are kept for other processes. */
  readonly isKept: boolean;
  /** The user's name for the function as it is, under which its traces are kept. */
  readonly traceKey: string | undefined;
  readonly maxRecompiles: number;
}

/** What measuring a program may take unless the option says more or less. */
const autotuneBudgetMs = 2000;

const known = [
  'device',
  'name',
  'static',
  'donate',
  'dynamic',
  'precision',
  'memoryBudget',
  'autotune',
  'cache',
  'maxRecompiles',
];

/** @throws KilnError `invalid_argument` for an option that does not exist or a value that is none; `unknown_device` */
export function resolveOptions(fn: (...args: never[]) => unknown, options: CompileOptions): ResolvedOptions {
  const refuse = (details: ErrorDetails): never => {
    throw new KilnError('invalid_argument', 'compile: an option is not right', {
      ...details,
      location: SourceLocation.capture(),
    });
  };
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) refuse({ given: `option ${key}`, expected: known.join(', ') });
  }
  const { device, name, precision, memoryBudget, cache, maxRecompiles = 256, dynamic } = options;
  if (device !== undefined) assertDevice(device);
  if (name !== undefined && (typeof name !== 'string' || name === '')) refuse({ given: `name: ${describe(name)}` });
  if (precision !== undefined && precision !== 'fast' && precision !== 'strict') {
    refuse({ given: `precision: ${describe(precision)}`, expected: "'fast' or 'strict'" });
  }
  if (memoryBudget !== undefined && !(Number.isSafeInteger(memoryBudget) && memoryBudget > 0)) {
    refuse({
      given: `memoryBudget: ${describe(memoryBudget)}`,
      expected: 'a whole number of bytes above 0',
      hint: 'explain(...).peakBytes says how many bytes the function takes without a budget',
    });
  }
  const autotuneMs = autotuneBudget(options.autotune);
  if (autotuneMs !== undefined && !(autotuneMs > 0 && Number.isFinite(autotuneMs))) {
    refuse({
      given: `autotune: ${describe(options.autotune)}`,
      expected: 'true, false or { budgetMs: a number above 0 }',
    });
  }
  if (cache !== undefined && cache !== false && (typeof cache !== 'string' || cache === '')) {
    refuse({
      given: `cache: ${describe(cache)}`,
      expected: 'false, or a text that changes whenever the function does',
      hint: 'leave it out for programs to be kept; init({ cache }) says where',
    });
  }
  if (typeof maxRecompiles !== 'number' || !(maxRecompiles >= 0)) {
    refuse({ given: `maxRecompiles: ${describe(maxRecompiles)}`, expected: 'a number from 0' });
  }
  if (dynamic !== undefined && !Array.isArray(dynamic)) {
    refuse({ given: `dynamic: ${describe(dynamic)}`, expected: 'an array with a spec tree for each argument' });
  }
  const positions = (option: 'static' | 'donate'): Set<number> => {
    const found = new Set<number>();
    const wanted = options[option] ?? [];
    if (!Array.isArray(wanted)) refuse({ given: `${option}: ${describe(wanted)}`, expected: 'an array of arguments' });
    const isNamed = (wanted as readonly unknown[]).some((each) => typeof each === 'string' && each !== 'this');
    const names = isNamed ? parameterNames(fn) : [];
    for (const argument of wanted as readonly unknown[]) {
      const position = argument === 'this' ? -1 : typeof argument === 'string' ? names.indexOf(argument) : argument;
      const exists =
        typeof position === 'number' && Number.isInteger(position) && (position >= 0 || argument === 'this');
      if (!exists) {
        refuse({
          given: `${option}: ${describe(argument)}`,
          expected: `positions from 0, or names among ${
            parameterNames(fn)
              .map((n, i) => n ?? String(i))
              .join(', ') || '(none)'
          }`,
        });
      }
      found.add(position as number);
    }
    return found;
  };
  const [statics, donated] = [positions('static'), positions('donate')];
  return {
    device,
    name: name ?? (fn.name || 'anonymous'),
    statics,
    isStatic: (position) => statics.has(position),
    isDonated: (position) => donated.has(position),
    donatesReceiver: donated.has(-1),
    hasDonations: donated.size > 0,
    dynamic,
    precision,
    memoryBudget,
    autotuneMs,
    isKept: cache !== false,
    traceKey: cache === false ? undefined : cache,
    maxRecompiles,
  };
}

/** Milliseconds that an option gives; NaN for one that is none. */
function autotuneBudget(option: unknown): number | undefined {
  if (option === undefined || option === false) return undefined;
  if (option === true) return autotuneBudgetMs;
  if (typeof option !== 'object' || option === null || Array.isArray(option)) return Number.NaN;
  const { budgetMs = autotuneBudgetMs, ...others } = option as { readonly budgetMs?: unknown };
  return typeof budgetMs === 'number' && Object.keys(others).length === 0 ? budgetMs : Number.NaN;
}
