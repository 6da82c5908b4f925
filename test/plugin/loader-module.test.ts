/** Marks in imports, and the text of what stands in their place. */
import { describe, expect, it } from 'vitest';
import { declarationsPath, declarationsText } from '../../plugin/declarations.ts';
import { artefactName, hashedName, isMarked, loaderModule, withoutQuery } from '../../plugin/loader-module.ts';
import { isIncluded, settingsOf } from '../../plugin/options.ts';

describe('the mark', () => {
  it.each([
    ['./model.bake.ts?kiln', true],
    ['@/model.bake.ts?v=1&kiln', true],
    ['./model.bake.ts?kiln&t=2', true],
    ['./model.bake.ts?kiln=', true],
    ['./model.bake.ts', false],
    ['./kiln.ts', false],
    ['./model.ts?kilns', false],
    ['./model.ts?unkiln', false],
  ])('%s: %s', (id, expected) => {
    expect(isMarked(id)).toBe(expected);
  });

  it('is no part of the path', () => {
    expect(withoutQuery('/app/model.bake.ts?v=1&kiln')).toBe('/app/model.bake.ts');
    expect(withoutQuery('/app/model.bake.ts')).toBe('/app/model.bake.ts');
  });
});

describe('the module of a marked import', () => {
  it('loads from where the artefact is', () => {
    expect(loaderModule('here', {})).toBe(
      [
        `import { load } from 'kilnjs/runtime';`,
        'export const source = here;',
        'export default (options) => load(source, options);',
        '',
      ].join('\n'),
    );
  });

  it('asks for the signature of who has baked it, unless another key is given', () => {
    expect(loaderModule('here', { publicKey: 'a\nb', imports: [`import here from 'there';`] })).toBe(
      [
        `import { load } from 'kilnjs/runtime';`,
        `import here from 'there';`,
        'export const source = here;',
        'export default (options) => load(source, { publicKey: "a\\nb", ...options });',
        '',
      ].join('\n'),
    );
  });

  it('is about a file with the name of the entry', () => {
    expect(artefactName('/app/model.bake.ts')).toBe('model.bake.kiln');
    expect(hashedName('/app/model.bake.mjs', '0123456789abcdef')).toBe('model.bake-0123456789ab.kiln');
  });
});

describe('types beside an entry', () => {
  it('are declared for the marked import, from whatever folder', () => {
    const text = declarationsText('/app/model.bake.ts', '// What it holds.\nexport type Functions = {};\n');
    expect(text).toContain(`declare module '*/model.bake.ts?kiln' {\n`);
    expect(text).toContain('\n  export type Functions = {};\n');
    expect(text).not.toContain('What it holds');
  });

  it('stand beside TypeScript alone', () => {
    expect(declarationsPath('/app/model.bake.mts')).toBe('/app/model.bake.kiln.d.ts');
    expect(declarationsPath('/app/model.bake.js')).toBeUndefined();
  });
});

describe('options', () => {
  it('include modules without a mark by their paths', () => {
    expect(isIncluded('/app/model.bake.ts', { include: /\.bake\.ts$/g })).toBe(true);
    expect(isIncluded('/app/model.bake.ts', { include: [/none/, /model/] })).toBe(true);
    expect(isIncluded('/app/model.ts', { include: /\.bake\.ts$/ })).toBe(false);
    expect(isIncluded('/app/model.bake.ts', {})).toBe(false);
  });

  it('that count for a bake are sent to it, with whole paths', () => {
    expect(settingsOf({ targets: ['wasm'], types: false })).toEqual({ targets: ['wasm'] });
    expect(settingsOf({ sign: '/keys/private.pem' })).toEqual({ sign: '/keys/private.pem' });
    expect(settingsOf({ sign: 'private.pem' }).sign).toBe(`${process.cwd()}/private.pem`);
  });
});
