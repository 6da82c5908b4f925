/**
 * The version of the compiler as far as its output is concerned: a hash of its sources, which the build writes down
 * (`scripts/compiler-version.ts`). Run from sources, where nothing was built, it is a hash of their sizes and times, so
 * that a cached program never outlives an edit.
 *
 *     compilerVersion()      // '3f9a…', or undefined where it can not be known; then nothing is cached
 */
import { hashOf } from '../base/hash.ts';

/** Put in place by the build. */
declare const KILN_COMPILER_VERSION: string | undefined;

interface NodeModules {
  readonly fs: Pick<typeof import('node:fs'), 'readdirSync' | 'statSync'>;
  readonly url: Pick<typeof import('node:url'), 'fileURLToPath'>;
}

interface NodeProcess {
  getBuiltinModule?<Name extends keyof NodeModules>(name: `node:${Name}`): NodeModules[Name] | undefined;
}

/** The folders whose code decides what a program is. */
export const compilerFolders = ['base', 'ir', 'passes', 'codegen', 'runtime', 'tracer'] as const;

let known: string | undefined;

/** The same for all processes that run the same build. */
export function compilerVersion(): string | undefined {
  known ??= typeof KILN_COMPILER_VERSION === 'string' ? KILN_COMPILER_VERSION : versionOfSources();
  return known;
}

function versionOfSources(): string | undefined {
  const { process } = globalThis as { process?: NodeProcess };
  const [fs, url] = [process?.getBuiltinModule?.('node:fs'), process?.getBuiltinModule?.('node:url')];
  if (!fs || !url || !import.meta.url.endsWith('/tracer/compiler-version.ts')) return undefined;
  const root = url.fileURLToPath(new URL('..', import.meta.url));
  const files = compilerFolders.flatMap((folder) =>
    (fs.readdirSync(root + folder, { recursive: true }) as string[])
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );
  const lines = files.sort().map((name) => {
    const { size, mtimeMs } = fs.statSync(root + name);
    return `${name} ${size} ${mtimeMs}`;
  });
  return hashOf(`sources\n${lines.join('\n')}`);
}
