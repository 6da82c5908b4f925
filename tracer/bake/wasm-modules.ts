/**
 * The WASM code of an artefact as files of their own, for engines that refuse to compile code at run time and import it
 * instead (edge runtimes). What the index exports, the loader takes as `modules`.
 *
 *     index.js          import driver from './driver.wasm'; import kernel0 from './3f9a….wasm'; …
 *     driver.wasm       runs the launches of a program
 *     3f9a….wasm        a kernel, by its hash
 */
import { KilnError } from '../../base/error.ts';
import type { ArtefactContent, WasmKernelRecord } from '../../runtime/artefact/records.ts';
import { driverKey } from '../../runtime/load/modules.ts';
import { aloneDriver } from '../../runtime/wasm/driver-code.ts';

/** Files by name. */
export type NamedFiles = ReadonlyMap<string, Uint8Array>;

/**
 * @param blobs those of the artefact
 * @throws KilnError `bake_failed` for an artefact without code for one thread, which such runtimes have
 */
export function wasmModuleFiles(
  { functions, programs, kernels }: ArtefactContent,
  blobs: readonly Uint8Array[],
): NamedFiles {
  const wanted = new Set<string>();
  for (const { programs: uses } of functions) {
    for (const { program } of uses) {
      const { tier, kernels: used } = programs[program];
      if (tier.target === 'wasm' && !tier.threads) for (const { hash } of used) wanted.add(hash);
    }
  }
  if (wanted.size === 0) {
    throw new KilnError('bake_failed', 'there is no WASM code for one thread to write as modules', {
      given: `targets ${[...new Set(functions.flatMap(({ programs: uses }) => uses.map(({ target }) => target)))].join(', ')}`,
      expected: "the target 'wasm' or 'wasm-relaxed'",
      hint: '--target wasm',
    });
  }
  const records = kernels.filter(
    (kernel): kernel is WasmKernelRecord => kernel.target === 'wasm' && wanted.has(kernel.hash),
  );
  const files = new Map<string, Uint8Array>([
    ['driver.wasm', Uint8Array.from(atob(aloneDriver), (letter) => letter.charCodeAt(0))],
    ...records.map(({ hash, code }) => [`${hash}.wasm`, blobs[code]] as const),
  ]);
  const hashes = records.map(({ hash }) => hash);
  const encoder = new TextEncoder();
  return new Map([
    ...files,
    ['index.js', encoder.encode(indexText(hashes))],
    ['index.d.ts', encoder.encode(indexTypes)],
  ]);
}

/** Names of files that an earlier bake has written and this one may have not. */
export const isKernelFile = (name: string): boolean => /^[0-9a-f]{64}\.wasm$/.test(name);

const heading = '// Written by `kiln bake --wasm-modules`; do not edit.';

const indexText = (hashes: readonly string[]): string =>
  [
    heading,
    `import driver from './driver.wasm';`,
    ...hashes.map((hash, i) => `import kernel${i} from './${hash}.wasm';`),
    '',
    'export const modules = new Map([',
    `  ['${driverKey}', driver],`,
    ...hashes.map((hash, i) => `  ['${hash}', kernel${i}],`),
    ']);',
    '',
  ].join('\n');

const indexTypes = [
  heading,
  '/** The code of the artefact, for `load(source, { modules })`. */',
  'export declare const modules: ReadonlyMap<string, WebAssembly.Module>;',
  '',
].join('\n');
