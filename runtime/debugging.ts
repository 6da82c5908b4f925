/** KILN_DEBUG=runtime: a line for each launch, and for each fault of a GPU. */
import { debug, isDebugging } from '../base/flags.ts';
import { observeLaunches } from './profile.ts';

/** Prints launches from now on, where that is asked for, until the function that is returned is called. */
export function printLaunches(): (() => void) | undefined {
  if (!isDebugging('runtime')) return undefined;
  return observeLaunches(({ device, program, step, kernel, milliseconds, bytes }) => {
    debug('runtime', `${device} ${program}[${step}] ${kernel}: ${milliseconds.toFixed(3)} ms, ${bytes} bytes bound`);
  });
}

/** Prints what is known only after commands were handed over. */
export function printFault(error: unknown): void {
  if (isDebugging('runtime')) debug('runtime', String(error));
}
