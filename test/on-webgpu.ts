/**
 * Before each test file of the project `webgpu`: the session is on WebGPU, and its compiler is loaded. Without an
 * adapter, tests are skipped with the reason.
 */
import { beforeEach, expect, inject } from 'vitest';

const reason = inject('noAdapter');
const isBelowTracer = /\/test\/(?:base|ir|passes|codegen|runtime)\//.test(expect.getState().testPath ?? '');
if (reason) beforeEach((context) => context.skip(reason));
else if (!isBelowTracer) {
  const { init } = await import('../index.ts');
  const { loadCompiler } = await import('../tracer/compiler-client.ts');
  await loadCompiler('webgpu');
  await init({ device: 'webgpu' });
}
