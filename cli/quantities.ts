/** Sizes and ages, as people write and read them: `100MB`, `30d`, `3 h`. */
import { KilnError } from '../index.ts';

const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

const ageUnits: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** @throws KilnError `cli_usage` */
export function parseSize(text: string): number {
  return parseQuantity(text, sizeUnits, 'a size such as 100MB, 1.5GiB or 65536');
}

/** Milliseconds. @throws KilnError `cli_usage` */
export function parseAge(text: string): number {
  return 1000 * parseQuantity(text, ageUnits, 'an age such as 30d, 12h, 45m or 90s');
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>, expected: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = digits === undefined ? undefined : units[unit.toLowerCase()];
  if (factor === undefined || !Object.hasOwn(units, unit.toLowerCase())) {
    throw new KilnError('cli_usage', `'${text}' is not understood`, { given: text, expected });
  }
  return Number(digits) * factor;
}

/** `just now`, `5 min`, `3 h`, `12 days`. */
export function formatAge(milliseconds: number): string {
  const minutes = milliseconds / 60_000;
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${Math.floor(minutes)} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h`;
  return `${Math.floor(minutes / 1440)} days`;
}
