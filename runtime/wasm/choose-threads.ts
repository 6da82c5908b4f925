/** On how many threads the wasm device of the session runs kernels. */
import { KilnError } from '../../base/error.ts';
import { here } from '../../base/here.ts';
import { endDevice, madeDevice } from '../session.ts';
import { wantDevice } from './register.ts';
import { assertThreads, resolveThreads } from './threads.ts';

/**
 * Says how many threads devices run kernels on. A device that runs on another number starts anew, which it can where it
 * holds no arrays.
 * @param caller the function of ours that was called, for messages
 * @throws KilnError `invalid_argument` for what is no number of threads, and while a device holds arrays; then nothing
 *   has changed
 */
export function chooseThreads(threads: number, caller = 'init'): void {
  assertThreads(threads, `${caller}: threads`, here());
  const device = madeDevice('wasm');
  if (device && device.threads !== resolveThreads(threads)) {
    const { tensors } = device.memory();
    if (tensors > 0) {
      throw new KilnError(
        'invalid_argument',
        `${caller}: the number of threads can not change while tensors are alive`,
        {
          given: `${threads}, while ${tensors} tensors are on a device that runs on ${device.threads}`,
          hint: `call ${caller} before tensors are made, or shutdown() first, which releases them`,
          location: here(),
        },
      );
    }
    endDevice('wasm');
  }
  wantDevice({ threads });
}
