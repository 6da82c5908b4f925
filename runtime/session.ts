/**
 * The devices of this process, made when they are first asked for (webgpu must be opened, which takes waiting), and which
 * of them new arrays go to. Importing this touches nothing: no environment, no memory, no `navigator`; and it loads the
 * code of no device. What makes tensors at once imports `wasm/complete.ts` beside it.
 *
 *     currentDevice()                 // the wasm device, made now
 *     memory()                        // { tensors: 0, bytes: 0, peakBytes: 0, … }
 *     shutdown()                      // everything is released; the next use starts anew
 */
import { KilnError } from '../base/error.ts';
import { flag } from '../base/flag.ts';
import { here } from '../base/here.ts';
import { shutDownError } from './buffer.ts';
import type { Device, MemoryStatistics } from './device.ts';
import { partIfLoaded } from './parts.ts';
import type { AdapterOptions } from './webgpu/adapter.ts';
import type { WebgpuDevice } from './webgpu/device.ts';
import { mayHaveWebgpu } from './webgpu/presence.ts';

interface DeviceKind {
  /** Whether it is worth trying here. */
  readonly mayExist: () => boolean;
  /** Loads the code of one that is made without waiting; it registers itself. */
  readonly load?: () => Promise<unknown>;
  /** Makes one, after loading its code. @throws KilnError (as a rejection) `no_adapter` */
  readonly open?: () => Promise<Device>;
}

/** A kind whose code is loaded. */
export interface DeviceMaker {
  /** Makes one now. */
  readonly make: () => Device;
  /** Forgets what was chosen: the session has ended. */
  readonly forget: () => void;
}

const kinds: Readonly<Record<string, DeviceKind>> = {
  wasm: { mayExist: () => true, load: () => import('./wasm/register.ts') },
  webgpu: { mayExist: mayHaveWebgpu, open: () => openWebgpu() },
};

/** Loads what WebGPU needs, too: who computes on WASM never does. */
const openWebgpu = async (options?: AdapterOptions): Promise<WebgpuDevice> =>
  (await import('./webgpu/device.ts')).openWebgpu(options);

/** Of the kinds that can be made without waiting. */
const makers = new Map<string, DeviceMaker>();
const made = new Map<string, Device>();
let chosen: string | undefined;
let preferred: string | undefined;
let stopDebugging: (() => void) | undefined;
/** How many sessions have ended: what was being opened then must not outlive them. */
let shutdowns = 0;

/** Devices that are being opened. */
const opening = new Map<string, Promise<Device>>();

/** Makes a kind of device known whose code is loaded: from now on one is made when it is first asked for. */
export const registerDevice = (name: string, maker: DeviceMaker): void => void makers.set(name, maker);

/** Names of the devices that can exist here. */
export const deviceNames = (): string[] => Object.keys(kinds).filter((name) => kinds[name].mayExist());

/** @throws KilnError `unknown_device` */
export function assertDevice(name: string): void {
  if (deviceNames().includes(name)) return;
  throw new KilnError('unknown_device', `there is no device '${name}' here`, {
    given: `'${name}'`,
    expected: deviceNames()
      .map((known) => `'${known}'`)
      .join(' or '),
    location: here(),
  });
}

/** The device that was chosen, by name: what `chooseDevice` said, else KILN_DEVICE, else the one that is preferred. */
export const chosenDeviceName = (): string | undefined => chosen ?? flag('KILN_DEVICE') ?? preferred;

/** The device that new arrays go to, by name: the one that was chosen, else wasm. */
export const currentDeviceName = (): string => chosenDeviceName() ?? 'wasm';

/** Sends new arrays to a device where nobody has chosen one: the first time counts. */
export const preferDevice = (name: string): void => {
  preferred ??= name;
};

/**
 * The device of a name, made if need be.
 * @throws KilnError `unknown_device`, also for one that must be opened first; `out_of_memory`
 */
export function deviceNamed(name: string = currentDeviceName()): Device {
  const known = made.get(name);
  if (known) return known;
  assertDevice(name);
  const maker = makers.get(name);
  if (!maker) throw notOpen(name);
  return register(name, maker.make());
}

/**
 * The device of a name, opened if need be, and opened anew where it was lost.
 * @throws KilnError (as a rejection) `unknown_device`, `no_adapter`, `out_of_memory`
 */
export async function openDevice(name: string): Promise<Device> {
  assertDevice(name);
  const { load, open } = kinds[name];
  if (open) return openOnce(name, open);
  if (!makers.has(name)) await load?.();
  return deviceNamed(name);
}

/**
 * The name of the best device here: webgpu on a GPU, else wasm. A software adapter is slower than wasm. Opens the device.
 */
export async function bestDevice(): Promise<string> {
  if (!kinds.webgpu.mayExist()) return 'wasm';
  try {
    const device = await openOnce('webgpu', () => openWebgpu({ hardwareOnly: true }));
    return (device as WebgpuDevice).info.isFallbackAdapter ? 'wasm' : 'webgpu';
  } catch (error) {
    if (error instanceof KilnError && error.code === 'no_adapter') return 'wasm';
    throw error;
  }
}

/** The device of a name that is there or on its way, else the one that `open` makes. */
async function openOnce(name: string, open: () => Promise<Device>): Promise<Device> {
  const known = made.get(name);
  if (known && !known.end) return known;
  let device = opening.get(name);
  if (!device) {
    const session = shutdowns;
    device = open()
      .then((opened) => {
        if (session === shutdowns) return register(name, opened);
        opened.shutdown();
        throw shutDownError(name);
      })
      .finally(() => {
        if (opening.get(name) === device) opening.delete(name);
      });
    opening.set(name, device);
  }
  return device;
}

/** The device that new arrays go to. @throws KilnError `unknown_device` when KILN_DEVICE names none */
export const currentDevice = (): Device => deviceNamed();

/** Sends new arrays to a device. @throws KilnError `unknown_device`; then the choice is as before */
export function chooseDevice(name: string): void {
  assertDevice(name);
  if (!makers.has(name) && !made.has(name)) throw notOpen(name);
  chosen = name;
}

function register(name: string, device: Device): Device {
  made.set(name, device);
  stopDebugging ??= partIfLoaded('debugging')?.printLaunches();
  return device;
}

const notOpen = (name: string): KilnError =>
  new KilnError('unknown_device', `the ${name} device is not open`, {
    expected: 'a device that init or load has opened: asking for an adapter, or for its code, takes a while',
    hint: `await init({ device: '${name}' }) before the first use${
      flag('KILN_DEVICE') === name ? `; with KILN_DEVICE=${name}, await init() does` : ''
    }`,
    location: here(),
  });

/** The device of a name, if there is one. */
export const madeDevice = (name: string): Device | undefined => made.get(name);

/** Ends a device that holds no arrays; the next use makes another. */
export function endDevice(name: string): void {
  made.get(name)?.shutdown();
  made.delete(name);
}

/** The devices that have been used. */
export const devicesInUse = (): readonly Device[] => [...made.values()];

/** What all devices hold together. Makes none. */
export function memory(): MemoryStatistics {
  const sum = { tensors: 0, bytes: 0, peakBytes: 0, programBytes: 0, reservedBytes: 0 };
  for (const device of made.values()) {
    const held = device.memory();
    for (const key of Object.keys(sum) as (keyof MemoryStatistics)[]) sum[key] += held[key];
  }
  return sum;
}

/**
 * Releases every device and forgets what was chosen. Arrays that were made before say `shut_down` when they are used;
 * the next use of a device starts a new one.
 */
export function shutdown(): void {
  shutdowns += 1;
  for (const device of made.values()) device.shutdown();
  made.clear();
  opening.clear();
  chosen = undefined;
  preferred = undefined;
  for (const { forget } of makers.values()) forget();
  stopDebugging?.();
  stopDebugging = undefined;
}
