/**
 * The wasm device with all its parts, as a kind of the session (`runtime/session.ts`): importing this makes it known, so
 * that it is made when it is first asked for, without waiting.
 */
import { planArena } from '../../base/arena.ts';
import { KilnError } from '../../base/error.ts';
import { SourceLocation } from '../../base/location.ts';
import { endDevice, madeDevice, registerDevice } from '../session.ts';
import { WasmDevice } from './device.ts';
import { wasmFeatures } from './features.ts';
import { provideParts } from './parts.ts';
import * as relaxedSimd from './relaxed-simd.ts';
import * as sharing from './sharing.ts';
import { assertThreads, resolveThreads } from './threads.ts';
import { tryPrograms } from './trial.ts';

provideParts({ sharing, relaxedSimd, planArena, tryPrograms });

/** What `chooseThreads` said. */
let threads: number | undefined;

registerDevice('wasm', {
  make: () => new WasmDevice({ threads: resolveThreads(threads), ...wasmFeatures() }),
  forget: () => {
    threads = undefined;
  },
});

/**
 * Says how many threads devices run kernels on. A device that runs on another number starts anew, which it can where it
 * holds no arrays.
 * @throws KilnError `invalid_argument` for what is no number of threads, and while a device holds arrays; then nothing
 *   has changed
 */
export function chooseThreads(wanted: number): void {
  assertThreads(wanted, 'init: threads', SourceLocation.capture());
  const device = madeDevice('wasm');
  if (device && device.threads !== resolveThreads(wanted)) {
    const { tensors } = device.memory();
    if (tensors > 0) {
      throw new KilnError('invalid_argument', 'init: the number of threads can not change while tensors are alive', {
        given: `${wanted}, while ${tensors} tensors are on a device that runs on ${device.threads}`,
        hint: 'call init before tensors are made, or shutdown() first, which releases them',
        location: SourceLocation.capture(),
      });
    }
    endDevice('wasm');
  }
  threads = wanted;
}
