/** The runtimes in one process of Node, over Dawn; it must have been started with the variables of its adapter. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Stage } from './chromium.ts';
import type { Modules } from './runtimes.ts';
import { BenchSession } from './session.ts';

const packages = fileURLToPath(new URL('../peers/node_modules/', import.meta.url));

const modules: Modules = {
  async onnxruntime() {
    // Its form for Node has no WebGPU.
    const file = pathToFileURL(join(packages, 'onnxruntime-web/dist/ort.webgpu.min.mjs'));
    return import(file.href);
  },
  async tfjs() {
    const require = createRequire(join(packages, 'package.json'));
    const tf: unknown = require('@tensorflow/tfjs-core');
    require('@tensorflow/tfjs-backend-webgpu');
    return tf;
  },
  jax: () => import(pathToFileURL(join(packages, '@jax-js/jax/dist/index.js')).href),
};

export async function openNode(): Promise<Stage> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const own = (globalThis as { navigator?: object }).navigator ?? {};
  Object.defineProperty(own, 'gpu', { value: gpu, configurable: true });
  Object.defineProperty(globalThis, 'navigator', { value: own, configurable: true });
  const session = new BenchSession();
  return {
    adapter: () => session.adapter(),
    start: (peers) => session.start(peers, modules),
    measure: (row, scale, inputs, timing) => session.measure(row, scale, inputs, timing),
    close: async () => {},
  };
}
