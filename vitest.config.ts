import { defineConfig } from 'vitest/config';

/** Tests of what a fresh process holds, or of the garbage collector: they get a process of their own. */
const alone = [
  'test/bench/benchmark.test.ts',
  'test/codegen/high-addresses.test.ts',
  'test/end-to-end/errors.test.ts',
  'test/operations/eager.test.ts',
  'test/runtime/array.test.ts',
  'test/runtime/artefact/cache-fuzz.test.ts',
  'test/runtime/collector.test.ts',
  'test/runtime/large-tensors.test.ts',
  'test/runtime/queue.test.ts',
  'test/runtime/session.test.ts',
  'test/tracer/copies.test.ts',
  'test/tracer/memory.test.ts',
  'test/tracer/peak-memory.test.ts',
  'test/tracer/program-cache.test.ts',
];

const isFull = process.env.KILN_TEST === 'full';

/** Tests that only WebGPU can run. */
const onlyWebgpu = ['test/**/*.webgpu.test.ts', 'test/runtime/webgpu/**/*.test.ts'];
const files = (folder: string, names: readonly string[]): string[] =>
  names.map((name) => `test/${folder}/${name}.test.ts`);

/** Tests of every device, which WebGPU runs too. */
const alsoWebgpu = [
  ...files('codegen', ['kernel-run', 'random-kernels', 'columns', 'column-rows', 'transpose', 'backwards']),
  // Minutes of compiling in software; test/codegen/wgsl has the same kinds of kernels in the sizes that matter there.
  ...(isFull ? files('codegen', ['rows', 'random-rows', 'contraction', 'window', 'partials', 'sort']) : []),
  ...files('end-to-end', ['ops', 'random-graphs', 'models', 'layers', 'training', 'regressions']),
  ...files('operations', ['recorded-on-device', 'sorting', 'creation', 'eager', 'interpolate']),
  ...files('operations', ['optional-operands', 'properties', 'random', 'symbolic']),
  ...files('tracer', ['checkpoint', 'peak-memory', 'prepared', 'compile', 'differential', 'eager']),
  ...files('tracer', ['symbolic', 'transforms']),
  // On a software adapter compiling their many pipelines takes half a minute and more each.
  ...(isFull ? files('operations', ['modes', 'narrow']) : []),
  ...(isFull ? [...files('tracer', ['memory-budget']), ...files('end-to-end', ['attention'])] : []),
];

/** A full run tries hundreds of times as many cases. */
const testTimeout = isFull ? 3_600_000 : 60_000;

/** What one run compiles, the next one compiles again. Tests of the cache turn it on, each in a folder of its own. */
const env = { KILN_CACHE: 'off' };

const common = { setupFiles: ['test/setup.ts'], testTimeout, hookTimeout: 60_000, env };

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
          exclude: [...alone, ...onlyWebgpu],
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
          include: files('end-to-end', ['ops', 'random-graphs', 'models']),
          setupFiles: ['test/setup.ts', 'test/share-all.ts'],
          env: { ...env, KILN_THREADS: '3' },
          isolate: false,
        },
      },
      {
        test: {
          ...common,
          name: 'webgpu',
          // A software adapter takes its time over pipelines.
          testTimeout: 3 * testTimeout,
          include: [...onlyWebgpu, ...alsoWebgpu],
          globalSetup: ['test/webgpu-adapter.ts'],
          // What the adapter needs is added by the global setup.
          env: { ...env, KILN_DEVICE: 'webgpu' },
          setupFiles: ['test/setup.ts', 'test/on-webgpu.ts'],
          isolate: false,
        },
      },
    ],
  },
});
