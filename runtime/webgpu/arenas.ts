/**
 * Where temporaries lie. A GPUBuffer that one dispatch binds to write must not be bound to read by the same dispatch,
 * whatever the ranges. So temporaries share not one arena but several: two of them that a launch reads and writes get
 * arenas of different colours.
 *
 *     launch 0 writes t0, launch 1 reads t0 and writes t1, launch 2 reads t1 and writes t2
 *     →  t0 and t2 in arena 0 (at the same offset), t1 in arena 1
 *
 * Colours are given greedily, in the order in which temporaries are first written; within a colour, offsets are those
 * of `base/arena.ts`.
 */
import { type ArenaLayout, planArena } from '../../base/arena.ts';
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

/**
 * Plans the memory that lives only during a run.
 * @param most the most bytes of one arena; more temporaries of one colour are spread over several
 */
export function planArenas(
  program: WebgpuProgram,
  evaluate: (size: Size) => number,
  most = Number.POSITIVE_INFINITY,
): ArenasPlan {
  const { temporaries, kernels } = program;
  const intervals = temporaries.map(({ bytes, first, last }) => ({
    bytes: bindingBytes(evaluate(bytes)),
    first,
    last,
  }));
  const places = new Array<TemporaryPlace>(temporaries.length);
  const arenas: number[] = [];
  const placeAll = (members: readonly number[]): void => {
    const plan = planArena(
      members.map((at) => intervals[at]),
      layout,
    );
    if (plan.bytes > most && members.length > 1) {
      const half = members.length >> 1;
      placeAll(members.slice(0, half));
      placeAll(members.slice(half));
      return;
    }
    const arena = arenas.push(plan.bytes) - 1;
    members.forEach((at, i) => {
      places[at] = { arena, offset: plan.offsets[i] };
    });
  };
  for (const members of colourTemporaries(program)) placeAll(members);
  const scratch = kernels.reduce((bytes, { scratchBytes }) => {
    return scratchBytes === 0 ? bytes : Math.max(bytes, bindingBytes(evaluate(scratchBytes)));
  }, 0);
  return { places, arenas, scratch };
}

/** Temporaries by colour: no launch reads one and writes another of the same colour. */
function colourTemporaries({ temporaries, kernels, steps }: WebgpuProgram): number[][] {
  const conflicts = temporaries.map(() => new Set<number>());
  for (const { kernel, buffers } of steps) {
    const { access } = kernels[kernel];
    const bound = buffers.flatMap(({ kind, index }, at) => (kind === 'temporary' ? [{ index, way: access[at] }] : []));
    for (const read of bound) {
      if (read.way !== 'read') continue;
      for (const written of bound) {
        if (written.way !== 'read_write' || written.index === read.index) continue;
        conflicts[read.index].add(written.index);
        conflicts[written.index].add(read.index);
      }
    }
  }
  const order = temporaries.map((_, at) => at).sort((a, b) => temporaries[a].first - temporaries[b].first || a - b);
  const colourOf = new Array<number>(temporaries.length).fill(-1);
  const members: number[][] = [];
  for (const at of order) {
    const taken = new Set([...conflicts[at]].map((other) => colourOf[other]));
    let colour = 0;
    while (taken.has(colour)) colour += 1;
    colourOf[at] = colour;
    members[colour] ??= [];
    members[colour].push(at);
  }
  return members;
}
