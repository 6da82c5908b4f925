/**
 * The hooks for webpack and Rspack with a compiler as far as they use one: neither bundler is a development dependency,
 * for their size.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { bakerFor } from '../../plugin/baker.ts';
import { addAssetRule, type WebpackCompiler, type WebpackHooks, webpackHooks } from '../../plugin/webpack-like.ts';
import { makeProject } from './project.ts';

const project = makeProject({ 'src/wrong.bake.ts': `throw new Error('it is wrong');\n` });
afterAll(() => project.remove());

const compiler: WebpackCompiler = {
  context: project.folder,
  options: { module: { rules: [] } },
  resolverFactory: {
    get: () => ({
      resolve(_, folder, request, __, callback) {
        const path = join(folder, request);
        if (existsSync(path)) callback(null, path);
        else callback(new Error(`${path} is not there`));
      },
    }),
  },
};

const hooks = webpackHooks(bakerFor({ targets: ['wasm'] }), { include: /\.included\.ts$/ });
const { resolveId, load } = hooks;

interface Told {
  readonly watched: string[];
  readonly errors: string[];
}

const context = ({ watched, errors }: Told): ThisParameterType<WebpackHooks['load']> => ({
  getNativeBuildContext: () => ({ framework: 'webpack', compiler }) as never,
  addWatchFile: (file) => watched.push(file),
  error: (error) => errors.push(String(error)),
});

const told = (): Told => ({ watched: [], errors: [] });

describe('webpack', () => {
  it('finds a marked import as it finds others, and no others', async () => {
    const importer = project.path('src/main.ts');
    const entry = project.path('src/model.bake.ts');
    expect(await resolveId.call(context(told()), './model.bake.ts?kiln', importer)).toBe(`${entry}?kiln`);
    expect(await resolveId.call(context(told()), './model.bake.ts', importer)).toBeUndefined();
    await expect(resolveId.call(context(told()), './none.ts?kiln', importer)).rejects.toThrow('is not there');
    expect(hooks.loadInclude(`${entry}?kiln`)).toBe(true);
    expect(hooks.loadInclude(entry)).toBe(false);
    expect(hooks.loadInclude('/app/model.included.ts')).toBe(true);
  });

  it('takes the artefact in as an asset', async () => {
    addAssetRule(compiler);
    expect(compiler.options.module.rules).toEqual([{ test: /\.kiln$/, type: 'asset/resource' }]);
    const seen = told();
    const entry = project.path('src/model.bake.ts');
    const code = await load.call(context(seen), `${entry}?kiln`);
    const [, file] = /^import file from "(.*)";$/m.exec(code) ?? [];
    expect(file).toMatch(/node_modules\/\.cache\/kilnjs\/model\.bake-[\da-f]{12}\.kiln$/);
    expect(readFileSync(file).subarray(1, 5).toString()).toBe('KILN');
    expect(code).toContain('export const source = file;');
    expect(seen.errors).toEqual([]);
    expect(seen.watched).toEqual(expect.arrayContaining([entry, project.path('src/scale.ts')]));
  });

  it('is told what is wrong, and where', async () => {
    const seen = told();
    await load.call(context(seen), `${project.path('src/wrong.bake.ts')}?kiln`);
    expect(seen.errors).toHaveLength(1);
    expect(seen.errors[0]).toContain(`it is wrong`);
    expect(seen.errors[0]).toContain(`1 | throw new Error('it is wrong');`);
    expect(seen.watched).toEqual(expect.arrayContaining([project.path('src/wrong.bake.ts')]));
  });
});
