/** The version of kilnjs, from its package.json. */
import { internalError } from '../../base/error.ts';

interface NodeModules {
  readonly fs: Pick<typeof import('node:fs'), 'readFileSync'>;
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:fs'): NodeModules['fs'] | undefined;
}

let known: string | undefined;

export function packageVersion(): string {
  known ??= readVersion();
  return known;
}

function readVersion(): string {
  const fs = (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.('node:fs');
  // From dist/tracer/bake the package is three folders up, from tracer/bake two.
  for (const path of fs ? ['../../package.json', '../../../package.json'] : []) {
    try {
      const { name, version } = JSON.parse(fs!.readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (name === 'kilnjs') return version;
    } catch {
      // Not this folder.
    }
  }
  throw internalError('the package.json of kilnjs was not found');
}
