/**
 * One row: every runtime prepares it, every result is held against double precision and the others, then all are
 * counted and timed in turn. It runs where the runtimes are: in a page, or in Node.
 */
import { assertAgree, assertRight, type Candidate, WrongResult } from '../peers/compare.ts';
import type { Absent } from '../peers/protocol.ts';
import { referenceOf } from '../peers/reference.ts';
import { type NamedArray, toleranceOf } from '../peers/work.ts';
import { type Counts, counts, settle, since } from './counters.ts';
import type { WebgpuRow } from './rows.ts';
import type { Peer, Runtime } from './runtimes.ts';

export interface Timing {
  /** Milliseconds of timing that a runtime gets for a row; 0 counts only. */
  readonly budgetMs: number;
  readonly rounds: number;
}

/** Of a runtime and a row. */
export interface Figure {
  readonly peer: Peer;
  /** `fast`, or `fast float16`; empty for rivals. */
  readonly mode: string;
  readonly row: string;
  /** Calls of WebGPU that one call of the program makes. */
  readonly counts: Counts;
  /** Milliseconds a call: median, and a quarter and three quarters of the samples. */
  readonly p25?: number;
  readonly p50?: number;
  readonly p75?: number;
  /** Milliseconds that the calling thread is busy with one call. */
  readonly callerMs?: number;
  /** From the request to the first result. */
  readonly firstMs: number;
}

export interface Blank extends Absent {
  readonly peer: Peer;
  readonly mode: string;
  readonly row: string;
}

export interface RowResult {
  readonly figures: readonly Figure[];
  readonly blanks: readonly Blank[];
}

interface Contestant {
  readonly peer: Peer;
  readonly mode: string;
  readonly runtime: Runtime;
  readonly candidate: Candidate;
  readonly firstMs: number;
  run(calls: number): Promise<{ readonly callerMs: number; readonly ms: number }>;
  release(): void;
}

/** A float16 keeps eleven bits; sums of products of rounded inputs are off by some of the last ones. */
const halfTolerance = 4e-3;
const calmMs = 20;

/**
 * A rival whose result is wrong has no figures, and says so.
 * @throws WrongResult when Kiln's is
 */
export async function measureRow(
  row: WebgpuRow,
  inputs: readonly NamedArray[],
  runtimes: ReadonlyMap<Peer, Runtime>,
  timing: Timing,
): Promise<RowResult> {
  const blanks: Blank[] = [];
  const contestants: Contestant[] = [];
  try {
    for (const [peer, runtime] of runtimes) {
      for (const mode of modesOf(peer, row)) {
        const made = await prepare(row, inputs, peer, mode, runtime);
        if ('absent' in made) blanks.push(made);
        else contestants.push(made);
      }
    }
    const right = contestants.filter((contestant) => {
      const wrong = faultOf(row, inputs, contestant, contestants[0]);
      if (!wrong) return true;
      if (contestant.peer === 'kiln') throw wrong;
      blanks.push({ peer: contestant.peer, mode: contestant.mode, row: row.name, absent: wrong.message });
      return false;
    });
    const figures: Figure[] = [];
    for (const contestant of right) figures.push(await count(contestant, row.name));
    if (timing.budgetMs === 0) return { figures, blanks };
    const samples = await time(right, timing);
    return { figures: figures.map((figure, i) => ({ ...figure, ...samples[i] })), blanks };
  } finally {
    for (const contestant of contestants) contestant.release();
  }
}

const modesOf = (peer: Peer, { half }: WebgpuRow): readonly string[] =>
  peer !== 'kiln' ? [''] : half ? ['fast', 'fast float16'] : ['fast'];

async function prepare(
  { name, work }: WebgpuRow,
  inputs: readonly NamedArray[],
  peer: Peer,
  mode: string,
  runtime: Runtime,
): Promise<Contestant | Blank> {
  const start = performance.now();
  try {
    const prepared = await runtime.prepare(work, inputs, mode);
    if ('absent' in prepared) return { peer, mode, row: name, absent: prepared.absent };
    const outputs = await prepared.outputs();
    const firstMs = performance.now() - start;
    return {
      peer,
      mode,
      runtime,
      firstMs,
      candidate: { name: `${runtime.name} ${mode}`.trim(), outputs },
      async run(calls) {
        const before = performance.now();
        await prepared.run(calls);
        runtime.flush?.();
        const callerMs = performance.now() - before;
        await settle();
        return { callerMs, ms: performance.now() - before };
      },
      release: () => prepared.release?.(),
    };
  } catch (error) {
    if (peer === 'kiln') throw error;
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { peer, mode, row: name, absent: `it fails: ${reason}` };
  }
}

/** What is wrong with a result: a figure beside it would mean nothing. */
function faultOf(
  { name, work }: WebgpuRow,
  inputs: readonly NamedArray[],
  { candidate, mode }: Contestant,
  first: Contestant,
): WrongResult | undefined {
  const reference = referenceOf(work, inputs);
  const allowed = mode.endsWith('float16') ? halfTolerance : 5 * toleranceOf(work);
  try {
    if (reference) assertRight(name, candidate, reference, allowed);
    else assertAgree(name, candidate, first.candidate, allowed);
    return undefined;
  } catch (error) {
    if (error instanceof WrongResult) return error;
    throw error;
  }
}

async function count({ peer, mode, firstMs, run }: Contestant, row: string): Promise<Figure> {
  await run(1);
  const before = counts();
  await run(1);
  return { peer, mode, row, firstMs, counts: since(before) };
}

type Times = Pick<Figure, 'p25' | 'p50' | 'p75' | 'callerMs'>;

/** Samples in turn, round after round, each of as many calls as take a while. */
async function time(contestants: readonly Contestant[], { budgetMs, rounds }: Timing): Promise<readonly Times[]> {
  const calls: number[] = [];
  for (const { run } of contestants) {
    const { ms } = await run(2);
    calls.push(Math.max(1, Math.floor((2 * budgetMs) / rounds / Math.max(ms, 1e-3))));
  }
  const samples = contestants.map((): { ms: number; callerMs: number }[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, { run }] of contestants.entries()) {
      await new Promise((resolve) => setTimeout(resolve, calmMs));
      const { ms, callerMs } = await run(calls[i]);
      samples[i].push({ ms: ms / calls[i], callerMs: callerMs / calls[i] });
    }
  }
  return samples.map((taken) => {
    const at = (values: readonly number[], part: number): number =>
      [...values].sort((a, b) => a - b)[Math.floor(part * (values.length - 1))];
    const times = taken.map(({ ms }) => ms);
    return {
      p25: at(times, 0.25),
      p50: at(times, 0.5),
      p75: at(times, 0.75),
      callerMs: at(
        taken.map(({ callerMs }) => callerMs),
        0.5,
      ),
    };
  });
}
