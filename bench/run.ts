/**
 * `npm run bench`: runs the project's benchmarks, each in a process of its own so that none inherits the other's
 * memory, and prints their tables; with `--write`, also writes their sections of `docs/performance.md` and their
 * entries in `docs/performance.json`. Names after `--` select benchmarks. A wrong result ends the run.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ablationCase } from './ablation/index.ts';
import { attentionCase } from './cases/attention.ts';
import { callsCase } from './cases/calls.ts';
import { chainCase } from './cases/chain.ts';
import { coldStartCase } from './cases/cold-start.ts';
import { contractionsCase } from './cases/contractions.ts';
import { convolutionCase } from './cases/convolution.ts';
import { kernelsCase } from './cases/kernels.ts';
import { matmulCase } from './cases/matmul.ts';
import { memorySpeedCase } from './cases/memory-speed.ts';
import { trainingStepCase } from './cases/training-step.ts';
import { compileTimeCase } from './compile-time/index.ts';
import { peersCase } from './peers/index.ts';
import { record, type Section } from './record.ts';
import { terminalText } from './report.ts';
import type { BenchResult } from './result.ts';
import { webgpuCase } from './webgpu/index.ts';

const cases: Readonly<Record<Section, () => Promise<BenchResult>>> = {
  peers: peersCase,
  training: trainingStepCase,
  chain: chainCase,
  matmul: matmulCase,
  contractions: contractionsCase,
  kernels: kernelsCase,
  convolution: convolutionCase,
  'memory-speed': memorySpeedCase,
  attention: attentionCase,
  calls: callsCase,
  webgpu: webgpuCase,
  cold: coldStartCase,
  'compile-time': compileTimeCase,
  ablation: ablationCase,
};

// What is measured here compiles: only `startup` is about the cache, and turns it on.
process.env.KILN_CACHE ??= 'off';

/** Runs a case in a fresh process, with the loaders of this one. */
function runApart(name: string): BenchResult {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), '--result', name];
  const output = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(output) as BenchResult;
}

const { values, positionals } = parseArgs({
  options: { write: { type: 'boolean', default: false }, result: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !Object.hasOwn(cases, name));
if (unknown.length > 0) throw new Error(`no benchmark '${unknown}'; there are: ${Object.keys(cases).join(', ')}`);

const results: Partial<Record<Section, BenchResult>> = {};
for (const [name, run] of Object.entries(cases) as [Section, () => Promise<BenchResult>][]) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const result = values.result ? await run() : runApart(name);
  console.log(values.result ? JSON.stringify(result) : terminalText(result));
  results[name] = result;
}
if (values.write) record(results);
