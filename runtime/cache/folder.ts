/**
 * The folder where the system wants what a user's programs can make again:
 *
 *     Linux     $XDG_CACHE_HOME/kiln, or ~/.cache/kiln      (XDG Base Directory Specification 0.8)
 *     macOS     ~/Library/Caches/kiln
 *     Windows   %LOCALAPPDATA%\kiln\Cache
 */

interface NodeModules {
  readonly fs: Pick<typeof import('node:fs'), 'mkdirSync' | 'statSync'>;
  readonly os: Pick<typeof import('node:os'), 'homedir'>;
  readonly path: typeof import('node:path');
}

interface NodeProcess {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  getBuiltinModule?<Name extends keyof NodeModules>(name: `node:${Name}`): NodeModules[Name] | undefined;
}

const nodeProcess = (): NodeProcess | undefined => (globalThis as { readonly process?: NodeProcess }).process;

/** `undefined` outside Node, and for a user without a home. */
export function userFolder(process = nodeProcess()): string | undefined {
  const [os, path] = [process?.getBuiltinModule?.('node:os'), process?.getBuiltinModule?.('node:path')];
  if (!process || !os || !path) return undefined;
  const { platform, env } = process;
  const home = homeOf(os);
  const inHome = (...parts: string[]): string | undefined => home && path.join(home, ...parts);
  if (platform === 'win32') {
    const local = env.LOCALAPPDATA || inHome('AppData', 'Local');
    return local && path.join(local, 'kiln', 'Cache');
  }
  if (platform === 'darwin') return inHome('Library', 'Caches', 'kiln');
  const { XDG_CACHE_HOME: given } = env;
  // The specification: a relative path is invalid and ignored.
  const caches = given && path.isAbsolute(given) ? given : inHome('.cache');
  return caches && path.join(caches, 'kiln');
}

function homeOf(os: NodeModules['os']): string | undefined {
  try {
    return os.homedir() || undefined;
  } catch {
    // A user that the system does not know, as in some containers.
    return undefined;
  }
}

/**
 * Makes a folder, and those above it, in Node. `mkdirSync` with `recursive` tries for ever where nothing can be made
 * although the folder above is there, as below `/proc`.
 * @throws what `mkdirSync` throws
 */
export function makeFolder(folder: string, mode?: number): void {
  const process = nodeProcess();
  const [fs, path] = [process!.getBuiltinModule!('node:fs')!, process!.getBuiltinModule!('node:path')!];
  const isFolder = (place: string): boolean => fs.statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const makeOne = (place: string): unknown => {
    try {
      fs.mkdirSync(place, { mode });
      return undefined;
    } catch (error) {
      // Others make it, too.
      return isFolder(place) ? undefined : error;
    }
  };
  const make = (place: string): void => {
    let error = makeOne(place);
    const above = path.dirname(place);
    if ((error as { readonly code?: unknown } | undefined)?.code === 'ENOENT' && above !== place) {
      if (!isFolder(above)) make(above);
      error = makeOne(place);
    }
    if (error !== undefined) throw error;
  };
  make(path.resolve(folder));
}
