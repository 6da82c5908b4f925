/**
 * The session: which device and precision hold where nothing else is said, what memory is in use, and its end. Nothing
 * of this is needed before first use, but on webgpu.
 *
 *     await init({ precision: 'strict' });
 *     memory()                             // { tensors: 2, bytes: 4096, peakBytes: 8192, … }
 *     const y = tidy(() => f(x));          // what f made on the way is released
 */
import { KilnError } from '../base/error.ts';
import { SourceLocation } from '../base/location.ts';
import { type CacheOptions, configureCache } from '../runtime/cache/current.ts';
import type { MemoryStatistics } from '../runtime/device.ts';
import { scoped } from '../runtime/scope.ts';
import {
  assertDevice,
  bestDevice,
  chooseDevice,
  currentDevice,
  currentDeviceName,
  memory as deviceMemory,
  deviceNames,
  openDevice,
  shutdown as shutdownDevices,
} from '../runtime/session.ts';
import { chooseThreads } from '../runtime/wasm/choose-threads.ts';
import { endWorker } from './compiler-client.ts';
import { currentTrace } from './graph-trace.ts';
import { describe } from './outputs.ts';
import { tree } from './pytree.ts';
import { openCache } from './session-cache.ts';
import { type Precision, setDefaultPrecision } from './settings.ts';
import { Tensor } from './tensor.ts';

export interface InitOptions {
  /**
   * Name of a device, or `'auto'` for the best one here: `'webgpu'` where there is a GPU (an adapter that computes in
   * software is not taken unless it is named), else `'wasm'`.
   */
  readonly device?: string;
  /**
   * Threads that kernels run on, the calling one among them: as many as there are cores, unless given here or by
   * KILN_THREADS. On a page that is not cross-origin isolated it is 1. Results are the same for any number in
   * `'strict'`.
   */
  readonly threads?: number;
  /** Precision of eager operations, and of `compile` without the option; `'fast'` unless given. */
  readonly precision?: Precision;
  /**
   * Where compiled programs are kept for other processes, and how many bytes of them at most: in files in Node, in
   * IndexedDB in a browser, 512 MB unless given. `false` keeps nothing and takes nothing, until `init({ cache: true })`
   * or `shutdown()`. KILN_CACHE=off does so whatever is given here.
   */
  readonly cache?: boolean | CacheOptions;
}

const known = ['device', 'threads', 'precision', 'cache'];

/**
 * Chooses for the session and starts its device. Needed before first use on `'webgpu'`, whose adapter must be asked for,
 * and after that device was lost; nowhere else. Another number of threads starts the wasm device anew, which is refused
 * while it holds tensors.
 * @throws KilnError (as a rejection) `invalid_argument`, `unknown_device`, `no_adapter`; then the device is as before
 */
export async function init(options: InitOptions = {}): Promise<void> {
  const refuse = (given: string, expected: string): never => {
    throw new KilnError('invalid_argument', 'init: an option is not right', {
      given,
      expected,
      location: SourceLocation.capture(),
    });
  };
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) refuse(`option ${key}`, known.join(', '));
  }
  const { device, threads, precision, cache } = options;
  if (precision !== undefined && precision !== 'fast' && precision !== 'strict') {
    refuse(`precision: ${describe(precision)}`, "'fast' or 'strict'");
  }
  if (cache !== undefined && typeof cache !== 'boolean' && (typeof cache !== 'object' || cache === null)) {
    refuse(`cache: ${describe(cache)}`, 'true, false or { directory, maxBytes }');
  }
  if (device !== undefined && device !== 'auto') assertDevice(device);
  if (cache !== undefined) chooseCache(cache);
  if (threads !== undefined) chooseThreads(threads);
  openCache();
  const name = device === 'auto' ? await bestDevice() : (device ?? currentDeviceName());
  await openDevice(name);
  if (device !== undefined) chooseDevice(name);
  setDefaultPrecision(precision ?? 'fast');
}

/** @throws KilnError `invalid_argument` */
function chooseCache(cache: boolean | CacheOptions): void {
  try {
    configureCache(cache === true ? undefined : cache);
  } catch (error) {
    throw error instanceof KilnError ? error.at(SourceLocation.capture()) : error;
  }
}

/** Names of the devices that can exist here; whether there is an adapter for `'webgpu'`, `init` finds out. */
export const devices = (): string[] => deviceNames();

/** Sends new tensors to the device of that name. @throws KilnError `unknown_device`, also for one that `init` must open */
export const setDevice = (name: string): void => chooseDevice(name);

/** Tensors and bytes in use on all devices. */
export const memory = (): MemoryStatistics => deviceMemory();

/** Starts a new measurement of `memory().peakBytes` on the session's device, from what is in use now. */
export const resetPeakMemory = (): void => currentDevice().resetPeak();

/**
 * Ends the session: every tensor is released, and using one afterwards is an error (`shut_down`). Compiled programs
 * stay known; the next use starts a new session with the defaults.
 */
export async function shutdown(): Promise<void> {
  endWorker();
  shutdownDevices();
  setDefaultPrecision('fast');
  configureCache(undefined);
}

/**
 * Runs `body` and releases every tensor that was made meanwhile and is not in what it returns. Inside a traced function
 * there is nothing to release, and it only runs `body`.
 * @param body a synchronous function; it returns a pytree, or anything without tensors
 * @throws KilnError `async_function` when it returns a promise
 */
export function tidy<T>(body: () => T): T {
  if (currentTrace()) return body();
  return scoped(body, tensorsIn);
}

/** Tensors in a result; a result that is no pytree holds none that can be found. */
function tensorsIn(result: unknown): Tensor[] {
  if (typeof result !== 'object' || result === null) return [];
  return (tree.leaves(result) as readonly unknown[]).filter((leaf) => leaf instanceof Tensor);
}
