/**
 * The wasm device as a kind of the session (`runtime/session.ts`), for pages that run baked programs: it is on one thread
 * unless something else is asked for, and has those parts that were loaded (`parts.ts`).
 */
import { registerDevice } from '../session.ts';
import { WasmDevice, type WasmDeviceOptions } from './device.ts';

let wanted: WasmDeviceOptions = {};

registerDevice('wasm', {
  make: () => new WasmDevice(wanted),
  forget: () => {
    wanted = {};
  },
});

/** What the next device is made with. */
export function wantDevice(options: WasmDeviceOptions): void {
  wanted = options;
}
