/**
 * esbuild: a marked import becomes a module of our own namespace, and the artefact a file as its loader `file` makes
 * them, so that `assetNames` and `publicPath` count for it.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BuildOptions, OnLoadResult, PartialMessage, PluginBuild } from 'esbuild';
import { type Baked, BakeError, type Baker } from './baker.ts';
import { writeDeclarations } from './declarations.ts';
import { artefactName, loaderModule, markFilter, withoutQuery } from './loader-module.ts';
import type { BakeFailure, Place } from './messages.ts';
import { type BakeOptions, includedPatterns } from './options.ts';

const modules = 'kiln';
const artefacts = 'kiln-artefact';

/** Sets up a build. */
export function setUpEsbuild(build: PluginBuild, baker: Baker, options: BakeOptions): void {
  const baked = new Map<string, Baked>();

  build.onResolve({ filter: markFilter }, async ({ path, importer, kind, resolveDir }) => {
    const resolved = await build.resolve(withoutQuery(path), { importer, kind, resolveDir });
    if (resolved.errors.length > 0 || resolved.external) return resolved;
    return { path: resolved.path, namespace: modules };
  });
  // esbuild names the file after the path.
  build.onResolve({ filter: /^kiln-artefact$/ }, ({ importer }) => {
    if (!baked.has(importer)) return undefined;
    return { path: join(dirname(importer), artefactName(importer)), namespace: artefacts, pluginData: importer };
  });

  const load = async (entry: string): Promise<OnLoadResult> => {
    try {
      const artefact = await baker.bake(entry);
      baked.set(entry, artefact);
      if (options.types ?? true) writeDeclarations(entry, artefact.declarations);
      const imports = [`import file from 'kiln-artefact';`];
      const contents = loaderModule(urlOf(build.initialOptions), { publicKey: artefact.publicKey, imports });
      return { contents, loader: 'js', resolveDir: dirname(entry), watchFiles: [...artefact.files] };
    } catch (error) {
      if (!(error instanceof BakeError)) throw error;
      return { errors: error.failures.map(messageOf), watchFiles: [...error.files] };
    }
  };
  build.onLoad({ filter: /.*/, namespace: modules }, ({ path }) => load(path));
  for (const filter of includedPatterns(options)) build.onLoad({ filter }, ({ path }) => load(path));
  build.onLoad({ filter: /.*/, namespace: artefacts }, ({ pluginData }) => ({
    contents: baked.get(pluginData as string)?.bytes,
    loader: 'file',
  }));
}

/** The address of the imported `file`, which is relative to the code unless there is a `publicPath`. */
function urlOf({ format, platform }: BuildOptions): string {
  if (format === 'esm') return 'new URL(file, import.meta.url).href';
  if (platform === 'node') return `new URL(file, require('node:url').pathToFileURL(__filename)).href`;
  return 'new URL(file, document.currentScript?.src ?? location.href).href';
}

const messageOf = ({ message, place }: BakeFailure): PartialMessage => ({
  text: message,
  ...(place && { location: locationOf(place) }),
});

function locationOf({ file, line, column }: Place): PartialMessage['location'] {
  const lineText = lineOf(file, line);
  // Columns count from 0 there.
  return { file, line, column: column - 1, ...(lineText !== undefined && { lineText }) };
}

function lineOf(file: string, line: number): string | undefined {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/)[line - 1];
  } catch {
    return undefined;
  }
}
