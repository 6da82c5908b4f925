/** A run of rows where the runtimes are: they start one after the other, and stay. */
import type { NamedArray } from '../peers/work.ts';
import { countCalls } from './counters.ts';
import { measureRow, type RowResult, type Timing } from './measure.ts';
import { rowsOf, type Scale } from './rows.ts';
import { type Modules, type Peer, type Runtime, startRuntime } from './runtimes.ts';

/** What a runtime says of itself, or why it is not there. */
export interface Started {
  readonly peer: Peer;
  readonly name?: string;
  readonly features?: readonly string[];
  readonly absent?: string;
}

export interface AdapterDescription {
  readonly name: string;
  readonly isSoftware: boolean;
}

export class BenchSession {
  readonly #runtimes = new Map<Peer, Runtime>();

  /** The adapter that all runtimes get; `undefined` where there is none. */
  async adapter(): Promise<AdapterDescription | undefined> {
    const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: GPU } };
    const adapter = await navigator?.gpu?.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) return undefined;
    const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
    const name = description || [vendor, architecture, device].filter(Boolean).join(' ') || 'an adapter without a name';
    return { name, isSoftware: isFallbackAdapter || /swiftshader|llvmpipe|software/i.test(`${architecture} ${name}`) };
  }

  async start(peers: readonly Peer[], modules: Modules): Promise<readonly Started[]> {
    countCalls();
    const started: Started[] = [];
    for (const peer of peers) {
      const runtime = await startRuntime(peer, modules);
      if ('absent' in runtime) started.push({ peer, absent: runtime.absent });
      else {
        this.#runtimes.set(peer, runtime);
        started.push({ peer, name: runtime.name, features: runtime.features });
      }
    }
    return started;
  }

  /** @throws WrongResult */
  async measure(name: string, scale: Scale, inputs: readonly NamedArray[], timing: Timing): Promise<RowResult> {
    const row = rowsOf(scale).find((candidate) => candidate.name === name);
    if (!row) throw new Error(`there is no row '${name}'`);
    return measureRow(row, inputs, this.#runtimes, timing);
  }
}
