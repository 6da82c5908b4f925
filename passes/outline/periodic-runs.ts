/**
 * Where a sequence repeats itself: stretches in which every element equals the one `period` places before.
 *
 *     periodicRuns([9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 8], ...)      // [{ start: 1, end: 11, period: 3 }]
 *
 * Runs of a few elements are hashed; the distance from each to its last occurrence is a candidate for a period, tried
 * where it holds for longest first. A candidate costs the length of its run, and the sum of that is bounded.
 */

export interface PeriodicRun {
  readonly start: number;
  readonly end: number;
  readonly period: number;
}

export interface RunLimits {
  readonly leastPeriod: number;
  readonly leastRepeats: number;
}

/** Elements that are hashed together, at most; runs of shorter periods are hashed whole. */
const widestWindow = 8;
/** Comparisons for each element of the sequence, at most. */
const mostComparisons = 64;

/** Runs that do not overlap, in order; those that repeat the most elements win. */
export function periodicRuns(sequence: Int32Array, limits: RunLimits): PeriodicRun[] {
  const candidates: PeriodicRun[] = [];
  const tried = new Map<number, PeriodicRun[]>();
  let comparisons = mostComparisons * sequence.length;
  const window = Math.min(widestWindow, limits.leastPeriod);
  for (const { at, distance } of repeatedDistances(sequence, window)) {
    if (distance < limits.leastPeriod) continue;
    const before = tried.get(distance) ?? [];
    if (before.some(({ start, end }) => start <= at && at < end)) continue;
    const run = extend(sequence, at, distance);
    comparisons -= run.end - run.start;
    tried.set(distance, [...before, run]);
    if (repeatsOf(run) >= limits.leastRepeats) candidates.push(run);
    if (comparisons < 0) break;
  }
  return withoutOverlaps(candidates, sequence.length, limits);
}

export const repeatsOf = ({ start, end, period }: PeriodicRun): number => Math.floor((end - start) / period);

const savedBy = (run: PeriodicRun): number => (repeatsOf(run) - 1) * run.period;

/** Distances to the last equal window, longest stretch of one distance first. */
function repeatedDistances(sequence: Int32Array, window: number): { readonly at: number; readonly distance: number }[] {
  const last = new Map<number, number>();
  const stretches: { at: number; distance: number; length: number }[] = [];
  for (let at = 0; at + window <= sequence.length; at++) {
    const hash = hashOf(sequence, at, window);
    const before = last.get(hash);
    last.set(hash, at);
    if (before === undefined) continue;
    const current = stretches[stretches.length - 1];
    if (current && current.distance === at - before && current.at + current.length === at) current.length++;
    else stretches.push({ at, distance: at - before, length: 1 });
  }
  return stretches.sort((a, b) => b.length - a.length || a.at - b.at);
}

/** Collisions do no harm: a candidate is compared element by element. */
function hashOf(sequence: Int32Array, from: number, window: number): number {
  let hash = 0;
  for (let at = from; at < from + window; at++) hash = (Math.imul(hash, 0x01000193) ^ sequence[at]) >>> 0;
  return hash;
}

function extend(sequence: Int32Array, at: number, period: number): PeriodicRun {
  let [first, end] = [at, at];
  while (first - period > 0 && sequence[first - 1] === sequence[first - 1 - period]) first--;
  while (end < sequence.length && sequence[end] === sequence[end - period]) end++;
  return { start: first - period, end, period };
}

function withoutOverlaps(candidates: PeriodicRun[], length: number, limits: RunLimits): PeriodicRun[] {
  candidates.sort((a, b) => savedBy(b) - savedBy(a) || a.start - b.start);
  const taken = new Uint8Array(length);
  const chosen: PeriodicRun[] = [];
  for (const candidate of candidates) {
    const run = longestFree(candidate, taken);
    if (repeatsOf(run) < limits.leastRepeats) continue;
    taken.fill(1, run.start, run.end);
    chosen.push(run);
  }
  return chosen.sort((a, b) => a.start - b.start);
}

function longestFree({ start, end, period }: PeriodicRun, taken: Uint8Array): PeriodicRun {
  let best = { start, end: start, period };
  for (let from = start; from < end; from++) {
    let to = from;
    while (to < end && !taken[to]) to++;
    if (to - from > best.end - best.start) best = { start: from, end: to, period };
    from = to;
  }
  return best;
}
