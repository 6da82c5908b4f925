/** Loads the compiler into the test's thread beforehand, so that synchronous reads need no worker. */
import { loadCompiler } from '../tracer/compiler-client.ts';

await loadCompiler();
