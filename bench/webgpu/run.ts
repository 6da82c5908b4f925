/**
 * `npm run bench:webgpu`: Kiln on WebGPU beside onnxruntime-web, TensorFlow.js and jax-js, in one page of Chromium, on
 * whatever adapter there is; or in Node, over Dawn. A wrong result ends it with exit code 1.
 *
 *     --in chromium|node         where the runtimes run; a page, unless given
 *     --rows matmul,softmax      rows whose names begin so
 *     --peers kiln,jax-js        runtimes
 *     --scale full|small         sizes; small on a software adapter, unless given
 *     --budget 400               milliseconds of timing for a runtime and row; 0 counts only
 *     --write                    puts the section into docs/performance.md
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { findAdapter } from '../../test/support/adapter.ts';
import { record } from '../record.ts';
import { terminalText } from '../report.ts';
import { measureWebgpu, type WebgpuOptions } from './index.ts';
import { type Peer, peers } from './runtimes.ts';
import { webgpuResult } from './tables.ts';

const { values } = parseArgs({
  options: {
    in: { type: 'string', default: 'chromium' },
    rows: { type: 'string' },
    peers: { type: 'string' },
    scale: { type: 'string' },
    budget: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

const started = 'KILN_BENCH_ADAPTER_SET';
const found = findAdapter();
if (typeof found === 'string') {
  console.error(`no WebGPU adapter: ${found}`);
  process.exit(1);
}
// The Vulkan loader reads its variables when a process starts.
if (values.in === 'node' && !process.env[started]) {
  const env = { ...process.env, ...found.environment, [started]: '1' };
  const { status } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env,
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

const options: WebgpuOptions = {
  host: values.in === 'node' ? 'node' : 'chromium',
  peers: chosenPeers(values.peers),
  adapter: found,
  ...(values.rows !== undefined && { rows: values.rows.split(',') }),
  ...((values.scale === 'full' || values.scale === 'small') && { scale: values.scale }),
  ...(values.budget !== undefined && { budgetMs: Number(values.budget) }),
};
const result = webgpuResult(await measureWebgpu(options));
console.log(terminalText(result));
if (values.write) record({ webgpu: result });
process.exit(0);

function chosenPeers(given: string | undefined): readonly Peer[] {
  if (given === undefined) return peers;
  return given.split(',').map((name) => {
    const peer = peers.find((candidate) => candidate === name);
    if (!peer) throw new Error(`--peers: no '${name}'; there are: ${peers.join(', ')}`);
    return peer;
  });
}
