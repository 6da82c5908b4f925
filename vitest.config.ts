import { defineConfig } from 'vitest/config';

/** Tests of what a fresh process holds, or of the garbage collector: they get a process of their own. */
const alone = [
  'test/bench/benchmark.test.ts',
  'test/codegen/high-addresses.test.ts',
  'test/end-to-end/errors.test.ts',
  'test/operations/eager.test.ts',
  'test/runtime/array.test.ts',
  'test/runtime/collector.test.ts',
  'test/runtime/large-tensors.test.ts',
  'test/runtime/queue.test.ts',
  'test/runtime/session.test.ts',
  'test/tracer/copies.test.ts',
  'test/tracer/memory.test.ts',
  'test/tracer/peak-memory.test.ts',
  'test/tracer/program-cache.test.ts',
];

/** Tests that only WebGPU can run, and tests of every device, which run there too. */
const onWebgpu = ['test/**/*.webgpu.test.ts', 'test/runtime/webgpu/**/*.test.ts'];

/** A full run tries hundreds of times as many cases. */
const testTimeout = process.env.KILN_TEST === 'full' ? 3_600_000 : 60_000;

const common = { setupFiles: ['test/setup.ts'], testTimeout, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    maxWorkers: 2,
    projects: [
      // One module graph a worker: the compiler (15 MB of JavaScript) loads twice, not once a file.
      {
        test: {
          ...common,
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...alone, ...onWebgpu],
          isolate: false,
        },
      },
      { test: { ...common, name: 'alone', include: alone, isolate: true } },
      // The device with shared memory and worker threads, whatever it is that can be shared, goes through the same
      // suites.
      {
        test: {
          ...common,
          name: 'threads',
          include: ['ops', 'random-graphs', 'models'].map((name) => `test/end-to-end/${name}.test.ts`),
          setupFiles: ['test/setup.ts', 'test/share-all.ts'],
          env: { KILN_THREADS: '3' },
          isolate: false,
        },
      },
      {
        test: {
          ...common,
          name: 'webgpu',
          include: onWebgpu,
          globalSetup: ['test/webgpu-adapter.ts'],
          // Filled by the global setup.
          env: {},
          setupFiles: ['test/setup.ts', 'test/on-webgpu.ts'],
          isolate: false,
        },
      },
    ],
  },
});
