/** What goes wrong with a launch in the same way on every device. */
import { internalError, KilnError } from '../base/error.ts';
import type { DeviceBuffer } from './buffer.ts';
import { type Program, tierName } from './program.ts';

/** A kernel failed while its program ran. */
export const launchFailed = (program: string, kernel: string, step: number, cause: unknown): KilnError =>
  new KilnError('launch_failed', `${program}: kernel ${kernel} failed in step ${step}`, {
    given: cause instanceof Error ? cause.message : String(cause),
    hint: 'this is a fault of the compiled code; please report it together with the output of KILN_DUMP=dir',
    cause,
  });

/** A program whose code the device does not take. @param taken the tier that it takes */
export const otherTier = ({ name, tier }: Program, device: string, taken: string): KilnError =>
  new KilnError('invalid_program', `${name} was compiled for another kind of device`, {
    given: tierName(tier),
    expected: `${taken}, as the ${device} device here`,
    hint: 'compile it again for this device',
  });

/** The bytes of an input of a launch whose turn has come. */
export function inputStorage<Storage>({ storage }: DeviceBuffer<Storage>): Storage {
  if (storage === undefined) throw internalError('a launch reached its turn before its inputs');
  return storage;
}
