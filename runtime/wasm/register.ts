/**
 * The wasm device as a kind of the session (`runtime/session.ts`), for pages that run baked programs: it is on one thread
 * unless something else is asked for, and has those parts that were loaded (`parts.ts`). Where one compiles, `complete.ts`
 * takes its place.
 */
import { provideParts } from '../parts.ts';
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

/** Loads parts of the device (`runtime/parts.ts`), where they are not at hand. */
export async function loadParts(
  wanted: {
    readonly [Name in 'sharing' | 'relaxedSimd' | 'planArena']?: boolean;
  },
): Promise<void> {
  const [sharing, relaxedSimd, arena] = await Promise.all([
    wanted.sharing && import('./sharing.ts'),
    wanted.relaxedSimd && import('./relaxed-simd.ts'),
    wanted.planArena && import('../../base/arena.ts'),
  ]);
  if (sharing) provideParts({ sharing });
  if (relaxedSimd) provideParts({ relaxedSimd });
  if (arena) provideParts({ planArena: arena.planArena });
}

/** Kernels and the driver as compiled code, for engines that compile nothing at run time. */
export { provideDriver } from './driver.ts';
export { provideModules } from './kernels.ts';
