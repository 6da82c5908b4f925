/** jax-js as a host, on WASM and one thread, which is what it has in Node. */
import type { Adapter } from '../adapter.ts';
import { type Jax, prepareJax } from '../adapters/jax-js.ts';
import type { Absent } from '../protocol.ts';
import { serve } from './serve.ts';

async function start(): Promise<Adapter | Absent> {
  const packageName = '@jax-js/jax';
  let jax: Jax;
  try {
    jax = (await import(packageName)) as Jax;
  } catch (error) {
    return { absent: `${packageName} is not installed: ${(error as Error).message.split('\n')[0]}` };
  }
  await jax.init('wasm');
  jax.defaultDevice('wasm');
  return {
    name: 'jax-js 0.1.25',
    features: ['1 threads', 'WASM'],
    prepare: (work, inputs) => prepareJax(jax, work, inputs),
  };
}

await serve(start);
