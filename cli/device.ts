/** The device that a command runs on: what `--device` or KILN_DEVICE say, made before the user's module is loaded. */
import { flag } from '../base/flags.ts';
import { init } from '../index.ts';

/** @throws KilnError (as a rejection) `unknown_device`, `no_adapter` */
export async function startDevice(name: string | undefined): Promise<void> {
  const device = name ?? flag('KILN_DEVICE');
  if (device !== undefined) await init({ device });
}
