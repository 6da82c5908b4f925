/**
 * `npm run bench:startup`: how long a program takes to its first launch, compiled cold, found in the cache, and loaded
 * from an artefact, in Node and in headless Chromium. It builds the package first. Another result in one of the modes,
 * or a compiler that is loaded where none belongs, ends it with exit code 1.
 *
 *     --in node,chromium        where
 *     --of mlp,gpt,resnet       workloads
 *     --rounds 9                starts of each mode; a third as many cold ones
 *     --built                   dist is there and current
 *     --write                   puts the figures into docs/startup.md
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { progressBar } from '../../cli/progress.ts';
import { terminalText } from '../report.ts';
import { targetHere } from './child-process.ts';
import { openChromium } from './chromium.ts';
import { type Measured, measureNode } from './node.ts';
import { recordStartup } from './record.ts';
import { makeScene } from './scene.ts';
import { modes } from './start.ts';
import { type Place, startupResult } from './tables.ts';
import { benchWorkloads, type Workload } from './titles.ts';
import { workloads } from './workloads.ts';

const { values } = parseArgs({
  options: {
    in: { type: 'string', default: 'node,chromium' },
    of: { type: 'string', default: benchWorkloads.join() },
    rounds: { type: 'string', default: '9' },
    built: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const names = values.of.split(',') as Workload[];
const unknown = names.filter((name) => !Object.hasOwn(workloads, name));
if (unknown.length > 0) throw new Error(`no workload '${unknown}'; there are: ${Object.keys(workloads).join(', ')}`);
const rounds = Number(values.rounds);
const coldRounds = Math.max(1, Math.round(rounds / 3));
const places = values.in.split(',');

if (!values.built) {
  execFileSync('npm', ['run', 'build'], { cwd: fileURLToPath(new URL('../..', import.meta.url)), stdio: 'ignore' });
}
const inNode = targetHere();
const inChromium = 'wasm-threads-relaxed';
const folder = mkdtempSync(join(tmpdir(), 'kiln-startup-'));
const scene = await makeScene(folder, names, [...new Set([inNode, inChromium])]);
const bar = progressBar('starting', places.length * names.length * ((modes.length - 1) * rounds + coldRounds));
let done = 0;
const options = { rounds, coldRounds, onProgress: (note: string) => bar.update(done++, note) };
const measured: Place[] = [];
try {
  if (places.includes('node')) {
    const all: Measured[] = [];
    for (const name of names) all.push(await measureNode(scene, name, { ...options, target: inNode }));
    measured.push({ name: 'Node', measured: all });
  }
  if (places.includes('chromium')) {
    const chromium = await openChromium(scene);
    try {
      const all: Measured[] = [];
      for (const name of names) all.push(await chromium.measure(name, { ...options, target: inChromium }));
      measured.push({ name: chromium.version, measured: all });
    } finally {
      await chromium.close();
    }
  }
} finally {
  bar.stop();
  rmSync(folder, { recursive: true, force: true });
}
const result = startupResult(measured);
console.log(terminalText(result));
if (values.write) recordStartup(result);
process.exit();
