/**
 * webpack and Rspack: a marked import becomes a virtual module, and the artefact a file in the project's folder for
 * caches, which the bundler takes in as an asset of its own, so that its names and its public path count.
 */
import { dirname, join } from 'node:path';
import type { NativeBuildContext, UnpluginBuildContext, UnpluginContext } from 'unplugin';
import { textOfFailures } from './bake-failures.ts';
import { BakeError, type Baker } from './baker.ts';
import { keepArtefact } from './kept-artefact.ts';
import { isMarked, loaderModule, placeholderModule, withoutQuery } from './loader-module.ts';
import { type BakeOptions, isIncluded } from './options.ts';
import { bakeFor } from './rollup-like.ts';

/** What is used of either compiler. */
export interface WebpackCompiler {
  readonly context: string;
  readonly options: { readonly module: { readonly rules: unknown[] } };
  readonly resolverFactory: {
    get(type: 'normal', options: { readonly dependencyType: string }): Resolver;
  };
}

interface Resolver {
  resolve(
    context: object,
    folder: string,
    request: string,
    resolveContext: object,
    callback: (error: Error | null, path?: string | false) => void,
  ): void;
}

const markEnd = '?kiln';

/** Has artefacts taken in as assets. */
export function addAssetRule({ options }: WebpackCompiler): void {
  options.module.rules.push({ test: /\.kiln$/, type: 'asset/resource' });
}

type Context = Pick<UnpluginBuildContext & UnpluginContext, 'getNativeBuildContext' | 'addWatchFile' | 'error'>;

export interface WebpackHooks {
  resolveId(this: Context, source: string, importer?: string): Promise<string | undefined>;
  loadInclude(id: string): boolean;
  load(this: Context, id: string): Promise<string>;
}

export function webpackHooks(baker: Baker, options: BakeOptions): WebpackHooks {
  return {
    async resolveId(source, importer) {
      if (!isMarked(source)) return undefined;
      const compiler = compilerOf(this.getNativeBuildContext?.());
      const folder = importer ? dirname(withoutQuery(importer)) : compiler.context;
      return `${await resolveWith(compiler, folder, withoutQuery(source))}${markEnd}`;
    },
    loadInclude: (id) => id.endsWith(markEnd) || isIncluded(id, options),
    async load(id) {
      const entry = withoutQuery(id);
      try {
        const baked = await bakeFor(this, entry, baker, options);
        const { context } = compilerOf(this.getNativeBuildContext?.());
        const file = JSON.stringify(keepArtefact(entry, baked, join(context, 'node_modules', '.cache', 'kilnjs')));
        return loaderModule('file', { publicKey: baked.publicKey, imports: [`import file from ${file};`] });
      } catch (error) {
        if (!(error instanceof BakeError)) throw error;
        this.error(textOfFailures(error.failures));
        return placeholderModule;
      }
    },
  };
}

function compilerOf(context: NativeBuildContext | undefined): WebpackCompiler {
  if (context?.framework === 'webpack' || context?.framework === 'rspack') return context.compiler as WebpackCompiler;
  throw new Error('neither webpack nor Rspack is there');
}

function resolveWith({ resolverFactory }: WebpackCompiler, folder: string, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const resolver = resolverFactory.get('normal', { dependencyType: 'esm' });
    resolver.resolve({}, folder, request, {}, (error, path) => {
      if (error || !path) reject(error ?? new Error(`${request} is not to be found from ${folder}`));
      else resolve(path);
    });
  });
}
