/**
 * The wasm device as a kind of the session (`runtime/session.ts`), on as many threads as there are cores: importing this
 * makes it known, so that it is made when it is first asked for, without waiting.
 */
import { registerDevice } from '../session.ts';
import { WasmDevice } from './device.ts';
import { wasmFeatures } from './features.ts';
import { forgetWanted, wantedThreads } from './register.ts';
import { resolveThreads } from './threads.ts';

registerDevice('wasm', {
  make: () => new WasmDevice({ threads: resolveThreads(wantedThreads()), ...wasmFeatures() }),
  forget: forgetWanted,
});
