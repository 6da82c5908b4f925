/**
 * From a module to a program, once. A module is known by its canonical text, so a new closure is traced again but
 * meets the program that an equal graph has left here. Compilation starts when a program is first needed and runs in
 * the background; whoever may not wait asks for it synchronously.
 *
 *     const source = programFor(module, { name: 'step', precision: 'fast', donated: [true, false], device });
 *     source.program ?? (await source.prepare())
 */
import type { KilnError } from '../base/error.ts';
import { debug, isDebugging } from '../base/flags.ts';
import { canonicalModule } from '../ir/canonical.ts';
import type { Module } from '../ir/types.ts';
import type { Device, ProgramSource } from '../runtime/device.ts';
import { type Program, type Tier, tierName } from '../runtime/program.ts';
import { type AutotuneOptions, tune, tuneAside, tuningRequest } from './autotune/tune.ts';
import type { CompileRequest, CompileResult } from './compiler.ts';
import { compileInBackground, compileNow } from './compiler-client.ts';
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
}

/** A program that is compiled when it is first needed, at most once. */
export class CompiledSource implements ProgramSource {
  readonly name: string;
  readonly donated: readonly boolean[];
  readonly precision: Precision;
  readonly tier: Tier;
  readonly threads: number;
  readonly memoryBudget: number | undefined;
  readonly #held: readonly boolean[] | undefined;
  readonly #autotune: AutotuneOptions | undefined;
  /** Where it runs. */
  readonly device: Device;
  readonly #module: Module;
  program: Program | undefined;
  /** Milliseconds that compiling took; 0 until it is done. */
  compileMs = 0;
  #preparing: Promise<Program> | undefined;
  #failure: KilnError | undefined;
  #originOf: CompileResult['originOf'] | undefined;

  constructor(module: Module, { name, precision, donated, held, device, memoryBudget, autotune }: ProgramOptions) {
    this.#module = module;
    this.name = name;
    this.precision = precision;
    this.donated = donated;
    this.#held = held;
    this.#autotune = autotune;
    this.device = device;
    this.tier = device.tier;
    this.threads = device.threads;
    this.memoryBudget = memoryBudget;
  }

  prepare(): Promise<Program> {
    if (this.program) return Promise.resolve(this.program);
    this.#preparing ??= this.#compileAside().then(
      (result) => this.#finish(result),
      (error: KilnError) => {
        this.#failure = error;
        throw error;
      },
    );
    return this.#preparing;
  }

  prepareSync(): Program {
    if (this.program) return this.program;
    if (this.#failure) throw this.#failure;
    const first = compileNow(this.requestFor(undefined));
    if (!this.#autotune || first.tunables.length === 0) return this.#finish(first);
    tune(this.device, first.tunables, this.#autotune);
    return this.#finish(compileNow(this.requestFor(undefined, true)), first);
  }

  async #compileAside(): Promise<CompileResult | undefined> {
    const request = (isTuned: boolean) => () => (this.program ? undefined : this.requestFor(undefined, isTuned));
    const first = await compileInBackground(request(false));
    if (!this.#autotune || !first || first.tunables.length === 0 || this.program) return first;
    await tuneAside(this.device, first.tunables, this.#autotune);
    const second = await compileInBackground(request(true));
    return second && { ...second, milliseconds: first.milliseconds + second.milliseconds };
  }

  /**
   * A compile of this module that gives an account of it.
   * @param isTuned whether there is nothing left to measure
   */
  requestFor(report: CompileRequest['report'], isTuned = report !== undefined): CompileRequest {
    const { name, precision, donated, tier, threads, memoryBudget } = this;
    const optional = {
      ...(this.#held && { held: this.#held }),
      ...(memoryBudget !== undefined && { memoryBudget }),
      ...(this.#autotune && { tuning: tuningRequest(this.device, this.#autotune, isTuned) }),
      ...(report && { report }),
    };
    return { module: this.#module, name, precision, donated, tier, threads, ...optional };
  }

  /** What a step of the program computes, with the user's lines; of functions that share it, those of the first. */
  origin(step: number): string | undefined {
    return this.#originOf?.(step);
  }

  /** The first result stands: a background compile that ends later finds the program already there. */
  #finish(result: CompileResult | undefined, before?: CompileResult): Program {
    if (result && !this.program) {
      this.program = result.program;
      this.#originOf = result.originOf;
      this.compileMs = result.milliseconds + (before?.milliseconds ?? 0);
    }
    return this.program!;
  }
}

const sources = new Map<string, CompiledSource>();

/** The program of a module: the one made before from an equal module with equal options, or a new one. */
export function programFor(module: Module, options: ProgramOptions): { source: CompiledSource; isNew: boolean } {
  const { name, precision, donated, held, device, memoryBudget, autotune } = options;
  // Only a budget depends on how many threads there are; code is the same for any number.
  const budget = memoryBudget === undefined ? '' : `${memoryBudget}/${device.threads}`;
  // The sizes of a symbolic program are those it was met with first.
  const tuned = autotune ? `tuned/${device.threads}` : '';
  const flags = [donated, held ?? []].map((of) => of.map(Number).join('')).join();
  const key = `${precision};${tierName(device.tier)};${budget};${tuned};${flags};${name.length}:${name};${canonicalModule(module)}`;
  const known = sources.get(key);
  if (isDebugging('cache')) debug('cache', `${name}: ${known ? 'met in memory' : 'new'} (${key.length} characters)`);
  if (known) return { source: known, isNew: false };
  const source = new CompiledSource(module, options);
  sources.set(key, source);
  return { source, isNew: true };
}

/** The programs of that name. */
export const sourcesNamed = (name: string): readonly CompiledSource[] =>
  [...sources.values()].filter((source) => source.name === name);

/** Forgets every program. */
export const clearPrograms = (): void => sources.clear();
