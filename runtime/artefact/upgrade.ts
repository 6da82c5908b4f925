/**
 * Programs that earlier releases have written, as this one runs them. An artefact of a major format loads in every later
 * release of it: whoever changes what a program is counts `programVersion` up, and writes here how a program of the
 * version before becomes one of the new one. A change that can not be written so is a new major format.
 *
 *     { version: 4, … }  →  upgrades.get(4)  →  { version: 5, … }  →  …
 *
 * A program comes here put together, with its kernels and constants, and before anybody has looked at it: an upgrade
 * takes whatever it is given, changes what it knows, and leaves the rest to `validateProgram`.
 */
import { KilnError } from '../../base/error.ts';
import type { Fields } from '../checks.ts';
import { programVersion } from '../program.ts';

export type Upgrade = (program: Fields) => Fields;

/** By version, how a program of it becomes one of the next. Version 4 is the first that artefacts of format 1 hold. */
const upgrades: ReadonlyMap<unknown, Upgrade> = new Map();

/**
 * @param table for tests
 * @throws KilnError `unsupported_version`
 */
export function upgradeProgram(program: Fields, table = upgrades, newest: number = programVersion): Fields {
  let { version } = program;
  let upgraded = program;
  for (; version !== newest; version = Number(version) + 1) {
    const upgrade = table.get(version);
    if (!upgrade) throw unsupported(version, newest);
    upgraded = { ...upgrade(upgraded), version: Number(version) + 1 };
  }
  return upgraded;
}

function unsupported(version: unknown, newest: number): KilnError {
  const isNewer = typeof version === 'number' && version > newest;
  return new KilnError(
    'unsupported_version',
    `the artefact's programs are of ${isNewer ? 'a newer' : 'another'} version`,
    {
      given: typeof version === 'number' ? `version ${version}` : 'no version',
      expected: `version ${newest}, or an earlier one of the same format`,
      hint: isNewer ? 'update kilnjs where it is loaded' : 'bake it again with this version',
    },
  );
}
