/**
 * Paths as people in a project write them: `src/model.ts:12:14` for `/home/me/app/src/model.ts:12:14` in
 * `/home/me/app`.
 */
interface NodeProcess {
  cwd?(): string;
}

/** A path relative to the working folder if it lies in there; as it is otherwise, and where there is no such folder. */
export function fromWorkingFolder(path: string): string {
  const folder = (globalThis as { process?: NodeProcess }).process?.cwd?.();
  const base = folder?.replaceAll('\\', '/').replace(/\/?$/, '/');
  const slashed = path.replaceAll('\\', '/');
  return base && slashed.startsWith(base) ? slashed.slice(base.length) : path;
}
