/**
 * The hooks of Rollup and Rolldown, which Vite has too: a marked import becomes a virtual module, and the artefact an
 * asset, which the bundler names by its hash. What can not be baked is reported at the end of a build, all at once.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PluginContext, RollupError } from 'rollup';
import { codeFrame, textOfFailures } from './bake-failures.ts';
import { type Baked, BakeError, type Baker } from './baker.ts';
import { writeDeclarations } from './declarations.ts';
import { artefactName, isMarked, loaderModule, withoutQuery } from './loader-module.ts';
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
    id: errors[0].entry,
    ...(place && { loc: place }),
    ...(failures.length === 1 && frame && { frame }),
    ...(failures.length === 1 && stack && { stack }),
  };
}

/** Stands in place of an entry that can not be baked, in a build that will fail. */
const placeholder = `export const source = '';\nexport default undefined;\n`;

interface BuildHooks {
  buildStart(this: PluginContext): void;
  resolveId(this: PluginContext, source: string, importer: string | undefined): Promise<string | undefined>;
  load(this: PluginContext, id: string): Promise<string | undefined>;
  buildEnd(this: PluginContext, error?: Error): void;
  writeBundle(this: PluginContext, options: { readonly dir?: string; readonly file?: string }): void;
}

/** The hooks of a build. */
export function buildHooks(baker: Baker, options: BakeOptions): BuildHooks {
  const failed: BakeError[] = [];
  const emitted = new Map<string, Uint8Array>();
  return {
    buildStart() {
      failed.length = 0;
      emitted.clear();
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
        return loaderModule(`import.meta.ROLLUP_FILE_URL_${reference}`, { publicKey });
      } catch (error) {
        if (!(error instanceof BakeError)) throw error;
        failed.push(error);
        return placeholder;
      }
    },
    buildEnd(error) {
      if (!error && failed.length > 0) this.error(errorOf(failed));
    },
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
