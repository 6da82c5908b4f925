/** TensorFlow.js as a host, on its WASM backend and one thread, which is what it has in Node. */
import { createRequire } from 'node:module';
import type { Adapter } from '../adapter.ts';
import { prepareTf, type Tf } from '../adapters/tfjs.ts';
import type { Absent } from '../protocol.ts';
import { serve } from './serve.ts';

async function start(): Promise<Adapter | Absent> {
  const require = createRequire(import.meta.url);
  let tf: Tf;
  try {
    tf = require('@tensorflow/tfjs-core') as Tf;
    require('@tensorflow/tfjs-backend-wasm');
  } catch (error) {
    return { absent: `@tensorflow/tfjs-backend-wasm is not installed: ${(error as Error).message.split('\n')[0]}` };
  }
  await tf.setBackend('wasm');
  await tf.ready();
  return {
    name: `tfjs ${tf.version_core}`,
    features: ['1 threads', 'WASM'],
    prepare: (work, inputs) => prepareTf(tf, work, inputs),
  };
}

await serve(start);
