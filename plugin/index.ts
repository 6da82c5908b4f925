/**
 * The plugin for bundlers: modules with `export default defineBake(…)` that are imported with the mark `?kiln` are
 * baked while the bundle is made. In their place stands a module that loads the artefact through `kilnjs/runtime`, so
 * that neither the compiler nor the model's source is in the bundle.
 *
 *     import load from './model.bake.ts?kiln';
 *     const { functions, weights } = await load();
 *
 * This is it for bundlers that have no file of their own here: `kiln.farm()`, `kiln.rsbuild()`, …
 */
import { createUnplugin, type UnpluginInstance, type UnpluginOptions } from 'unplugin';
import { bakerFor } from './baker.ts';
import { setUpEsbuild } from './esbuild-setup.ts';
import { type BakeOptions, settingsOf } from './options.ts';
import { buildHooks } from './rollup-like.ts';
import { viteHooks } from './vite-hooks.ts';
import { addAssetRule, webpackHooks } from './webpack-like.ts';

export type { BakeOptions } from './options.ts';

const name = 'kiln';

export const kiln: UnpluginInstance<BakeOptions | undefined, false> = createUnplugin((options = {}, { framework }) => {
  const baker = bakerFor(settingsOf(options));
  // Before what resolves and transforms files: a marked import is none.
  const common = { name, enforce: 'pre' } as const satisfies UnpluginOptions;
  switch (framework) {
    case 'esbuild':
      return { ...common, esbuild: { setup: (build) => setUpEsbuild(build, baker, options) } };
    case 'vite':
      return { ...common, vite: viteHooks(baker, options) };
    case 'webpack':
    case 'rspack':
    case 'rsbuild':
      return { ...common, ...webpackHooks(baker, options), webpack: addAssetRule, rspack: addAssetRule };
    case 'rollup':
      return { ...common, rollup: buildHooks(baker, options) };
    case 'rolldown':
      return { ...common, rolldown: buildHooks(baker, options) };
    default:
      throw new Error(`the plugin of kilnjs does not know ${framework}`);
  }
});
