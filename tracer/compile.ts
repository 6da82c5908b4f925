/**
 * `compile`: a function over tensors becomes one program for each signature of its arguments. Also a decorator for
 * methods, in both kinds that TypeScript knows.
 *
 *     const step = compile((p: Params, x: Tensor) => ..., { donate: ['p'] });
 *     class Model { @compile forward(x: Tensor) { return x.matmul(this.w); } }
 */
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import { Compilation, type CompileStats } from './compilation.ts';
import { type CompileOptions, resolveOptions } from './compile-options.ts';
import { compilations } from './compiled-functions.ts';
import { type Explanation, explain, type Lowering, lower, warmup } from './inspect.ts';
import { describe } from './outputs.ts';
import { makeReport } from './report.ts';
import type { TensorSpec } from './spec.ts';
import type { Tensor } from './tensor.ts';
import { claimTrace } from './trace-claims.ts';
import { markTrusted } from './trusted.ts';

type AnyFunction = (...args: never[]) => unknown;

/** A tree with specs allowed in the place of tensors. */
export type WithSpecs<T> = T extends Tensor
  ? T | TensorSpec
  : T extends null | undefined | ((...args: never[]) => unknown) | ArrayBufferView
    ? T
    : T extends object
      ? { [K in keyof T]: WithSpecs<T[K]> }
      : T;

export interface CompiledMembers<A extends readonly unknown[]> {
  /**
   * Every stage of the compile for these arguments (values or specs), as objects that print.
   * @throws KilnError as a call does
   */
  lower(...args: WithSpecs<A>): Lowering;
  /**
   * What was fused, what was not and why, with counts, bytes and FLOPs, without running anything. Symbolic sizes are
   * counted at their lower bounds.
   * @throws KilnError as a call does
   */
  explain(...args: WithSpecs<A>): Explanation;
  /**
   * Everything about the program for these arguments as one HTML page that needs no other file: graphs before and
   * after fusion beside the source, kernels with their code, refusals, memory over time. Nothing runs; `report()` of
   * the package can add times.
   * @throws KilnError as a call does, by rejection
   */
  report(...args: WithSpecs<A>): Promise<string>;
  /** Traces and compiles for these specs, so that the first call that fits need not. Sizes may be symbolic. */
  warmup(...args: WithSpecs<A>): Promise<void>;
  stats(): CompileStats;
}

/** A compiled function: the function itself by its type, and what one can ask it. */
export type Compiled<F extends AnyFunction> = F & CompiledMembers<Parameters<F>>;

/** A decorator of methods, for decorators as standardised and for `experimentalDecorators`. */
export interface CompileDecorator {
  <F extends AnyFunction>(method: F, context: ClassMethodDecoratorContext): F;
  <F extends AnyFunction>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<F>,
  ): TypedPropertyDescriptor<F>;
}

/**
 * Compiles a function on its first call of each signature.
 *
 * Arguments are pytrees: tensors and typed arrays are inputs; everything else (numbers, strings, booleans, null) is
 * static: the function uses it as plain JavaScript, and another value is another signature. Tensors that the function
 * uses from around it are inputs too, taken once, when it is traced. In a method, or a function that uses `this`, the
 * fields of `this` are arguments, and tensors assigned to them are written back after each call.
 *
 * @throws KilnError `invalid_argument`, `unknown_device` for options; when called `shape_mismatch` and all that a
 *   trace can meet (`traced_branch`, `traced_value`, `async_function`, `invalid_output`, `unregistered_class`,
 *   `leaked_tracer`), `use_after_dispose`, `too_many_recompiles`
 */
export function compile<F extends AnyFunction>(fn: F, options?: CompileOptions): Compiled<F>;
export function compile<F extends AnyFunction>(method: F, context: ClassMethodDecoratorContext): F;
export function compile<F extends AnyFunction>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<F>,
): TypedPropertyDescriptor<F>;
export function compile(options: CompileOptions): CompileDecorator;
export function compile(first: unknown, second?: unknown, third?: unknown): unknown {
  const decorated = decorate(first, second, third, {});
  if (decorated) return decorated;
  if (typeof first === 'function') return compiled(first as AnyFunction, checkedOptions(second), false);
  if (typeof first === 'object' && first !== null && second === undefined) {
    const options = checkedOptions(first);
    return (target: unknown, name: unknown, descriptor: unknown) =>
      decorate(target, name, descriptor, options) ?? refuse(target);
  }
  return refuse(first);
}

function refuse(given: unknown): never {
  throw new KilnError('invalid_argument', 'compile: there is no function to compile', {
    given: describe(given),
    expected: 'compile(fn, options), @compile or @compile(options) on a method',
    location: SourceLocation.capture(),
  });
}

function checkedOptions(options: unknown): CompileOptions {
  if (options === undefined) return {};
  if (typeof options === 'object' && options !== null) return options;
  throw new KilnError('invalid_argument', 'compile: the options must be an object', {
    given: describe(options),
    location: SourceLocation.capture(),
  });
}

/** The decorated method, if the arguments are those of a decorator. */
function decorate(target: unknown, name: unknown, descriptor: unknown, options: CompileOptions): unknown {
  if (typeof target === 'function' && isDecoratorContext(name)) {
    if (name.kind === 'method') return compiled(target as AnyFunction, options, true);
    throw new KilnError('invalid_argument', `@compile is for methods, not for a ${name.kind}`, {
      given: `${name.kind} ${String(name.name)}`,
      location: SourceLocation.capture(),
    });
  }
  if (typeof name !== 'string' && typeof name !== 'symbol') return undefined;
  const property = descriptor as PropertyDescriptor | undefined;
  if (typeof property?.value !== 'function') {
    throw new KilnError('invalid_argument', `@compile is for methods: ${String(name)} is none`, {
      location: SourceLocation.capture(),
    });
  }
  return { ...property, value: compiled(property.value as AnyFunction, options, true) };
}

const isDecoratorContext = (value: unknown): value is DecoratorContext =>
  typeof value === 'object' && value !== null && 'kind' in value && 'addInitializer' in value;

function compiled(fn: AnyFunction, options: CompileOptions, isMethod: boolean): unknown {
  const resolved = resolveOptions(fn, options);
  claimTrace(fn, resolved);
  const compilation = new Compilation(fn, resolved, isMethod);
  const call = function (this: unknown, ...args: readonly unknown[]): unknown {
    return compilation.call(this, args);
  };
  compilations.set(call, compilation);
  const members: CompiledMembers<readonly unknown[]> = {
    lower: (...args) => lower(compilation, args),
    explain: (...args) => explain(compilation, args),
    report: async (...args) => (await makeReport(compilation, args)).html,
    warmup: (...args) => warmup(compilation, args),
    stats: () => compilation.stats(),
  };
  Object.defineProperty(call, 'name', { value: fn.name });
  Object.defineProperty(call, 'length', { value: fn.length });
  return markTrusted(Object.assign(call, members));
}
