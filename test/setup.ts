/**
 * Loads the compiler into the test's thread beforehand, so that synchronous reads need no worker. The rooms below the
 * tracer do not read tensors, and start faster without it.
 */
import { expect } from 'vitest';

const isBelowTracer = /\/test\/(?:base|ir|passes|codegen|runtime)\//.test(expect.getState().testPath ?? '');
if (!isBelowTracer) await (await import('../tracer/compiler-client.ts')).loadCompiler();
