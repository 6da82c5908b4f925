/**
 * A run's figures as data: `docs/peers.json`. A run of some rows or some runtimes puts its figures in the place of
 * older ones of the same rows and runtimes and leaves all others.
 */
import type { Contestant, Figures } from './schedule.ts';

export interface PeerFigures {
  /** What they were measured on. */
  readonly machine: string;
  /** Names of the runtimes with their versions, by peer. */
  readonly versions: Readonly<Record<string, string>>;
  readonly figures: readonly Figures[];
  /** Rows that a runtime has not, and why. */
  readonly blanks: readonly (Contestant & { readonly row: string; readonly absent: string })[];
}

type Entry = Contestant & { readonly row: string };

const keyOf = ({ row, peer, threads, simd, mode }: Entry): string => [row, peer, threads, simd ?? '', mode].join('|');

/** Old entries that no new one replaces, and the new ones, in the order of rows. */
function merge<T extends Entry>(
  old: readonly T[],
  fresh: readonly T[],
  replaced: ReadonlySet<string>,
  order: readonly string[],
): T[] {
  const kept = old.filter((entry) => !replaced.has(keyOf(entry)) && order.includes(entry.row));
  return [...kept, ...fresh].sort((a, b) => {
    const [first, second] = [order.indexOf(a.row), order.indexOf(b.row)];
    return first - second || (keyOf(a) < keyOf(b) ? -1 : 1);
  });
}

/** @param order names of all rows there are */
export function mergeFigures(old: PeerFigures | undefined, fresh: PeerFigures, order: readonly string[]): PeerFigures {
  const before = old?.machine === fresh.machine ? old : undefined;
  const replaced = new Set([...fresh.figures, ...fresh.blanks].map(keyOf));
  return {
    machine: fresh.machine,
    versions: { ...before?.versions, ...fresh.versions },
    figures: merge(before?.figures ?? [], fresh.figures, replaced, order),
    blanks: merge(before?.blanks ?? [], fresh.blanks, replaced, order),
  };
}
