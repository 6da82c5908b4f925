/**
 * Kiln on WebGPU beside other runtimes, on whatever adapter there is: results compared before anything is counted or
 * timed.
 *
 *     webgpuResult(await measureWebgpu({ host: 'chromium', peers, adapter: findAdapter() }))
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setDevice } from '../../index.ts';
import { type FoundAdapter, findAdapter } from '../../test/support/adapter.ts';
import { inputsOf } from '../peers/work.ts';
import type { BenchResult } from '../result.ts';
import { openChromium } from './chromium.ts';
import type { Blank, Figure } from './measure.ts';
import { openNode } from './node.ts';
import { rowsOf, type Scale } from './rows.ts';
import { type Peer, peers } from './runtimes.ts';
import { type WebgpuFigures, webgpuResult } from './tables.ts';

export interface WebgpuOptions {
  /** Where the runtimes run: a page of Chromium, or this process, which must have the variables of the adapter. */
  readonly host: 'chromium' | 'node';
  readonly peers: readonly Peer[];
  readonly adapter: FoundAdapter;
  /** Beginnings of names of rows; all rows unless given. */
  readonly rows?: readonly string[];
  /** Small on a software adapter, unless given. */
  readonly scale?: Scale;
  /** Milliseconds of timing for a runtime and row. On a software adapter nothing is timed, unless given. */
  readonly budgetMs?: number;
}

const rounds = 7;

/** @throws Error when there is no adapter, or a result is wrong */
export async function measureWebgpu(options: WebgpuOptions): Promise<WebgpuFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-bench-webgpu-'));
  const isNode = options.host === 'node';
  const stage = isNode ? await openNode() : await openChromium(folder, !options.adapter.isSoftware);
  try {
    const adapter = await stage.adapter();
    if (!adapter) throw new Error(`there is no WebGPU adapter in ${options.host}`);
    const { isSoftware } = adapter;
    const scale = options.scale ?? (isSoftware ? 'small' : 'full');
    const timing = { budgetMs: options.budgetMs ?? (isSoftware ? 0 : 400), rounds };
    const runtimes = await stage.start(options.peers);
    for (const { peer, name, features, absent } of runtimes) {
      console.error(absent === undefined ? `${peer}: ${name}, ${features?.join(', ')}` : `${peer}: ${absent}`);
    }
    const kilnStarted = runtimes.some(({ peer, absent }) => peer === 'kiln' && absent === undefined);
    const figures: Figure[] = [];
    const blanks: Blank[] = [];
    for (const { name, work } of rowsOf(scale)) {
      if (options.rows && !options.rows.some((beginning) => name.startsWith(beginning))) continue;
      const start = performance.now();
      // Inputs are made on wasm, whatever the session's device has become in this process.
      if (isNode) setDevice('wasm');
      const inputs = inputsOf(work);
      if (isNode && kilnStarted) setDevice('webgpu');
      const result = await stage.measure(name, scale, inputs, timing);
      figures.push(...result.figures);
      blanks.push(...result.blanks);
      console.error(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
    const host = isNode ? `Node ${process.versions.node}, Dawn` : 'Chromium';
    return { host, adapter: adapter.name, isSoftware, scale, runtimes, figures, blanks };
  } finally {
    await stage.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** All rows in Chromium, for `npm run bench`. */
export async function webgpuCase(): Promise<BenchResult> {
  const adapter = findAdapter();
  if (typeof adapter === 'string') throw new Error(`no WebGPU adapter: ${adapter}`);
  return webgpuResult(await measureWebgpu({ host: 'chromium', peers, adapter }));
}
