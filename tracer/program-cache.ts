/**
 * From a module to a program, once. A module is known by its canonical text, so a new closure is traced again but
 * meets the program that an equal graph has left here, in this process or, by the cache, in another one. A program is
 * looked for when it is first needed, and compiled where there is none; that runs in the background, and whoever may
 * not wait asks for it synchronously.
 *
 *     const source = programFor(module, { name: 'step', precision: 'fast', donated: [true, false], device });
 *     source.program ?? (await source.prepare())
 *
 * A program that is found runs no pass and loads no compiler. What it lacks, the user's lines, is made when a message
 * needs it.
 */
import { KilnError } from '../base/error.ts';
import { debug, isDebugging } from '../base/flags.ts';
import { hashOf } from '../base/hash.ts';
import { canonicalModule } from '../ir/canonical.ts';
import type { Module } from '../ir/types.ts';
import type { CompiledCache } from '../runtime/cache/compiled-cache.ts';
import type { Device, ProgramSource } from '../runtime/device.ts';
import { type Program, type Tier, tierName } from '../runtime/program.ts';
import { machineKey } from './autotune/machine.ts';
import { type AutotuneOptions, isLeftOut, tune, tuneAside, tuningRequest } from './autotune/tune.ts';
import type { CompileRequest, CompileResult } from './compiler.ts';
import { compileInBackground, compileNow, isCompilerLoaded } from './compiler-client.ts';
import { cacheSettings, readableCache, writableCache } from './session-cache.ts';
import type { Precision } from './settings.ts';

export interface ProgramOptions {
  readonly name: string;
  readonly precision: Precision;
  /** For each parameter of the main function, whether the caller gives it up. */
  readonly donated: readonly boolean[];
  /** For each parameter, whether calls hand over the same buffer, mostly; without it, nothing is computed only once. */
  readonly held?: readonly boolean[];
  /** Where it will run: what code may use, and how many threads need memory. */
  readonly device: Device;
  /** The most bytes that a run may take. */
  readonly memoryBudget?: number;
  /** Measure schedules that are not known yet. */
  readonly autotune?: AutotuneOptions;
  /** Whether it is kept for other processes, and taken from them; it is, unless this is `false`. */
  readonly isKept?: boolean;
}

/** What a source is made of: a module to compile, or a program that is there. */
type Origin = { readonly module: Module } | { readonly program: Program };

/** A program that is found or compiled when it is first needed, at most once. */
export class CompiledSource implements ProgramSource {
  readonly name: string;
  /** The hash of everything that shapes the program, but for the version of the compiler. */
  readonly key: string;
  readonly donated: readonly boolean[];
  readonly precision: Precision;
  readonly tier: Tier;
  readonly threads: number;
  readonly memoryBudget: number | undefined;
  readonly #held: readonly boolean[] | undefined;
  readonly #autotune: AutotuneOptions | undefined;
  /** Whether it is kept for other processes, and taken from them. */
  readonly isKept: boolean;
  /** Where it runs. */
  readonly device: Device;
  /** Absent as long as the function was not even traced. */
  #module: Module | undefined;
  program: Program | undefined;
  /** Whether it comes from the cache. */
  isFromCache = false;
  /** Milliseconds that compiling took; 0 until it is done. */
  compileMs = 0;
  #hasLooked = false;
  /** Where it may be, once it was looked for. */
  #cache: CompiledCache | undefined;
  #preparing: Promise<Program> | undefined;
  #failure: KilnError | undefined;
  #originOf: CompileResult['originOf'] | undefined;

  constructor(key: string, origin: Origin, options: ProgramOptions) {
    const { name, precision, donated, held, device, memoryBudget, autotune, isKept = true } = options;
    this.#module = 'module' in origin ? origin.module : undefined;
    this.key = key;
    this.name = name;
    this.precision = precision;
    this.donated = donated;
    this.#held = held;
    this.#autotune = autotune;
    this.isKept = isKept;
    this.device = device;
    this.tier = device.tier;
    this.threads = device.threads;
    this.memoryBudget = memoryBudget;
    if ('program' in origin) this.#take(origin.program);
  }

  prepare(): Promise<Program> {
    const known = this.program ?? this.find();
    if (known) return Promise.resolve(known);
    this.#preparing ??= this.#prepareAside().catch((error: KilnError) => {
      this.#failure = error;
      throw error;
    });
    return this.#preparing;
  }

  prepareSync(): Program {
    const known = this.program ?? this.find();
    if (known) return known;
    if (this.#failure) throw this.#failure;
    const first = compileNow(this.#request(false));
    if (!this.#autotune || first.tunables.length === 0) return this.#finish(first);
    tune(this.device, first.tunables, this.#autotune);
    return this.#finish(after(first, compileNow(this.#request(true))));
  }

  async #prepareAside(): Promise<Program> {
    const cache = this.#cache;
    if (cache && !cache.isSync) {
      const start = performance.now();
      this.#note(await cache.findProgram(this.key), start);
    }
    if (this.program) return this.program;
    // With the compiler at hand it is compiled now in any case: who reads before this promise tells finds it done.
    const isNow = !this.#autotune && (!cache || cache.isSync) && isCompilerLoaded(this.tier.target);
    if (isNow) return this.prepareSync();
    return this.#finish(await this.#compileAside());
  }

  async #compileAside(): Promise<CompileResult | undefined> {
    const request = (isTuned: boolean) => () => (this.program ? undefined : this.#request(isTuned));
    const first = await compileInBackground(request(false));
    if (!this.#autotune || !first || first.tunables.length === 0 || this.program) return first;
    await tuneAside(this.device, first.tunables, this.#autotune);
    const second = await compileInBackground(request(true));
    return second && after(first, second);
  }

  /**
   * Looks into a cache that answers at once, the first time that it is asked. A program that is there before the first
   * launch runs within that, without going through the queue.
   */
  find(): Program | undefined {
    if (this.#hasLooked) return this.program;
    this.#hasLooked = true;
    this.#cache = readableCache(this.name, this.isKept);
    if (!this.#cache?.isSync) return undefined;
    const start = performance.now();
    return this.#note(this.#cache.findProgramSync(this.key), start);
  }

  /** Takes the module of a function that was traced after all, as another one of the same graph. */
  learn(module: Module): void {
    this.#module ??= module;
  }

  /** What was found in the cache: the first result stands. */
  #note(found: Program | undefined, start: number): Program | undefined {
    if (!found || this.program) return this.program;
    if (isDebugging('cache')) {
      const milliseconds = (performance.now() - start).toFixed(1);
      debug('cache', `${this.name}: met on disk (${shortKey(this.key)}, ${milliseconds} ms)`);
    }
    return this.#take(found);
  }

  /** Programs of one graph are one, whatever they are called. */
  #take(found: Program): Program {
    this.isFromCache = true;
    this.program = found.name === this.name ? found : { ...found, name: this.name };
    return this.program;
  }

  /**
   * A compile of this module that gives an account of it; `undefined` where the function was not traced.
   */
  requestFor(report: CompileRequest['report']): CompileRequest | undefined {
    return this.#module && { ...this.#request(true), ...(report && { report }) };
  }

  /** @param isTuned whether there is nothing left to measure */
  #request(isTuned: boolean): CompileRequest {
    const { name, precision, donated, tier, threads, memoryBudget } = this;
    if (!this.#module) throw new KilnError('internal', `${name}: a program without a module is compiled`);
    const cache = this.isKept ? cacheSettings() : undefined;
    const optional = {
      ...(this.#held && { held: this.#held }),
      ...(memoryBudget !== undefined && { memoryBudget }),
      ...(this.#autotune && { tuning: tuningRequest(this.device, this.#autotune, isTuned) }),
      ...(cache && { cache }),
    };
    return { module: this.#module, name, precision, donated, tier, threads, ...optional };
  }

  /**
   * What a step of the program computes, with the user's lines; of functions that share it, those of the first. A
   * program from the cache knows no lines: it is compiled for them.
   */
  origin(step: number): string | undefined | Promise<string | undefined> {
    if (this.#originOf || !this.#module) return this.#originOf?.(step);
    return compileInBackground(() => this.#request(true)).then(
      (result) => {
        this.#originOf ??= result?.originOf;
        return this.#originOf?.(step);
      },
      () => undefined,
    );
  }

  /** The first result stands: a background compile that ends later finds the program already there. */
  #finish(result: CompileResult | undefined): Program {
    if (result && !this.program) {
      this.program = result.program;
      this.#originOf = result.originOf;
      this.compileMs = result.milliseconds;
      this.#keep(result.program, result);
    }
    return this.program!;
  }

  #keep(program: Program, { kernels, tunables }: CompileResult): void {
    // One that is tuned in part stays open for the next process to go on.
    const cache = tunables.some(isLeftOut) ? undefined : writableCache(this.isKept);
    cache?.keepProgram(this.key, program);
    if (!isDebugging('cache')) return;
    const made = `${kernels.generated} kernels generated, ${kernels.found} met on disk`;
    const kept = cache ? `kept as ${shortKey(this.key)} in ${cache.store.place}` : 'not kept';
    debug('cache', `${this.name}: new: compiled in ${this.compileMs.toFixed(1)} ms, ${made}, ${kept}`);
  }
}

/** A compile with the schedules that were measured after the first one. */
const after = (first: CompileResult, second: CompileResult): CompileResult => ({
  ...second,
  tunables: first.tunables,
  milliseconds: first.milliseconds + second.milliseconds,
});

/** A key as messages show it. */
export const shortKey = (key: string): string => key.slice(0, 12);

/** By name and key, those that were asked for last behind. */
const sources = new Map<string, CompiledSource>();
/** Sources that are remembered; who uses one holds it, too. */
const mostSources = 4096;

/** The program of a module: the one made before from an equal module with equal options, or a new one. */
export function programFor(module: Module, options: ProgramOptions): { source: CompiledSource; isNew: boolean } {
  const key = programKey(module, options);
  const known = remembered(key, options);
  if (known) {
    known.learn(module);
    if (isDebugging('cache')) debug('cache', `${options.name}: met in memory (${shortKey(key)})`);
    return { source: known, isNew: false };
  }
  const source = remember(new CompiledSource(key, { module }, options));
  source.find();
  return { source, isNew: true };
}

/**
 * A program that is in the cache, by its key, of a function that is not traced.
 * @param options those it was compiled with
 */
export function knownProgram(
  key: string,
  program: Program,
  options: ProgramOptions,
): { source: CompiledSource; isNew: boolean } {
  const known = remembered(key, options);
  if (known) return { source: known, isNew: false };
  return { source: remember(new CompiledSource(key, { program }, options)), isNew: true };
}

/** A program of that key in memory, if it is compiled. */
export const programInMemory = (key: string, options: ProgramOptions): Program | undefined =>
  remembered(key, options)?.program;

/**
 * The hash of everything that shapes a program but its name, which programs of one graph may have several of, and the
 * version of the compiler, which the cache knows.
 */
export function programKey(module: Module, options: ProgramOptions): string {
  const { precision, donated, held, device } = options;
  const flags = [donated, held ?? donated.map(() => false)].map((of) => of.map(Number).join('')).join();
  const parts = [precision, tierName(device.tier), ...measuredParts(options), flags];
  return hashOf(`kiln program ${parts.join(';')}\n${canonicalModule(module)}`);
}

/** What of the machine shapes a program: code is the same for any number of threads, but budgets and times are not. */
export function measuredParts({ device, memoryBudget, autotune }: ProgramOptions): string[] {
  const sizes = autotune && [...autotune.sizes].map(([name, size]) => `${name}=${size}`).sort();
  return [
    memoryBudget === undefined ? '' : `${memoryBudget}/${device.threads}`,
    autotune ? `tuned ${machineKey(device)} ${autotune.budgetMs} ${sizes}` : '',
  ];
}

const placeOf = (key: string, { name, isKept = true }: Pick<ProgramOptions, 'name' | 'isKept'>): string =>
  `${key}${isKept ? '' : ' unkept'} ${name}`;

function remembered(key: string, options: ProgramOptions): CompiledSource | undefined {
  const place = placeOf(key, options);
  const known = sources.get(place);
  if (known) {
    sources.delete(place);
    sources.set(place, known);
  }
  return known;
}

function remember(source: CompiledSource): CompiledSource {
  sources.set(placeOf(source.key, source), source);
  if (sources.size > mostSources) sources.delete(sources.keys().next().value!);
  return source;
}

/** The programs of that name. */
export const sourcesNamed = (name: string): readonly CompiledSource[] =>
  [...sources.values()].filter((source) => source.name === name);

/** Forgets every program. */
export const clearPrograms = (): void => sources.clear();
