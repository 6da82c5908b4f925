/**
 * A small project that bakes a model and loads it in a page, in a folder of its own.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project itself. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Names as a project has them, to sources of this one. */
export const alias = {
  'kilnjs/runtime': join(root, 'runtime/index.ts'),
  kilnjs: join(root, 'index.ts'),
};

/** A word that nothing but the model's source has. */
export const secret = 'onlyTheModelSaysThis';

/** @param scale what the model multiplies by */
export const scaleModule = (scale: number): string => `export const scale: number = ${scale};\n`;

const files: Readonly<Record<string, string>> = {
  'package.json': '{ "type": "module" }',
  'index.html': '<!doctype html><title>page</title><script type="module" src="/src/main.ts"></script>',
  'src/main.ts': `import load, { source } from './model.bake.ts?kiln';
const { functions, target } = await load({ device: 'wasm' });
const result = functions.double(new Float32Array([1, 2, 3]));
Object.assign(window, { result: Array.from(await result.data()), target, source });
`,
  'src/scale.ts': scaleModule(2),
  'src/model.bake.ts': `import { defineBake, spec, type Tensor } from '${join(root, 'index.ts')}';
import { scale } from './scale.ts';

const ${secret} = (x: Tensor) => x.mul(scale);
export default defineBake({ double: { fn: ${secret}, args: [spec([3])], name: 'double' } });
`,
};

export interface Project {
  readonly folder: string;
  path(name: string): string;
  write(name: string, text: string): void;
  remove(): void;
}

/** @param changes files that differ, or are there too */
export function makeProject(changes: Readonly<Record<string, string>> = {}): Project {
  mkdirSync(join(root, '.kiln'), { recursive: true });
  const folder = mkdtempSync(join(root, '.kiln', 'plugin-'));
  const path = (name: string): string => join(folder, name);
  const write = (name: string, text: string): void => {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), text);
  };
  for (const [name, text] of Object.entries({ ...files, ...changes })) write(name, text);
  return { folder, path, write, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
