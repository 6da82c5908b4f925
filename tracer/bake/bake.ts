/**
 * Bakes: what a module declares becomes one artefact. Every entry is traced once, compiled for every target, and
 * written down together with the weights. The bytes depend on the declarations and the version of Kiln alone: not on
 * paths, on the machine, or on which compile ends first.
 *
 *     const { bytes, report } = await bakeArtefact(definition, { targets: ['wasm', 'webgpu'] });
 */
import { KilnError } from '../../base/error.ts';
import type { ArtefactContent } from '../../runtime/artefact/records.ts';
import type { CompileRequest } from '../compiler.ts';
import { assemble, type BakedFunction } from './assemble.ts';
import { compileCached } from './cached-compiles.ts';
import type { CompileAllOptions } from './compile-pool.ts';
import { declarationsOf } from './declarations.ts';
import type { BakeDefinition } from './define.ts';
import { packageVersion } from './package-version.ts';
import { measureSchedules, schedulesOf } from './schedules.ts';
import { type BakeTarget, defaultTargets, resolveTargets, tierOf } from './targets.ts';
import { failureOf, type TracedEntry, traceEntry } from './trace-entry.ts';
import { type CollectedWeights, WeightsCollector } from './weights.ts';

export interface BakeArtefactOptions {
  /** `wasm` and `webgpu` unless given. */
  readonly targets?: readonly string[];
  /** Schedules of an earlier bake: with all of them, nothing is measured, and every machine bakes the same bytes. */
  readonly schedules?: ArtefactContent['schedules'];
  /** Whether to measure others for entries that ask for `autotune`; it is done unless this is false. */
  readonly measures?: boolean;
  /** What the artefact will be called, for the declarations: `model.kiln` unless given. */
  readonly name?: string;
  /** Most worker threads that compile. */
  readonly threads?: number;
  /** Told at the start and after each compile. @param note which one it was: `step for webgpu` */
  readonly onProgress?: (done: number, total: number, note: string) => void;
}

/** What was baked. */
export interface BakeReport {
  readonly targets: readonly BakeTarget[];
  /** What the artefact holds, as its header says it. */
  readonly content: ArtefactContent;
  /** The types of its functions and weights, as a TypeScript declaration file. */
  readonly declarations: string;
  /** Milliseconds that each compile took. */
  readonly compiles: readonly { readonly name: string; readonly target: BakeTarget; readonly milliseconds: number }[];
}

export interface BakedArtefact {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly report: BakeReport;
}

/** Threads that memory is counted for where a `memoryBudget` is given and the target has threads. */
const countedThreads = 8;

/**
 * Bakes one definition, or several into one artefact.
 * @throws KilnError (as a rejection) `bake_failed`; when several entries fail, `failuresOf` has each
 */
export async function bakeArtefact(
  definition: BakeDefinition | readonly BakeDefinition[],
  options: BakeArtefactOptions = {},
): Promise<BakedArtefact> {
  const targets = resolveTargets(options.targets ?? defaultTargets);
  const failures: KilnError[] = [];
  const definitions = 'kind' in definition ? [definition] : definition;
  const entries = traceAll(definitions, failures);
  const weights = await collectWeights(definitions, entries, failures);
  const known = new Map(options.schedules ?? []);
  const schedules = options.measures === false ? known : await measureSchedules(entries, targets, known, failures);
  const compiled = await compileEntries(entries, targets, failures, { ...options, schedules: [...schedules] });
  if (failures.length > 0) throw failed(failures);
  const { bytes, content } = assemble(compiled.functions, weights, compiled.schedules, packageVersion());
  const declarations = declarationsOf(content, options.name ?? 'model.kiln');
  return { bytes, report: { targets, content, declarations, compiles: compiled.compiles } };
}

/** The failures of a bake, one for each entry that can not be baked. */
export function failuresOf(error: unknown): readonly unknown[] {
  return error instanceof KilnError && error.cause instanceof AggregateError ? error.cause.errors : [error];
}

function failed(failures: readonly KilnError[]): KilnError {
  if (failures.length === 1) return failures[0];
  const lines = failures.map(({ summary, location }) => `${summary}${location ? ` (${location})` : ''}`);
  return new KilnError('bake_failed', `${failures.length} faults keep this from being baked`, {
    given: lines.join('\n            '),
    cause: new AggregateError(failures),
  });
}

/** The entries of all definitions by name. */
function traceAll(definitions: readonly BakeDefinition[], failures: KilnError[]): readonly TracedEntry[] {
  const traced: TracedEntry[] = [];
  const names = new Map<string, string | undefined>();
  for (const { entries, source } of definitions) {
    for (const [name, entry] of Object.entries(entries)) {
      try {
        if (names.has(name)) throw duplicate('functions', name, [names.get(name), source]);
        names.set(name, source);
        traced.push(traceEntry(name, entry));
      } catch (error) {
        failures.push(failureOf(name, error));
      }
    }
  }
  return traced.sort((a, b) => (a.record.name < b.record.name ? -1 : 1));
}

async function collectWeights(
  definitions: readonly BakeDefinition[],
  entries: readonly TracedEntry[],
  failures: KilnError[],
): Promise<CollectedWeights | undefined> {
  const collector = new WeightsCollector();
  const before = failures.length;
  const trees = new Map<string, { readonly tree: unknown; readonly source: string | undefined }>();
  for (const { weights, source } of definitions) {
    for (const [name, tree] of Object.entries(weights)) {
      const known = trees.get(name);
      // Two modules may name one tree that both import.
      if (!known) trees.set(name, { tree, source });
      else if (known.tree !== tree) {
        failures.push(failureOf(`weights.${name}`, duplicate('trees of weights', name, [known.source, source])));
      }
    }
  }
  for (const name of [...trees.keys()].sort()) {
    try {
      collector.addTree(name, trees.get(name)!.tree);
    } catch (error) {
      failures.push(failureOf(`weights.${name}`, error));
    }
  }
  for (const { record, captures } of entries) collector.addCaptures(record.name, captures);
  if (failures.length > before) return undefined;
  try {
    return await collector.collect();
  } catch (error) {
    failures.push(failureOf('weights', error));
    return undefined;
  }
}

const duplicate = (what: string, name: string, sources: readonly (string | undefined)[]): KilnError =>
  new KilnError('bake_failed', `two ${what} have one name`, {
    given: sources.every((source) => source === undefined)
      ? `'${name}' twice`
      : `'${name}' in ${sources.join(' and ')}`,
    expected: 'names that are unique within an artefact',
    hint: 'rename one of them, or bake them into files of their own',
  });

interface CompiledEntries {
  readonly functions: readonly BakedFunction[];
  readonly compiles: BakeReport['compiles'];
  /** Those that code was made with. */
  readonly schedules: NonNullable<ArtefactContent['schedules']>;
}

async function compileEntries(
  entries: readonly TracedEntry[],
  targets: readonly BakeTarget[],
  failures: KilnError[],
  { threads, onProgress, schedules }: BakeArtefactOptions & Required<Pick<BakeArtefactOptions, 'schedules'>>,
): Promise<CompiledEntries> {
  const jobs = entries.flatMap((entry) => targets.map((target) => ({ entry, target })));
  const options: CompileAllOptions = {
    ...(threads !== undefined && { threads }),
    ...(onProgress && {
      onDone: (done, i) => onProgress(done, jobs.length, `${jobs[i].entry.record.name} for ${jobs[i].target}`),
    }),
  };
  if (jobs.length > 0) onProgress?.(0, jobs.length, '');
  const results = await compileCached(
    jobs.map(({ entry, target }) => requestFor(entry, target, schedules)),
    options,
  );
  const compiles: BakeReport['compiles'][number][] = [];
  const programs = new Map<TracedEntry, BakedFunction['programs'][number][]>();
  for (const [i, compiled] of results.entries()) {
    const { entry, target } = jobs[i];
    const { name } = entry.record;
    if ('failure' in compiled) failures.push(failureOf(`${name} for ${target}`, compiled.failure));
    else {
      const { program, milliseconds } = compiled.result;
      programs.set(entry, [...(programs.get(entry) ?? []), { target, program }]);
      compiles.push({ name, target, milliseconds });
    }
  }
  return {
    functions: entries.map((entry) => ({ ...entry, programs: programs.get(entry) ?? [] })),
    compiles,
    schedules: schedulesOf(results.flatMap((compiled) => ('result' in compiled ? [compiled.result] : []))),
  };
}

function requestFor(
  { request, autotuneMs }: TracedEntry,
  target: BakeTarget,
  schedules: CompiledEntries['schedules'],
): CompileRequest {
  const tier = tierOf(target);
  const isTuned = autotuneMs !== undefined && tier.target === 'wasm';
  return {
    ...request,
    tier,
    threads: tier.target === 'wasm' && tier.threads ? countedThreads : 1,
    ...(isTuned && { tuning: { schedules, sizes: [] } }),
  };
}
