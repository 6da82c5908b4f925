/**
 * The wasm device with all its parts, as a kind of the session (`runtime/session.ts`): importing this makes it known, so
 * that it is made when it is first asked for, without waiting.
 */
import { planArena } from '../../base/arena.ts';
import { registerDevice } from '../session.ts';
import { WasmDevice } from './device.ts';
import { wasmFeatures } from './features.ts';
import { provideParts } from './parts.ts';
import { forgetWanted, wantedThreads } from './register.ts';
import * as relaxedSimd from './relaxed-simd.ts';
import * as sharing from './sharing.ts';
import { resolveThreads } from './threads.ts';
import { tryPrograms } from './trial.ts';

provideParts({ sharing, relaxedSimd, planArena, tryPrograms });

registerDevice('wasm', {
  make: () => new WasmDevice({ threads: resolveThreads(wantedThreads()), ...wasmFeatures() }),
  forget: forgetWanted,
});
