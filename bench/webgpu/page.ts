/** The side of a page: `chromium.ts` calls what it leaves on the window. */
import { type ArrayType, dtypes, type NamedArray } from '../peers/work.ts';
import type { RowResult, Timing } from './measure.ts';
import type { Scale } from './rows.ts';
import type { Modules } from './runtimes.ts';
import { BenchSession } from './session.ts';

/** An input that the server has. */
export interface ServedArray extends ArrayType {
  readonly url: string;
}

/** Places of modules on the server; not literals, since a bundler would look for them. */
const places = {
  onnxruntime: '/peers/onnxruntime-web/dist/ort.webgpu.min.mjs',
  tfjs: '/tfjs.js',
  jax: '/peers/@jax-js/jax/dist/index.js',
};

const modules: Modules = {
  async onnxruntime() {
    const ort = (await import(/* @vite-ignore */ places.onnxruntime)) as { env: { wasm: { wasmPaths: string } } };
    ort.env.wasm.wasmPaths = '/peers/onnxruntime-web/dist/';
    return ort;
  },
  tfjs: () => import(/* @vite-ignore */ places.tfjs),
  jax: () => import(/* @vite-ignore */ places.jax),
};

async function load({ url, dtype, ...type }: ServedArray): Promise<NamedArray> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return { ...type, dtype, data: new dtypes[dtype](await response.arrayBuffer()) };
}

const session = new BenchSession();

export const benchmarkPage = {
  adapter: () => session.adapter(),
  start: (peers: Parameters<BenchSession['start']>[0]) => session.start(peers, modules),
  async measure(
    name: string,
    scale: Scale,
    inputs: readonly ServedArray[],
    timing: Timing,
  ): Promise<RowResult | { readonly wrong: string }> {
    try {
      return await session.measure(name, scale, await Promise.all(inputs.map(load)), timing);
    } catch (error) {
      return { wrong: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  },
};

export type BenchmarkPage = typeof benchmarkPage;

(globalThis as { benchmarkPage?: BenchmarkPage }).benchmarkPage = benchmarkPage;
