/** Reads one of the environment's flags (`flags.ts`): all that a page needs of them, where each is unset. */
import type { FlagName } from './flags.ts';

/** The text of a flag, `undefined` when unset or empty. Read anew each time. */
export function flag(name: FlagName): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.[name] || undefined;
}
