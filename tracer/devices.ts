/**
 * The devices of this session, made when they are first asked for, and which of them new tensors go to. Nothing is
 * touched on import.
 *
 *     currentDevice().upload('float32', [2], bytes)
 */
import { KilnError } from '../base/error.ts';
import { flag } from '../base/flags.ts';
import { SourceLocation } from '../base/location.ts';
import type { Device } from '../runtime/device.ts';
import { WasmDevice } from '../runtime/wasm/device.ts';

const makers: Readonly<Record<string, () => Device>> = {
  wasm: () => new WasmDevice(),
};

const made = new Map<string, Device>();
let chosen: string | undefined;
let isEnded = false;

/** Names of the devices that exist here. */
export const deviceNames = (): string[] => Object.keys(makers);

/** @throws KilnError `unknown_device` */
export function assertDevice(name: string): void {
  if (Object.hasOwn(makers, name)) return;
  throw new KilnError('unknown_device', `there is no device '${name}' here`, {
    given: `'${name}'`,
    expected: deviceNames()
      .map((known) => `'${known}'`)
      .join(' or '),
    location: SourceLocation.capture(),
  });
}

/** The device of that name, or the session's. @throws KilnError `unknown_device`, `shut_down` */
export function deviceNamed(name: string | undefined): Device {
  if (isEnded) {
    throw new KilnError('shut_down', 'the session was shut down', {
      hint: 'await init() starts a new one',
      location: SourceLocation.capture(),
    });
  }
  const wanted = name ?? currentDeviceName();
  const known = made.get(wanted);
  if (known) return known;
  assertDevice(wanted);
  const device = makers[wanted]();
  made.set(wanted, device);
  return device;
}

export const currentDevice = (): Device => deviceNamed(undefined);

export const currentDeviceName = (): string => chosen ?? flag('KILN_DEVICE') ?? 'wasm';

/** Sends new tensors to the device of that name. @throws KilnError `unknown_device` */
export function chooseDevice(name: string): void {
  assertDevice(name);
  chosen = name;
}

/** Every device that is in use. */
export const devicesInUse = (): readonly Device[] => [...made.values()];

/** Shuts every device down; nothing runs until `reopenDevices`. */
export function shutdownDevices(): void {
  isEnded = true;
  for (const device of made.values()) device.shutdown();
  made.clear();
}

export const reopenDevices = (): void => {
  isEnded = false;
};
