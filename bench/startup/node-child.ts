/**
 * One start in Node, in a process of its own: `node-child.js MODE WORKLOAD ARGUMENTS [ARTEFACT]` prints it as JSON. It
 * runs on the built package, as users have it; a baked start loads nothing but `kilnjs/runtime`.
 */
import { readFileSync } from 'node:fs';
import { watchFirstLaunch } from './first-launch.ts';
import type { HostArguments } from './host-arguments.ts';
import { imported, keyOf, type Mode, startBaked, startCompiled } from './start.ts';
import type { Workload } from './titles.ts';

const [mode, workload, file, artefact] = process.argv.slice(2) as [Mode, Workload, string, string];
const launch = watchFirstLaunch();
const { tree } = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Pick<HostArguments, 'tree'>;
const args: HostArguments = { tree, bytes: Uint8Array.from(readFileSync(`${file}.bin`)) };
if (mode === 'baked') {
  const loader = await imported(() => import('../../runtime/index.ts'));
  console.log(JSON.stringify(await startBaked(loader, artefact, { args, launch })));
} else {
  const kiln = await imported(() => import('../../index.ts'));
  const { workloads } = await import('./workloads.ts');
  const key = mode === 'keyed' ? { key: keyOf(workload) } : {};
  console.log(JSON.stringify(await startCompiled(kiln, workloads[workload](), { ...key, args, launch })));
}
process.exit();
