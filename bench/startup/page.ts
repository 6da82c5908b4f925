/** One start in a page: `startHere('warm', 'mlp', 'mlp.wasm-threads.kiln')`, called from outside. */
import { watchFirstLaunch } from './first-launch.ts';
import type { HostArguments } from './host-arguments.ts';
import { imported, keyOf, type Mode, type Start, startBaked, startCompiled } from './start.ts';
import type { Workload } from './titles.ts';

declare const fetch: (url: string) => Promise<{ json(): Promise<unknown>; arrayBuffer(): Promise<ArrayBuffer> }>;

export async function startHere(mode: Mode, workload: Workload, artefact: string): Promise<Start & { total: number }> {
  const { tree } = (await (await fetch(`/scene/${workload}.json`)).json()) as Pick<HostArguments, 'tree'>;
  const bytes = new Uint8Array(await (await fetch(`/scene/${workload}.bin`)).arrayBuffer());
  const [args, launch] = [{ tree, bytes }, watchFirstLaunch()];
  if (mode === 'baked') {
    const loader = await imported(() => import('../../runtime/index.ts'));
    const start = await startBaked(loader, `/scene/${artefact}`, { args, launch });
    return { ...start, total: performance.now() };
  }
  const kiln = await imported(() => import('../../index.ts'));
  const { workloads } = await import('./workloads.ts');
  const key = mode === 'keyed' ? { key: keyOf(workload) } : {};
  const start = await startCompiled(kiln, workloads[workload](), { ...key, args, launch });
  return { ...start, total: performance.now() };
}
