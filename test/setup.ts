/**
 * Before each test file: property tests draw the same samples in every run, unless `KILN_TEST_SEED` says otherwise;
 * kernels run on one thread, but for the tests that are about more and the project `threads` (`vitest.config.ts`); and
 * the compiler is loaded into the test's thread, so that synchronous reads need no worker. The rooms below the tracer
 * do not read tensors, and start faster without it.
 */
import fc from 'fast-check';
import { expect } from 'vitest';

fc.configureGlobal({ seed: Number(process.env.KILN_TEST_SEED ?? 20240607) });

process.env.KILN_THREADS ??= '1';

const isBelowTracer = /\/test\/(?:base|ir|passes|codegen|runtime)\//.test(expect.getState().testPath ?? '');
if (!isBelowTracer) await (await import('../tracer/compiler-client.ts')).loadCompiler();
