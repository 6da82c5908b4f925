/**
 * The search for the fastest of several schedules, within a budget of time. Candidates take turns, so that what else
 * the machine does hits all of them; the fastest of each one's runs counts; those that are far behind leave early. The
 * first candidate is the one taken without measuring, and stays unless another is clearly faster.
 *
 *     searchSchedules(['4x8', '5x8'], { run, now, budgetMs: 200 })
 *     // { winner: '5x8', tried: [{ schedule: '4x8', ms: 1.2 }, { schedule: '5x8', ms: 1.0 }], ms: 87 }
 */

/** A candidate that was run, and the milliseconds of its fastest run. */
export interface TriedSchedule {
  readonly schedule: string;
  readonly ms: number;
}

export interface SearchResult {
  readonly winner: string;
  readonly tried: readonly TriedSchedule[];
  /** Milliseconds of the search. */
  readonly ms: number;
}

export interface SearchOptions {
  /** Runs a candidate so many times. */
  run(candidate: number, times: number): void;
  /** A clock in milliseconds. */
  now(): number;
  readonly budgetMs: number;
}

/** A winner must be faster than the first candidate by this part of its time. */
const leastGain = 0.03;
/** What a candidate should take in its turn, so that the clock's steps do not matter. */
const turnMs = 2;
const mostRounds = 40;
/** Rounds after which candidates behind by so much leave: by then the engine has optimised their code. */
const roundsForAll = 6;
const farBehind = 1.25;

interface Entry {
  readonly candidate: number;
  times: number;
  fastest: number;
}

/** @param schedules names of the candidates, the one to keep where none is better first */
export function searchSchedules(schedules: readonly string[], { run, now, budgetMs }: SearchOptions): SearchResult {
  const start = now();
  const isOver = (): boolean => now() - start >= budgetMs;
  const entries: Entry[] = [];
  for (let candidate = 0; candidate < schedules.length && (candidate === 0 || !isOver()); candidate++) {
    entries.push({ candidate, times: 1, fastest: Infinity });
    turn(entries[candidate], { run, now });
  }
  let inRace = entries;
  for (let round = 1; round < mostRounds && inRace.length > 1 && !isOver(); round++) {
    if (round === roundsForAll) {
      const best = Math.min(...inRace.map(({ fastest }) => fastest));
      inRace = inRace.filter(({ candidate, fastest }) => candidate === 0 || fastest <= farBehind * best);
    }
    for (const entry of inRace) {
      if (isOver()) break;
      turn(entry, { run, now });
    }
  }
  const [first] = entries;
  const best = entries.reduce((fastest, entry) => (entry.fastest < fastest.fastest ? entry : fastest));
  const winner = best.fastest < (1 - leastGain) * first.fastest ? best : first;
  return {
    winner: schedules[winner.candidate],
    tried: entries.map(({ candidate, fastest }) => ({ schedule: schedules[candidate], ms: fastest })),
    ms: now() - start,
  };
}

/** Runs a candidate for a while, longer in each turn until that is enough for the clock. */
function turn(entry: Entry, { run, now }: Pick<SearchOptions, 'run' | 'now'>): void {
  const start = now();
  run(entry.candidate, entry.times);
  const each = (now() - start) / entry.times;
  entry.fastest = Math.min(entry.fastest, each);
  entry.times = Math.min(entry.times * 4, Math.max(1, Math.ceil(turnMs / Math.max(each, turnMs / 1000))));
}
