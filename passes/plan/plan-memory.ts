/**
 * Where every value lives: inputs and constants where they are, outputs in buffers of their own, all else in an arena
 * of temporaries. A value takes over the memory of one that dies in the launch that makes it, where the kernel allows
 * it; outputs take over donated inputs.
 *
 *     launch 0   reads x, writes a          a: temporary 0, launches 0..1
 *     launch 1   reads a, writes b          b: temporary 0 too, if kernel 1 may work in place
 */

import { planArena } from '../../base/arena.ts';
import { type Dim, dimProduct, isStatic, isStaticShape, mulDims } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import type {
  Launch,
  LaunchBuffer,
  LoweredOutput,
  LoweredPrepared,
  LoweredTemporary,
  OutputSource,
} from '../../ir/lowered.ts';
import type { Literal, TensorType, Value } from '../../ir/types.ts';
import type { LoweredGroup } from '../lower/lower-group.ts';

export interface PlanRequest {
  readonly parameters: readonly Value[];
  readonly donated: readonly boolean[];
  /** What the program gives back, as values in memory. */
  readonly results: readonly { readonly value: Value; readonly type: TensorType }[];
  /** The array that a value is, if it is a constant that lies in memory. */
  constantOf(value: Value): Literal | undefined;
  readonly launches: readonly LoweredGroup[];
  /** How many of them, from the first on, are run only once; what later ones read of them stays. None unless given. */
  readonly prepareLaunches?: number;
  /** Whether results may take over the memory of operands that die. */
  readonly inPlace: boolean;
}

export interface MemoryPlan {
  readonly outputs: readonly LoweredOutput[];
  readonly constants: readonly Literal[];
  readonly prepared: readonly LoweredPrepared[];
  readonly temporaries: readonly LoweredTemporary[];
  readonly arenaBytes?: number;
  /** Buffers of each launch: values read, then values written. */
  readonly bindings: readonly Launch['buffers'][];
  /** Launches that change their operand's memory and run their in-place variant. */
  readonly inPlaceVariants: ReadonlySet<number>;
}

/** Memory that one or several values use in turn. */
interface Storage {
  readonly bytes: Dim;
  readonly first: number;
  last: number;
  place:
    | 'temporary'
    | { readonly output: number }
    | { readonly input: number }
    | { readonly constant: number }
    | { readonly prepared: number };
}

export const bytesOf = ({ dtype, shape }: TensorType): Dim => mulDims(dimProduct(shape), byteSize(dtype));

export function planMemory(request: PlanRequest): MemoryPlan {
  return new Planner(request).plan();
}

class Planner {
  readonly #request: PlanRequest;
  readonly #storages = new Map<Value, Storage>();
  /** Last launch that reads a value; results are read for ever. */
  readonly #lastRead = new Map<Value, number>();
  readonly #resultOf = new Map<Value, number>();
  readonly #constants: Literal[] = [];
  readonly #prepared: LoweredPrepared[] = [];
  readonly #sources: OutputSource[];
  /** Donated inputs that hold something else by now, or do from some launch on. */
  readonly #claimed = new Set<number>();
  /** Donated inputs by their bytes; those that are read last come first. */
  readonly #donated = new Map<string, number[]>();
  readonly #inPlaceVariants = new Set<number>();

  constructor(request: PlanRequest) {
    this.#request = request;
    this.#sources = request.results.map(() => ({ kind: 'own' }));
    request.launches.forEach(({ reads }, launch) => {
      for (const value of reads) this.#lastRead.set(value, launch);
    });
    request.results.forEach(({ value }, output) => {
      const before = this.#resultOf.get(value);
      if (before !== undefined) this.#sources[output] = { kind: 'output', index: before };
      else this.#resultOf.set(value, output);
    });
    request.parameters.forEach((parameter, input) => {
      const last = this.#resultOf.has(parameter) ? Infinity : (this.#lastRead.get(parameter) ?? -1);
      this.#storages.set(parameter, { bytes: bytesOf(parameter.type), first: -1, last, place: { input } });
      this.#aliasOutput(parameter, { kind: 'input', index: input });
    });
    this.#sortDonated();
  }

  plan(): MemoryPlan {
    const { launches, results } = this.#request;
    launches.forEach((group, launch) => {
      for (const value of group.reads) this.#storageOf(value);
      group.writes.forEach((value, at) => {
        this.#write(value, at, group, launch);
      });
    });
    for (const { value } of results) this.#storageOf(value);
    const temporaries = [...new Set(this.#storages.values())].filter((storage) => storage.place === 'temporary');
    temporaries.sort((a, b) => a.first - b.first);
    const numbers = new Map(temporaries.map((storage, number) => [storage, number]));
    const bind = (value: Value): LaunchBuffer => this.#binding(value, numbers);
    return {
      outputs: results.map(({ type }, output) => ({ type, source: this.#sourceOf(output) })),
      constants: this.#constants,
      prepared: this.#prepared,
      ...placeTemporaries(temporaries),
      bindings: launches.map((group, launch) => this.#bindings(group, launch, bind)),
      inPlaceVariants: this.#inPlaceVariants,
    };
  }

  /** An output that repeats another is where that one is; a fresh buffer is named by the first. */
  #sourceOf(output: number): OutputSource {
    const source = this.#sources[output];
    if (source.kind !== 'output') return source;
    const first = this.#sources[source.index];
    return first.kind === 'input' || first.kind === 'constant' ? first : source;
  }

  #bindings(group: LoweredGroup, launch: number, bind: (value: Value) => LaunchBuffer): LaunchBuffer[] {
    const { reads, writes } = (this.#inPlaceVariants.has(launch) && group.inPlaceVariant) || group;
    return [...reads, ...writes].map(bind);
  }

  #binding(value: Value, numbers: ReadonlyMap<Storage, number>): LaunchBuffer {
    const storage = this.#storageOf(value);
    const { place } = storage;
    if (place === 'temporary') return { kind: 'temporary', index: numbers.get(storage) ?? 0 };
    if ('output' in place) return { kind: 'output', index: place.output };
    if ('input' in place) return { kind: 'input', index: place.input };
    if ('prepared' in place) return { kind: 'prepared', index: place.prepared };
    return { kind: 'constant', index: place.constant };
  }

  /** Memory of a value that is written already; constants are found here first. */
  #storageOf(value: Value): Storage {
    const known = this.#storages.get(value);
    if (known) return known;
    const output = this.#resultOf.get(value);
    if (output !== undefined && value.type.shape.includes(0)) return this.#fresh(value, 0, output);
    const literal = this.#request.constantOf(value);
    if (!literal) throw internalError('a value is read before any launch writes it');
    const constant = this.#constants.push(literal) - 1;
    const storage: Storage = { bytes: bytesOf(value.type), first: -1, last: Infinity, place: { constant } };
    this.#storages.set(value, storage);
    this.#aliasOutput(value, { kind: 'constant', index: constant });
    return storage;
  }

  #aliasOutput(value: Value, source: OutputSource): void {
    const output = this.#resultOf.get(value);
    if (output !== undefined) this.#sources[output] = source;
  }

  #write(value: Value, at: number, group: LoweredGroup, launch: number): void {
    const output = this.#resultOf.get(value);
    if (this.#isKept(value, launch)) {
      const { dtype, shape } = value.type;
      if (!isStaticShape(shape)) throw internalError('a value of symbolic size is kept from call to call');
      const prepared = this.#prepared.push({ type: { dtype, shape } }) - 1;
      this.#storages.set(value, { bytes: bytesOf(value.type), first: launch, last: Infinity, place: { prepared } });
      return;
    }
    const last = output === undefined ? (this.#lastRead.get(value) ?? launch) : Infinity;
    const storage = this.#takeOver(value, at, group, launch, output) ?? this.#fresh(value, launch, output);
    storage.last = last;
    this.#storages.set(value, storage);
  }

  /** Whether a launch that is run only once writes what others read at every call. */
  #isKept(value: Value, launch: number): boolean {
    const { prepareLaunches = 0 } = this.#request;
    return launch < prepareLaunches && (this.#lastRead.get(value) ?? 0) >= prepareLaunches;
  }

  /** Memory of an operand that dies in this launch, or of a donated input that died before. */
  #takeOver(
    value: Value,
    at: number,
    group: LoweredGroup,
    launch: number,
    output: number | undefined,
  ): Storage | undefined {
    if (!this.#request.inPlace) return undefined;
    const { reads, kernel, inPlaceVariant } = group;
    const pair = kernel.buffers[reads.length + at].inPlaceOf;
    const operand = inPlaceVariant ? inPlaceVariant.operand : pair === undefined ? undefined : reads[pair];
    const storage = operand && this.#storageOf(operand);
    const isOnlyReader = storage && this.#readsOf(inPlaceVariant ?? group, storage) === (inPlaceVariant ? 0 : 1);
    if (operand && storage && isOnlyReader && this.#mayTake(operand, storage, launch)) {
      if (inPlaceVariant) this.#inPlaceVariants.add(launch);
      return this.#claim(storage, output);
    }
    if (output === undefined) return undefined;
    const free = this.#freeDonation(value, launch);
    return free && this.#claim(free, output);
  }

  #sortDonated(): void {
    const { parameters, donated } = this.#request;
    const inputs = parameters.map((_, input) => input).filter((input) => donated[input]);
    const lastOf = (input: number): number => this.#storageOf(parameters[input]).last;
    inputs.sort((a, b) => lastOf(b) - lastOf(a) || b - a);
    for (const input of inputs) {
      const size = String(bytesOf(parameters[input].type));
      const alike = this.#donated.get(size);
      if (alike) alike.push(input);
      else this.#donated.set(size, [input]);
    }
  }

  /** A donated input as large as a value, whose last reader has run before a launch. */
  #freeDonation(value: Value, launch: number): Storage | undefined {
    const alike = this.#donated.get(String(bytesOf(value.type))) ?? [];
    while (alike.length > 0 && this.#claimed.has(alike[alike.length - 1])) alike.pop();
    if (alike.length === 0) return undefined;
    const input = alike[alike.length - 1];
    const storage = this.#storageOf(this.#request.parameters[input]);
    return this.#isFreeDonation(input, storage, launch - 1) ? storage : undefined;
  }

  /** How many of a launch's operands lie in some memory: a call may pass one value for two parameters. */
  #readsOf({ reads }: Pick<LoweredGroup, 'reads'>, storage: Storage): number {
    return reads.reduce((count, value) => count + Number(this.#storageOf(value) === storage), 0);
  }

  #mayTake(operand: Value, storage: Storage, launch: number): boolean {
    if (storage.last !== launch || this.#lastRead.get(operand) !== launch) return false;
    if (storage.place === 'temporary') return true;
    if ('input' in storage.place) {
      const parameter = this.#request.parameters[storage.place.input];
      return operand !== parameter || this.#isFreeDonation(storage.place.input, storage, launch);
    }
    return false;
  }

  #isFreeDonation(input: number, storage: Storage, last: number): boolean {
    return this.#request.donated[input] && !this.#claimed.has(input) && storage.last <= last;
  }

  /** Gives memory to another value, which may be an output. */
  #claim(storage: Storage, output: number | undefined): Storage {
    const { place } = storage;
    if (place !== 'temporary' && 'input' in place) {
      this.#claimed.add(place.input);
      if (output !== undefined) this.#sources[output] = { kind: 'donated', input: place.input };
    } else if (output !== undefined) storage.place = { output };
    return storage;
  }

  #fresh(value: Value, first: number, output: number | undefined): Storage {
    const place = output === undefined ? 'temporary' : { output };
    return { bytes: bytesOf(value.type), first, last: first, place };
  }
}

function placeTemporaries(storages: readonly Storage[]): Pick<MemoryPlan, 'temporaries' | 'arenaBytes'> {
  const temporaries = storages.map(({ bytes, first, last }) => ({ bytes, first, last }));
  const sizes = temporaries.map(({ bytes }) => bytes).filter(isStatic);
  if (sizes.length < temporaries.length) return { temporaries };
  const plan = planArena(temporaries.map(({ first, last }, at) => ({ bytes: sizes[at], first, last })));
  return {
    temporaries: temporaries.map((temporary, at) => ({ ...temporary, offset: plan.offsets[at] })),
    arenaBytes: plan.bytes,
  };
}
