/**
 * What stands behind a compiled function: its signatures, the programs they lead to, and the run of a call.
 *
 *     key  'f32[8,4]f32[4,2]'  →  bound { entry, outputs: [f32[8,2]] }
 *     entry { source: program, captures: [], structure: '*', patterns: [f32[B,4], f32[4,2]] }
 *
 * A call signs its arguments, finds what is bound to the key, and launches. A key that is new is first tried on the
 * entries with symbolic sizes; otherwise the function is traced, and its graph meets the programs in memory and in the
 * cache. Where the user has named the function (`cache: 'step v1'`), a trace that is in the cache stands for one of this
 * process.
 */
import { symbolsOf } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
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
import { assertComputable, type Bound, boundTo, type Entry, equalTypes } from './entry.ts';
import { assertOpen, currentTrace, type Trace, type TracedFunctions } from './graph-trace.ts';
import { keepTrace, type RecalledTrace, recallTrace, recallTraceAside, type TraceableCall } from './kept-trace.ts';
import { currentLocation } from './location.ts';
import { type CompiledSource, programFor } from './program-cache.ts';
import { rebuild } from './pytree.ts';
import { applyEffects, type SignedReceiver, signReceiver } from './receiver.ts';
import { Recompiles } from './recompiles.ts';
import { defaultPrecision } from './settings.ts';
import { sign } from './signature.ts';
import { checkSource } from './source-check.ts';
import { usesThis } from './source-parse.ts';
import { TensorSpec } from './spec.ts';
import { dynamicTypes, solveSizes } from './symbolic.ts';
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

export interface CompileStats {
  /** Calls that ran a program. */
  readonly calls: number;
  /** Programs that had to be compiled, or still have to. */
  readonly compiles: number;
  /** Signatures whose program was there already: in this process, or in the cache that processes share. */
  readonly hits: { readonly memory: number; readonly disk: number };
  /** Milliseconds of all compiles. */
  readonly compileMs: number;
  /** Why each signature after the first was new. */
  readonly recompiles: readonly { readonly reason: string }[];
}

/** What makes an entry: of a trace, or of one that is known. */
type NewEntry = RecalledTrace & Pick<Entry, 'captures'>;

export class Compilation {
  readonly fn: AnyFunction;
  readonly options: ResolvedOptions;
  readonly label: string;
  readonly #isMethod: boolean;
  #takesReceiver: boolean | undefined;
  /** Signatures that are being traced as calls. */
  readonly underWay = new Set<string>();
  readonly #bound = new Map<string, Bound>();
  readonly #symbolic: Entry[] = [];
  readonly #programs = new Set<CompiledSource>();
  readonly #recompiles: Recompiles;
  #calls = 0;
  #memoryHits = 0;

  /** @param isMethod whether `this` of a call is an input whatever the source says */
  constructor(fn: AnyFunction, options: ResolvedOptions, isMethod: boolean) {
    this.fn = fn;
    this.options = options;
    this.label = `compile(${options.name})`;
    this.#isMethod = isMethod;
    this.#recompiles = new Recompiles(fn, options);
  }

  /** Whether `this` of a call is an input. */
  get takesReceiver(): boolean {
    this.#takesReceiver ??= this.#isMethod || usesThis(this.fn);
    return this.#takesReceiver;
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
    // The source is read only where it can matter.
    const receiver = isObject(thisArg) && this.takesReceiver ? signReceiver(thisArg) : undefined;
    const signed = sign(args, options.isStatic);
    const arrays = receiver ? [...receiver.slots.map(({ tensor }) => tensor), ...signed.arrays] : signed.arrays;
    return { receiver, thisArg, args, arrays, key: this.#keyBefore(receiver, arrays) + signed.key };
  }

  /** What a key says before the arguments: how they are compiled, and `this`. */
  #keyBefore(receiver: SignedReceiver | undefined, arrays: SignedCall['arrays']): string {
    const tier = tierKey(this.deviceOf(arrays).tier);
    return `${this.options.precision ?? defaultPrecision()}${tier}${receiver?.key ?? ''};`;
  }

  /** The entry for a key that is new: one with symbolic sizes that fits, or a new trace. */
  #bind(signed: SignedCall): Bound {
    const actual = signed.arrays.map(typeOfArray);
    const shapelessKey = this.#shapelessKey(signed);
    let bound = this.#bindSymbolic(shapelessKey, actual);
    if (!bound) {
      const call = this.#traceable(signed, this.typesToTrace(signed, actual));
      bound = boundTo(this.#enter(call, shapelessKey), actual);
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
    return this.#keyBefore(signed.receiver, signed.arrays) + key;
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
   * Traces for specs ahead of the first call.
   * @param beforeTrace refuses what can not be traced ahead
   * @returns the program's source, which may not be compiled yet
   */
  prepare(thisArg: unknown, args: readonly unknown[], beforeTrace?: () => void): CompiledSource {
    const signed = this.sign(thisArg, args);
    const types = signed.arrays.map(typeOfArray);
    const shapelessKey = this.#shapelessKey(signed);
    const known = this.#known(signed, types, shapelessKey);
    if (known) return known.source;
    const entry = this.#enter(this.#traceable(signed, types), shapelessKey, beforeTrace);
    if (!entry.shapelessKey) this.#bound.set(signed.key, boundTo(entry, types));
    return entry.source;
  }

  /** Takes up the trace of these specs, if there is one in a cache that must be waited for. */
  async recallAside(thisArg: unknown, args: readonly unknown[]): Promise<void> {
    const signed = this.sign(thisArg, args);
    const types = signed.arrays.map(typeOfArray);
    const shapelessKey = this.#shapelessKey(signed);
    if (this.#known(signed, types, shapelessKey)) return;
    const call = this.#traceable(signed, types);
    const recalled = await recallTraceAside(call);
    if (!recalled || this.#known(signed, types, shapelessKey)) return;
    const note = this.#recompiles.admit(signed);
    const entry = this.#add(call, shapelessKey, { ...recalled, captures: [] });
    note();
    if (!entry.shapelessKey) this.#bound.set(signed.key, boundTo(entry, types));
  }

  #known(signed: SignedCall, types: readonly TensorType[], shapelessKey: string): Entry | undefined {
    const entry = this.#bound.get(signed.key)?.entry;
    if (entry) return entry;
    return this.#symbolic.find(
      (symbolic) => symbolic.shapelessKey === shapelessKey && equalTypes(symbolic.patterns, types),
    );
  }

  /** A call as it is looked for, traced and compiled. @throws KilnError `unsupported_dtype`, `invalid_argument` */
  #traceable(signed: SignedCall, types: readonly TensorType[]): TraceableCall {
    const { options } = this;
    const { name, memoryBudget, autotuneMs, isKept } = options;
    assertComputable(types, this.label);
    const device = this.deviceOf(signed.arrays);
    if (autotuneMs !== undefined) assertTunable(device, this.label);
    const sizes = solveSizes(types, signed.arrays.map(typeOfArray)) ?? new Map<string, number>();
    const program = {
      name,
      precision: options.precision ?? defaultPrecision(),
      donated: this.#donatedArrays(signed),
      device,
      isKept,
      ...(memoryBudget !== undefined && { memoryBudget }),
      ...(autotuneMs !== undefined && { autotune: { budgetMs: autotuneMs, sizes: [...sizes] } }),
    };
    return { options, signed, types, program };
  }

  /** A new entry, by a trace that another process has left or one of this. */
  #enter(call: TraceableCall, shapelessKey: string, beforeTrace?: () => void): Entry {
    const note = this.#recompiles.admit(call.signed);
    const recalled = recallTrace(call);
    if (!recalled) beforeTrace?.();
    const entry = this.#add(call, shapelessKey, recalled ? { ...recalled, captures: [] } : this.#trace(call));
    note();
    return entry;
  }

  #trace(call: TraceableCall): NewEntry {
    const { signed, types, program } = call;
    const { graph, module } = this.traceModule(signed, types, program.device.name);
    const found = programFor(module, {
      ...program,
      donated: this.donatedOf(signed, module),
      held: this.heldOf(signed, graph),
    });
    keepTrace(call, found.source, graph, graph.captures.length);
    return { ...graph, ...found, results: graph.graph.results.map(({ type }) => type) };
  }

  #add({ types, program }: TraceableCall, shapelessKey: string, made: NewEntry): Entry {
    const { source, isNew, captures, structure, resultCount, effects, results } = made;
    if (isNew) this.#programs.add(source);
    else this.#memoryHits++;
    const isSymbolic = types.some(({ shape }) => symbolsOf(...shape).length > 0);
    const entry: Entry = {
      source,
      device: program.device.name,
      captures,
      structure,
      resultCount,
      effects,
      patterns: types,
      results,
      shapelessKey: isSymbolic ? shapelessKey : undefined,
    };
    if (isSymbolic) this.#symbolic.push(entry);
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
  donatedOf(signed: SignedCall, module: Module): boolean[] {
    const donated = this.#donatedArrays(signed);
    while (donated.length < mainOf(module).graph.parameters.length) donated.push(false);
    return donated;
  }

  #donatedArrays({ receiver, args }: SignedCall): boolean[] {
    const { options } = this;
    const donated: boolean[] = (receiver?.slots ?? []).map(() => options.donatesReceiver);
    args.forEach((arg, i) => {
      if (options.isStatic(i)) return;
      // A spec stands for a tensor; a typed array stays the caller's.
      for (const array of sign([arg]).arrays) donated.push(options.isDonated(i) && !ArrayBuffer.isView(array));
    });
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
    let fromDisk = 0;
    for (const source of this.#programs) {
      compileMs += source.compileMs;
      if (source.isFromCache) fromDisk++;
    }
    return {
      calls: this.#calls,
      compiles: this.#programs.size - fromDisk,
      hits: { memory: this.#memoryHits, disk: fromDisk },
      compileMs,
      recompiles: this.#recompiles.reasons,
    };
  }
}

/** Whether a value has fields; a class has, for its static methods. */
const isObject = (value: unknown): value is object =>
  (typeof value === 'object' && value !== null) || typeof value === 'function';
