/**
 * Where temporaries lie. A GPUBuffer that one dispatch binds to write must not be bound to read by the same dispatch,
 * whatever the ranges. So temporaries share not one arena but several: two of them that a launch reads and writes get
 * arenas of different colours.
 *
 *     launch 0 writes t0, launch 1 reads t0 and writes t1, launch 2 reads t1 and writes t2
 *     →  t0 and t2 in arena 0 (at the same offset), t1 in arena 1
 *
 * Colours are given greedily, each temporary the one whose arena it makes grow least; within a colour, offsets are those
 * of `base/arena.ts`. Two orders are tried, as there, and the one whose arenas are smaller is kept: together they are
 * mostly within some percent of what one arena for all would take.
 */
import { type ArenaInterval, type ArenaLayout, type ArenaPlan, planArena, reservedBytes } from '../../base/arena.ts';
import type { Size, WebgpuProgram } from '../program.ts';
import { bindingAlignment, bindingBytes } from './constants.ts';

export interface TemporaryPlace {
  readonly arena: number;
  readonly offset: number;
}

export interface ArenasPlan {
  /** One for each temporary. */
  readonly places: readonly TemporaryPlace[];
  /** Bytes of each arena. */
  readonly arenas: readonly number[];
  /** Scratch memory of the launch that needs most. */
  readonly scratch: number;
}

const layout: ArenaLayout = { alignment: bindingAlignment, slack: 0 };

/** What a launch does to temporaries, by their numbers. */
interface LaunchUse {
  readonly reads: readonly number[];
  readonly writes: readonly number[];
}

/** Temporaries and what launches do to them. */
export interface TemporaryUse {
  readonly temporaries: readonly ArenaInterval[];
  readonly launches: readonly LaunchUse[];
}

type Places = Pick<ArenasPlan, 'places' | 'arenas'>;

/**
 * Plans the memory that lives only during a run.
 * @param most the most bytes of one arena; more temporaries of one colour are spread over several
 */
export function planArenas(
  program: WebgpuProgram,
  evaluate: (size: Size) => number,
  most = Number.POSITIVE_INFINITY,
): ArenasPlan {
  const { temporaries, kernels, steps } = program;
  const launches = steps.map(({ kernel, buffers }): LaunchUse => {
    const { access } = kernels[kernel];
    const bound = (way: string): number[] =>
      buffers.flatMap(({ kind, index }, at) => (kind === 'temporary' && access[at] === way ? [index] : []));
    return { reads: bound('read'), writes: bound('read_write') };
  });
  const intervals = temporaries.map(({ bytes, first, last }) => ({ bytes: evaluate(bytes), first, last }));
  const scratch = kernels.reduce((bytes, { scratchBytes }) => {
    return scratchBytes === 0 ? bytes : Math.max(bytes, bindingBytes(evaluate(scratchBytes)));
  }, 0);
  return { ...placeTemporaries({ temporaries: intervals, launches }, most), scratch };
}

/** Bytes that a temporary takes up in its arena. */
export const temporaryBytes = (bytes: number): number => reservedBytes(bindingBytes(bytes), layout);

/** Places temporaries in arenas, of which none is larger than `most` if that can be. */
export function placeTemporaries(use: TemporaryUse, most = Number.POSITIVE_INFINITY): Places {
  const intervals = use.temporaries.map((temporary) => ({ ...temporary, bytes: bindingBytes(temporary.bytes) }));
  const conflicts = conflictsOf(use);
  const plans = weights.map((weight) => placeColours(intervals, coloursOf(intervals, conflicts, weight), most));
  const [first, second] = plans.map(({ arenas }) => arenas.reduce((sum, bytes) => sum + bytes, 0));
  return second < first ? plans[1] : plans[0];
}

/** What is heaviest is given a colour first. */
type Weight = (interval: ArenaInterval) => number;
const weights: readonly Weight[] = [({ bytes, first, last }) => bytes * (last - first + 1), ({ bytes }) => bytes];

/** For each temporary those whose colour it must not have. */
function conflictsOf({ temporaries, launches }: TemporaryUse): readonly ReadonlySet<number>[] {
  const conflicts = temporaries.map(() => new Set<number>());
  for (const { reads, writes } of launches) {
    for (const read of reads) {
      if (writes.includes(read)) continue;
      for (const written of writes) {
        conflicts[read].add(written);
        conflicts[written].add(read);
      }
    }
  }
  return conflicts;
}

/** Temporaries by colour: no launch reads one and writes another of the same colour. */
function coloursOf(
  intervals: readonly ArenaInterval[],
  conflicts: readonly ReadonlySet<number>[],
  weight: Weight,
): readonly (readonly number[])[] {
  const order = intervals.map((_, at) => at);
  order.sort((a, b) => weight(intervals[b]) - weight(intervals[a]) || intervals[a].first - intervals[b].first || a - b);
  const steps = intervals.reduce((most, { last }) => Math.max(most, last + 1), 0);
  const colourOf = new Array<number>(intervals.length).fill(-1);
  const colours: Colour[] = [];
  for (const at of order) {
    const taken = new Set([...conflicts[at]].map((other) => colourOf[other]));
    let best = colours.length;
    let least = Number.POSITIVE_INFINITY;
    for (const [number, colour] of colours.entries()) {
      const growth = taken.has(number) ? Number.POSITIVE_INFINITY : colour.growthBy(intervals[at]);
      if (growth < least) [best, least] = [number, growth];
    }
    colours[best] ??= new Colour(steps);
    colours[best].add(at, intervals[at]);
    colourOf[at] = best;
  }
  return colours.map(({ members }) => members);
}

/** The temporaries of one arena, and how much of it they take at each step. */
class Colour {
  readonly members: number[] = [];
  readonly #alive: Float64Array;
  #peak = 0;

  constructor(steps: number) {
    this.#alive = new Float64Array(steps);
  }

  /** By how much the fullest step would become fuller. */
  growthBy({ bytes, first, last }: ArenaInterval): number {
    let most = 0;
    for (let step = first; step <= last; step++) most = Math.max(most, this.#alive[step]);
    return Math.max(0, most + reservedBytes(bytes, layout) - this.#peak);
  }

  add(at: number, { bytes, first, last }: ArenaInterval): void {
    this.members.push(at);
    for (let step = first; step <= last; step++) {
      this.#alive[step] += reservedBytes(bytes, layout);
      this.#peak = Math.max(this.#peak, this.#alive[step]);
    }
  }
}

/** Places each colour's temporaries in an arena of its own. The largest arenas come first: programs share them. */
function placeColours(
  intervals: readonly ArenaInterval[],
  colours: readonly (readonly number[])[],
  most: number,
): Places {
  const placed: { readonly members: readonly number[]; readonly plan: ArenaPlan }[] = [];
  const placeAll = (members: readonly number[]): void => {
    const plan = planArena(
      members.map((at) => intervals[at]),
      layout,
    );
    if (plan.bytes > most && members.length > 1) {
      const half = members.length >> 1;
      placeAll(members.slice(0, half));
      placeAll(members.slice(half));
    } else placed.push({ members, plan });
  };
  for (const members of colours) placeAll(members);
  placed.sort((a, b) => b.plan.bytes - a.plan.bytes);
  const places = new Array<TemporaryPlace>(intervals.length);
  for (const [arena, { members, plan }] of placed.entries()) {
    members.forEach((at, i) => {
      places[at] = { arena, offset: plan.offsets[i] };
    });
  }
  return { places, arenas: placed.map(({ plan }) => plan.bytes) };
}
