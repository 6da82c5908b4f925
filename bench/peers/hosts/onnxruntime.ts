/** onnxruntime as a host, in WASM or native: `onnxruntime.ts web 2` or `onnxruntime.ts node 1`. */
import type { Adapter } from '../adapter.ts';
import { type Ort, prepareOnnx } from '../adapters/onnxruntime.ts';
import type { Absent } from '../protocol.ts';
import { serve } from './serve.ts';

type Flavour = 'web' | 'node';

async function start(flavour: Flavour, threads: number): Promise<Adapter | Absent> {
  const packageName = `onnxruntime-${flavour}`;
  let ort: Ort;
  try {
    const loaded = (await import(packageName)) as Ort & { readonly default?: Ort };
    ort = loaded.default ?? loaded;
  } catch (error) {
    return { absent: `${packageName} is not installed: ${(error as Error).message.split('\n')[0]}` };
  }
  ort.env.logLevel = 'error';
  if (flavour === 'web') ort.env.wasm.numThreads = threads;
  const options = {
    executionProviders: [flavour === 'web' ? 'wasm' : 'cpu'],
    graphOptimizationLevel: 'all',
    ...(flavour === 'node' ? { intraOpNumThreads: threads, interOpNumThreads: 1 } : {}),
  };
  const version = ort.env.versions[flavour] ?? '';
  return {
    name: `${packageName} ${version}`.trim(),
    features: [`${threads} threads`, flavour === 'web' ? 'WASM' : 'native'],
    prepare: (work, inputs) => prepareOnnx(ort, options, work, inputs),
  };
}

const [flavour, threads] = process.argv.slice(2);
await serve(() => start(flavour as Flavour, Number(threads)));
