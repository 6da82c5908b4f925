/**
 * The hooks of Rollup and Rolldown, which Vite has too: a marked import becomes a virtual module, and the artefact an
 * asset, which the bundler names by its hash. What can not be baked is reported at the end of a build, all at once.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { OutputOptions, PluginContext, RollupError } from 'rollup';
import { codeFrame, textOfFailures } from './bake-failures.ts';
import { type Baked, BakeError, type Baker } from './baker.ts';
import { writeDeclarations } from './declarations.ts';
import { artefactName, isMarked, loaderModule, placeholderModule, runtimeName, withoutQuery } from './loader-module.ts';
import { type BakeOptions, isIncluded } from './options.ts';

/** Virtual modules begin with a zero, so that no other plugin takes them for files. */
const prefix = '\0kiln:';

export const idOf = (entry: string): string => `${prefix}${entry}`;

/** The entry that a module stands for; `undefined` for other modules. */
export function entryOfId(id: string, options: BakeOptions): string | undefined {
  if (id.startsWith(prefix)) return id.slice(prefix.length);
  return !id.startsWith('\0') && isIncluded(withoutQuery(id), options) && !id.includes('?') ? id : undefined;
}

/** Resolves a marked import as if it had no mark. */
export async function resolveMarked(
  context: PluginContext,
  source: string,
  importer: string | undefined,
): Promise<string | undefined> {
  if (!isMarked(source)) return undefined;
  const from = importer && (importer.startsWith(prefix) ? importer.slice(prefix.length) : importer);
  const resolved = await context.resolve(withoutQuery(source), from, { skipSelf: true });
  return resolved && !resolved.external ? idOf(withoutQuery(resolved.id)) : undefined;
}

/** Bakes an entry and sees to what goes with it: the files to watch, and the types beside it. */
export async function bakeFor(
  context: Pick<PluginContext, 'addWatchFile'>,
  entry: string,
  baker: Baker,
  { types = true }: BakeOptions,
): Promise<Baked> {
  context.addWatchFile(entry);
  try {
    const baked = await baker.bake(entry);
    for (const file of baked.files) context.addWatchFile(file);
    if (types) writeDeclarations(entry, baked.declarations);
    return baked;
  } catch (error) {
    if (error instanceof BakeError) for (const file of error.files) context.addWatchFile(file);
    throw error;
  }
}

/** Failures as bundlers of this family print them, and Vite shows them over the page. */
export function errorOf(errors: readonly BakeError[]): RollupError {
  const failures = errors.flatMap((error) => error.failures);
  const [{ message, stack, place }] = failures;
  const frame = place && codeFrame(place);
  return {
    message: failures.length === 1 ? message : `${failures.length} faults:\n\n${textOfFailures(failures)}`,
    id: place?.file ?? errors[0].entry,
    ...(place && { loc: place }),
    ...(failures.length === 1 && frame && { frame }),
    ...(failures.length === 1 && stack && { stack }),
  };
}

interface BuildHooks {
  buildStart(this: PluginContext): void;
  resolveId(this: PluginContext, source: string, importer: string | undefined): Promise<string | undefined>;
  load(this: PluginContext, id: string): Promise<string | undefined>;
  buildEnd(this: PluginContext, error?: Error): void;
  outputOptions(options: OutputOptions): OutputOptions | undefined;
  writeBundle(this: PluginContext, options: { readonly dir?: string; readonly file?: string }): void;
}

/** The hooks of a build. */
export function buildHooks(baker: Baker, options: BakeOptions): BuildHooks {
  const failed: BakeError[] = [];
  const emitted = new Map<string, Uint8Array>();
  const runtimes = new Set<string>();
  return {
    buildStart() {
      failed.length = 0;
      emitted.clear();
      runtimes.clear();
    },
    resolveId(source, importer) {
      return resolveMarked(this, source, importer);
    },
    async load(id) {
      const entry = entryOfId(id, options);
      if (entry === undefined) return undefined;
      try {
        const { bytes, publicKey } = await bakeFor(this, entry, baker, options);
        const reference = this.emitFile({ type: 'asset', name: artefactName(entry), source: bytes });
        emitted.set(reference, bytes);
        const runtime = await this.resolve(runtimeName, entry);
        if (runtime && !runtime.external) runtimes.add(runtime.id);
        return loaderModule(`import.meta.ROLLUP_FILE_URL_${reference}`, { publicKey });
      } catch (error) {
        if (!(error instanceof BakeError)) throw error;
        failed.push(error);
        return placeholderModule;
      }
    },
    buildEnd(error) {
      if (!error && failed.length > 0) this.error(errorOf(failed));
    },
    outputOptions: (output) => withRuntimeApart(output, runtimes),
    writeBundle({ dir, file }) {
      // Vite leaves assets out of what is for servers, which here load them from their own files.
      const folder = dir ?? (file && dirname(file));
      if (folder === undefined) return;
      for (const [reference, bytes] of emitted) {
        const path = join(folder, this.getFileName(reference));
        if (existsSync(path)) continue;
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, bytes);
      }
    },
  };
}

/**
 * Gives the runtime a chunk of its own. Devices are loaded when they are needed, and share code with the runtime: were
 * that in the chunk of the page, a page that says `await load()` outside of functions would wait for a device that
 * waits for the page.
 */
export function withRuntimeApart(output: OutputOptions, runtimes: ReadonlySet<string>): OutputOptions | undefined {
  const { manualChunks, inlineDynamicImports, format = 'es' } = output;
  if (runtimes.size === 0 || inlineDynamicImports || format === 'iife' || format === 'umd') return undefined;
  return {
    ...output,
    manualChunks(id, meta) {
      if (runtimes.has(id)) return 'kiln-runtime';
      if (typeof manualChunks === 'function') return manualChunks(id, meta);
      return Object.entries(manualChunks ?? {}).find(([, ids]) => ids.includes(id))?.[0];
    },
  };
}
