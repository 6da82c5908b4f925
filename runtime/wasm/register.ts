/**
 * The wasm device as a kind of the session (`runtime/session.ts`), for pages that run baked programs: it is on one thread
 * unless something else is asked for, and has those parts that were loaded (`parts.ts`). Where one compiles, `complete.ts`
 * takes its place.
 */
import { registerDevice } from '../session.ts';
import { WasmDevice, type WasmDeviceOptions } from './device.ts';

let wanted: WasmDeviceOptions = {};

export const forgetWanted = (): void => {
  wanted = {};
};

registerDevice('wasm', { make: () => new WasmDevice(wanted), forget: forgetWanted });

/** What the next device is made with. */
export function wantDevice(options: WasmDeviceOptions): void {
  wanted = options;
}

/** How many threads the next device has, where somebody has said so. */
export const wantedThreads = (): number | undefined => wanted.threads;
