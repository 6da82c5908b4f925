/**
 * What stands behind a compiled function: its signatures, the programs they lead to, and the run of a call.
 *
 *     key  'f32[8,4]f32[4,2]'  →  bound { entry, outputs: [f32[8,2]] }
 *     entry { source: program, captures: [], structure: '*', patterns: [f32[B,4], f32[4,2]] }
 *
 * A call signs its arguments, finds what is bound to the key, and launches. A key that is new is first tried on the
 * entries with symbolic sizes; otherwise the function is traced, and its graph meets the programs in memory.
 */
import { equalShapes, symbolsOf } from '../base/dim.ts';
import { computedDTypes, type DType } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import { debug, isDebugging } from '../base/flags.ts';
import { printModule } from '../ir/printer.ts';
import { type Module, mainOf, type TensorType } from '../ir/types.ts';
import type { BufferHandle, Device } from '../runtime/device.ts';
import { assertDonatedOnce } from '../runtime/donation.ts';
import { tierKey } from '../runtime/program.ts';
import { deviceNamed } from '../runtime/session.ts';
import { bytesOfView, dtypeOfTypedArray } from '../runtime/typed-arrays.ts';
import { type ArrayLeaf, arraysAsTensors, typeOfArray } from './array-leaf.ts';
import { assertTunable } from './autotune/tune.ts';
import { callInTrace } from './call.ts';
import type { ResolvedOptions } from './compile-options.ts';
import { assertOpen, currentTrace, type Trace, type TracedFunctions } from './graph-trace.ts';
import { currentLocation } from './location.ts';
import { type CompiledSource, programFor } from './program-cache.ts';
import { rebuild, type TreeStructure } from './pytree.ts';
import { applyEffects, type Effect, type SignedReceiver, signReceiver } from './receiver.ts';
import { Recompiles } from './recompiles.ts';
import { defaultPrecision, type Precision } from './settings.ts';
import { sign } from './signature.ts';
import { checkSource } from './source-check.ts';
import { TensorSpec } from './spec.ts';
import { bindShape, dynamicTypes, solveSizes } from './symbolic.ts';
import { Tensor } from './tensor.ts';
import { assertSynchronous, type TracedGraph, traceFunction } from './trace-function.ts';

type AnyFunction = (...args: never[]) => unknown;

/** Arguments of one call as a cache sees them. */
export interface SignedCall {
  readonly receiver: SignedReceiver | undefined;
  readonly thisArg: unknown;
  readonly args: readonly unknown[];
  readonly arrays: readonly ArrayLeaf[];
  readonly key: string;
}

/** One trace and its program; it serves every key whose sizes fit its patterns. */
interface Entry {
  readonly source: CompiledSource;
  readonly precision: Precision;
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
interface Bound {
  readonly entry: Entry;
  readonly outputs: readonly OutputType[];
}

export interface CompileStats {
  /** Calls that ran a program. */
  readonly calls: number;
  /** Programs that had to be compiled. */
  readonly compiles: number;
  /** Traces whose graph met a program that was there already. */
  readonly hits: { readonly memory: number; readonly disk: number };
  /** Milliseconds of all compiles. */
  readonly compileMs: number;
  /** Why each trace after the first was needed. */
  readonly recompiles: readonly { readonly reason: string }[];
}

export class Compilation {
  readonly fn: AnyFunction;
  readonly options: ResolvedOptions;
  readonly label: string;
  /** Whether `this` of a call is an input. */
  readonly takesReceiver: boolean;
  /** Signatures that are being traced as calls. */
  readonly underWay = new Set<string>();
  readonly #bound = new Map<string, Bound>();
  readonly #symbolic: Entry[] = [];
  readonly #compiled = new Set<CompiledSource>();
  readonly #recompiles: Recompiles;
  #calls = 0;
  #memoryHits = 0;

  constructor(fn: AnyFunction, options: ResolvedOptions, takesReceiver: boolean) {
    this.fn = fn;
    this.options = options;
    this.label = `compile(${options.name})`;
    this.takesReceiver = takesReceiver;
    this.#recompiles = new Recompiles(fn, options);
  }

  call(thisArg: unknown, args: readonly unknown[]): unknown {
    const trace = currentTrace();
    if (trace?.kind === 'symbolic') return callInTrace(this, trace, thisArg, args);
    if (trace) return this.#runInline(trace, thisArg, args);
    try {
      const signed = this.sign(thisArg, args);
      return this.#run(this.#bound.get(signed.key) ?? this.#bind(signed), signed);
    } catch (error) {
      throw error instanceof KilnError ? error.at(currentLocation()) : error;
    }
  }

  /** Inside a gradient that runs op by op, a compiled function is the plain function. */
  #runInline(trace: Trace, thisArg: unknown, args: readonly unknown[]): unknown {
    assertSynchronous(this.fn, this.label);
    const tensors = args.map((arg, i) => (this.options.isStatic(i) ? arg : arraysAsTensors(arg, trace.device)));
    checkSource(this.fn, this.label, tensors, this.takesReceiver ? { receiver: thisArg } : undefined);
    return Reflect.apply(this.fn, thisArg, tensors);
  }

  sign(thisArg: unknown, args: readonly unknown[]): SignedCall {
    const { options } = this;
    const receiver = this.takesReceiver && isObject(thisArg) ? signReceiver(thisArg) : undefined;
    const signed = sign(args, options.isStatic);
    const precision = options.precision ?? defaultPrecision();
    const arrays = receiver ? [...receiver.slots.map(({ tensor }) => tensor), ...signed.arrays] : signed.arrays;
    const tier = tierKey(this.deviceOf(arrays).tier);
    const key = `${precision}${tier}${receiver?.key ?? ''};${signed.key}`;
    return { receiver, thisArg, args, arrays, key };
  }

  /** The entry for a key that is new: one with symbolic sizes that fits, or a new trace. */
  #bind(signed: SignedCall): Bound {
    const actual = signed.arrays.map(typeOfArray);
    const shapelessKey = this.#shapelessKey(signed);
    let bound = this.#bindSymbolic(shapelessKey, actual);
    if (!bound) {
      bound = boundTo(this.#trace(signed, this.typesToTrace(signed, actual), shapelessKey), actual);
    }
    this.#bound.set(signed.key, bound);
    return bound;
  }

  #bindSymbolic(shapelessKey: string, actual: readonly TensorType[]): Bound | undefined {
    for (const entry of this.#symbolic) {
      if (entry.shapelessKey === shapelessKey && solveSizes(entry.patterns, actual)) return boundTo(entry, actual);
    }
    return undefined;
  }

  #shapelessKey(signed: SignedCall): string {
    const { key } = sign(signed.args, this.options.isStatic, true);
    const tier = tierKey(this.deviceOf(signed.arrays).tier);
    return `${this.options.precision ?? defaultPrecision()}${tier}${signed.receiver?.key ?? ''};${key}`;
  }

  /**
   * The types by the option `dynamic`, if there is one and the actual types are an instance of them; else the latter.
   */
  typesToTrace(signed: SignedCall, actual: readonly TensorType[]): readonly TensorType[] {
    const { dynamic } = this.options;
    if (!dynamic) return actual;
    const wanted = dynamicTypes(
      signed.args.filter((_, i) => !this.options.isStatic(i)),
      dynamic.filter((_, i) => !this.options.isStatic(i)),
    );
    const before = actual.length - wanted.length;
    const types = actual.map((type, i) => wanted[i - before] ?? type);
    return solveSizes(types, actual) ? types : actual;
  }

  /**
   * Traces and compiles for specs ahead of the first call.
   * @returns the program's source, which may not be compiled yet
   */
  prepare(thisArg: unknown, args: readonly unknown[]): CompiledSource {
    const signed = this.sign(thisArg, args);
    const bound = this.#bound.get(signed.key);
    if (bound) return bound.entry.source;
    const types = signed.arrays.map(typeOfArray);
    const shapelessKey = this.#shapelessKey(signed);
    const known = this.#symbolic.find(
      (entry) => entry.shapelessKey === shapelessKey && equalTypes(entry.patterns, types),
    );
    if (known) return known.source;
    const entry = this.#trace(signed, types, shapelessKey);
    if (!entry.shapelessKey) this.#bound.set(signed.key, boundTo(entry, types));
    return entry.source;
  }

  #trace(signed: SignedCall, types: readonly TensorType[], shapelessKey: string): Entry {
    const { options } = this;
    assertComputable(types, this.label);
    const note = this.#recompiles.admit(signed);
    const device = this.deviceOf(signed.arrays);
    if (options.autotuneMs !== undefined) assertTunable(device, this.label);
    const traced = this.traceModule(signed, types, device.name);
    const precision = options.precision ?? defaultPrecision();
    const donated = this.donatedOf(signed, traced.module);
    const held = this.heldOf(signed, traced.graph);
    const { name, memoryBudget, autotuneMs } = options;
    const budget = memoryBudget !== undefined && { memoryBudget };
    const actual = signed.arrays.map(typeOfArray);
    const sizes = solveSizes(types, actual) ?? new Map<string, number>();
    const autotune = autotuneMs !== undefined && { autotune: { budgetMs: autotuneMs, sizes: [...sizes] } };
    const { source, isNew } = programFor(traced.module, {
      name,
      precision,
      donated,
      held,
      device,
      ...budget,
      ...autotune,
    });
    if (isNew) this.#compiled.add(source);
    else this.#memoryHits++;
    const isSymbolic = types.some(({ shape }) => symbolsOf(...shape).length > 0);
    const { captures, structure, resultCount, effects, graph } = traced.graph;
    const entry: Entry = {
      source,
      precision,
      device: device.name,
      captures,
      structure,
      resultCount,
      effects,
      patterns: types,
      results: graph.results.map(({ type }) => type),
      shapelessKey: isSymbolic ? shapelessKey : undefined,
    };
    if (isSymbolic) this.#symbolic.push(entry);
    note();
    return entry;
  }

  /** Traces the function into a module of its own. */
  traceModule(
    signed: SignedCall,
    types: readonly TensorType[],
    device: string,
  ): { readonly graph: TracedGraph; readonly module: Module } {
    const shared: TracedFunctions = { functions: new Map(), calls: new Map() };
    const graph = traceFunction({
      fn: this.fn,
      label: this.label,
      kind: 'symbolic',
      device,
      args: signed.args,
      isStatic: this.options.isStatic,
      receiver: signed.receiver,
      thisArg: signed.thisArg,
      shared,
      types,
    });
    const module: Module = {
      functions: [...shared.functions.values(), { name: 'main', graph: graph.graph }],
      main: 'main',
    };
    if (isDebugging('trace')) debug('trace', `${this.label}\n${printModule(module, { locations: true })}`);
    return { graph, module };
  }

  /** Where a call runs: the option, else where its first tensor is, else the session's device. */
  deviceOf(arrays: SignedCall['arrays']): Device {
    let name = this.options.device;
    for (let i = 0; name === undefined && i < arrays.length; i++) {
      const array = arrays[i];
      if (array instanceof Tensor) name = array.handle?.device.name;
    }
    return deviceNamed(name);
  }

  /** For each parameter of a module traced from these arguments, whether the caller gives it up. */
  donatedOf({ receiver, args }: SignedCall, module: Module): boolean[] {
    const { options } = this;
    const donated: boolean[] = (receiver?.slots ?? []).map(() => options.donatesReceiver);
    args.forEach((arg, i) => {
      if (options.isStatic(i)) return;
      for (const array of sign([arg]).arrays) donated.push(options.isDonated(i) && !ArrayBuffer.isView(array));
    });
    while (donated.length < mainOf(module).graph.parameters.length) donated.push(false);
    return donated;
  }

  /**
   * For each parameter of a traced graph, whether calls hand over the same tensor, mostly: captures do, and fields of
   * `this` that the method neither assigns nor gives up.
   */
  heldOf({ receiver, arrays }: SignedCall, { captures, effects }: TracedGraph): boolean[] {
    const assigned = effects.map(({ holder, key }) => ['this', ...holder, key].join('.'));
    const slots = receiver?.slots ?? [];
    const held = slots.map(({ path }) => {
      const isAssigned = assigned.some((field) => path === field || path.startsWith(`${field}.`));
      return !this.options.donatesReceiver && !isAssigned;
    });
    return [...held, ...arrays.slice(slots.length).map(() => false), ...captures.map(() => true)];
  }

  #run(bound: Bound, signed: SignedCall): unknown {
    const { entry, outputs } = bound;
    const { source, captures, structure, resultCount, effects } = entry;
    const device = deviceNamed(entry.device);
    const uploaded: BufferHandle[] = [];
    const handles: BufferHandle[] = [];
    for (let i = 0; i < signed.arrays.length; i++) handles.push(this.#handleOf(signed.arrays[i], device, uploaded));
    for (let i = 0; i < captures.length; i++) handles.push(this.#handleOf(captures[i], device, uploaded));
    if (this.options.hasDonations) assertDonatedOnce(source.name, source.donated, handles);
    const results = device.run(source, handles, outputs);
    for (const handle of uploaded) handle.dispose();
    this.#calls++;
    const tensors: Tensor[] = [];
    for (let i = 0; i < results.length; i++) {
      const { dtype, shape, signature } = outputs[i];
      tensors.push(Tensor.of(dtype, shape, results[i], signature));
    }
    if (effects.length > 0) applyEffects(effects, signed.thisArg as object, tensors);
    if (structure.kind === 'leaf') return tensors[0];
    let at = 0;
    return resultCount === 0 ? undefined : rebuild(structure, () => tensors[at++]);
  }

  #handleOf(array: ArrayLeaf, device: Device, uploaded: BufferHandle[]): BufferHandle {
    if (array instanceof Tensor) {
      if (array.handle) return array.handle;
      assertOpen(array);
    }
    if (array instanceof Tensor || array instanceof TensorSpec) {
      throw new KilnError('invalid_argument', `${this.label}: an argument has no data`, {
        given: String(array),
        expected: 'tensors and typed arrays; specs are for lower, explain, report and warmup',
      });
    }
    const handle = device.upload(dtypeOfTypedArray(array)!, typeOfArray(array).shape as number[], bytesOfView(array));
    uploaded.push(handle);
    return handle;
  }

  stats(): CompileStats {
    let compileMs = 0;
    for (const source of this.#compiled) compileMs += source.compileMs;
    return {
      calls: this.#calls,
      compiles: this.#compiled.size,
      hits: { memory: this.#memoryHits, disk: 0 },
      compileMs,
      recompiles: this.#recompiles.reasons,
    };
  }
}

/** Whether a value has fields; a class has, for its static methods. */
const isObject = (value: unknown): value is object =>
  (typeof value === 'object' && value !== null) || typeof value === 'function';

/** Whether types are the same, the bounds of their symbolic sizes included. */
const equalTypes = (a: readonly TensorType[], b: readonly TensorType[]): boolean =>
  a.length === b.length &&
  a.every(({ dtype, shape }, i) => dtype === b[i].dtype && equalShapes(shape, b[i].shape)) &&
  boundsText(a) === boundsText(b);

const boundsText = (types: readonly TensorType[]): string =>
  symbolsOf(...types.flatMap(({ shape }) => shape))
    .map(({ name, min, max }) => `${name} ${min} ${max}`)
    .join();

/** An entry's outputs under concrete types of its arguments. */
function boundTo(entry: Entry, actual: readonly TensorType[]): Bound {
  const bindings = entry.shapelessKey ? solveSizes(entry.patterns, actual) : new Map<string, number>();
  if (!bindings) throw internalError(`${entry.source.name}: sizes that do not fit their own entry`);
  const outputs = entry.results.map(({ dtype, shape }): OutputType => {
    const sizes = Object.freeze(bindShape(shape, bindings));
    return { dtype, shape: sizes, signature: new TensorSpec(dtype, sizes).signature };
  });
  return { entry, outputs };
}

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
