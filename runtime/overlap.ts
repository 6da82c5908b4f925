/**
 * Whether temporaries that a program has placed keep out of each other's way. Their places come from a file, so the
 * work is bounded: a sweep over the steps keeps those that are alive in the order of their offsets, where only
 * neighbours can overlap.
 *
 *     step 0   a [0, 64)
 *     step 1   a [0, 64), b [64, 128)
 *     step 2   c [32, 96) overlaps b
 */

export interface PlacedTemporary {
  readonly offset: number;
  readonly bytes: number;
  /** First and last step that touches it. */
  readonly first: number;
  readonly last: number;
}

/** A temporary that lies on another one while both are alive, by its number; undefined where there is none. */
export function overlappingTemporary(temporaries: readonly PlacedTemporary[]): number | undefined {
  const taken = temporaries.filter(({ bytes }) => bytes > 0);
  const byFirst = [...taken].sort((a, b) => a.first - b.first);
  const byLast = [...taken].sort((a, b) => a.last - b.last);
  const alive: PlacedTemporary[] = [];
  let ended = 0;
  for (const temporary of byFirst) {
    for (; byLast[ended].last < temporary.first; ended++) alive.splice(placeOf(alive, byLast[ended].offset), 1);
    const at = placeOf(alive, temporary.offset);
    const [before, after] = [alive.at(at - 1), alive.at(at)];
    if (at > 0 && before && before.offset + before.bytes > temporary.offset) return temporaries.indexOf(temporary);
    if (after && temporary.offset + temporary.bytes > after.offset) return temporaries.indexOf(temporary);
    alive.splice(at, 0, temporary);
  }
  return undefined;
}

/** How many of those in order begin in front of an offset. */
function placeOf(alive: readonly PlacedTemporary[], offset: number): number {
  let [low, high] = [0, alive.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (alive[middle].offset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
