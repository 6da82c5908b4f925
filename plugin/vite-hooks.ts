/**
 * Vite: builds as with Rollup. The development server bakes an entry when a page first asks for it, serves the
 * artefact under `/@kiln/`, and bakes again when the entry or what it imports has changed.
 */
import { createReadStream, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Plugin, ResolvedConfig } from 'vite';
import { BakeError, type Baker } from './baker.ts';
import { keepArtefact } from './kept-artefact.ts';
import { loaderModule, withoutQuery } from './loader-module.ts';
import { type BakeOptions, isIncluded } from './options.ts';
import { bakeFor, buildHooks, entryOfId, errorOf, idOf } from './rollup-like.ts';

export function viteHooks(baker: Baker, options: BakeOptions): Partial<Plugin> {
  const build = buildHooks(baker, options);
  let config: ResolvedConfig;
  const folder = (): string => join(config.cacheDir, 'kiln');
  return {
    ...build,
    config: () => ({
      // Bundled in advance, its workers would not find their scripts.
      optimizeDeps: { exclude: ['kilnjs'] },
    }),
    configResolved(resolved) {
      config = resolved;
    },
    configureServer(server) {
      const path = `${config.base}@kiln/`;
      server.middlewares.use((request, response, next) => {
        const asked = withoutQuery(request.url ?? '/');
        if (!asked.startsWith(path)) return next();
        const file = join(folder(), basename(decodeURIComponent(asked)));
        const stats = statSync(file, { throwIfNoEntry: false });
        if (!stats?.isFile()) return next();
        response.writeHead(200, {
          ...config.server.headers,
          'Content-Type': 'application/octet-stream',
          'Content-Length': stats.size,
          'Cache-Control': 'max-age=31536000, immutable',
        });
        createReadStream(file).pipe(response);
      });
    },
    async load(id) {
      if (this.environment.mode === 'build') return build.load.call(this, id);
      const entry = entryOfId(id, options);
      if (entry === undefined) return undefined;
      try {
        const baked = await bakeFor(this, entry, baker, options);
        const file = keepArtefact(entry, baked, folder());
        if (this.environment.config.consumer === 'server') {
          return loaderModule(JSON.stringify(pathToFileURL(file).href), { publicKey: baked.publicKey });
        }
        // Not written as `new URL('…', import.meta.url)`, which Vite takes for an asset of the project.
        const path = JSON.stringify(`${config.base}@kiln/${encodeURIComponent(basename(file))}`);
        return loaderModule(`new URL(${path}, String(import.meta.url)).href`, { publicKey: baked.publicKey });
      } catch (error) {
        if (error instanceof BakeError) this.error(errorOf([error]));
        throw error;
      }
    },
    hotUpdate({ file, modules }) {
      const { moduleGraph } = this.environment;
      const ids = baker
        .entriesWith(file)
        .flatMap((entry) => [idOf(entry), ...(isIncluded(entry, options) ? [entry] : [])]);
      const stale = ids.flatMap((id) => moduleGraph.getModuleById(id) ?? []);
      return stale.length > 0 ? [...new Set([...modules, ...stale])] : undefined;
    },
    buildEnd(error) {
      if (this.environment.mode === 'build') build.buildEnd.call(this, error);
    },
  };
}
