/**
 * One unit of rows, from inputs to figures: every contestant prepares every row and has its results held against the
 * reference and the others; only then all are timed in turn, round after round, so that a machine whose speed drifts
 * treats all alike.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { HostClient } from './client.ts';
import { assertAgree, assertRight, type Candidate } from './compare.ts';
import type { Peer, Simd, Threads } from './hosts.ts';
import type { ArrayFile } from './protocol.ts';
import { referenceOf } from './reference.ts';
import type { Row } from './rows.ts';
import { inputsOf, toleranceOf } from './work.ts';

/** What a run asks of a host. */
export type Host = Pick<HostClient, 'spec' | 'prepare' | 'run' | 'release'>;

/** Who is timed. */
export interface Contestant {
  readonly peer: Peer;
  readonly threads: Threads;
  readonly simd?: Simd;
  /** `fast` or `strict` for Kiln, otherwise empty. */
  readonly mode: string;
}

/** Times are milliseconds a call. */
export interface Figures extends Contestant {
  readonly row: string;
  readonly mean: number;
  readonly p25: number;
  readonly p50: number;
  readonly p75: number;
  readonly p95: number;
  readonly best: number;
  readonly rounds: number;
  /** From nothing to the first result, less one call: building, compiling, uploading. */
  readonly compileMs: number;
  readonly peakBytes?: number;
}

/** A contestant that has no such row, and why. */
export interface Blank extends Contestant {
  readonly row: string;
  readonly absent: string;
}

export interface Timing {
  /** Milliseconds of timing that one contestant gets for a row, about. */
  readonly budgetMs: number;
  readonly minRounds: number;
  readonly maxRounds: number;
}

export const defaultTiming: Timing = { budgetMs: 200, minRounds: 5, maxRounds: 40 };

/** A sample takes that long at the least: calls that are shorter are timed in batches. */
const sampleMs = 4;
/**
 * Samples up to `ledMs` are led by `leadMs` of work that is not timed: threads that slept wake up, a virtual processor
 * that was halted comes back, and the scheduler finds each thread one of its own. Longer samples leave that behind.
 */
const [leadMs, ledMs] = [10, 50];
/** What a contestant runs before it is timed, for the engine's second compiler and the caches. */
const warmupMs = 120;
/** From here on three samples have to do. */
const slowMs = 200;
/** For what the machine does between two contestants. */
const restMs = 1;

interface Entry extends Contestant {
  readonly host: Host;
  readonly row: Row;
  readonly key: string;
  readonly firstMs: number;
  readonly peakBytes: number | undefined;
  readonly samples: number[];
  calls: number;
  lead: number;
}

export const nameOf = ({ peer, threads, simd, mode }: Contestant): string =>
  [peer, mode, `${threads} thread${threads === 1 ? '' : 's'}`, simd === 'relaxed' ? 'relaxed SIMD' : '']
    .filter((part) => part !== '')
    .join(', ')
    .replace(/^kiln, (fast|strict)/, 'Kiln $1');

export interface UnitResult {
  readonly figures: readonly Figures[];
  readonly blanks: readonly Blank[];
}

/** @throws WrongResult when one contestant's result is not right; then nothing was timed */
export async function measureUnit(rows: readonly Row[], hosts: readonly Host[], timing: Timing): Promise<UnitResult> {
  const blanks: Blank[] = [];
  const entries: Entry[] = [];
  for (const row of rows) entries.push(...(await prepareRow(row, hosts, blanks)));
  for (const entry of entries) await warmUp(entry);
  const plans = entries.map((entry) => plannedRounds(entry, timing));
  for (const entry of entries) entry.samples.length = 0;
  const rounds = Math.max(...plans, 0);
  for (let round = 0; round < rounds; round++) {
    // There and back, since who comes before matters a little too.
    const order = round % 2 === 0 ? [...entries.keys()] : [...entries.keys()].reverse();
    for (const i of order) {
      const { host, key, calls, lead, samples } = entries[i];
      // The slow ones take part in some of the rounds, spread over all of them.
      if (Math.floor(((round + 1) * plans[i]) / rounds) === Math.floor((round * plans[i]) / rounds)) continue;
      await pause(restMs);
      samples.push((await host.run(key, calls, lead)) / calls);
    }
  }
  for (const { host, key } of entries) await host.release(key);
  return { figures: entries.map(figuresOf), blanks };
}

/** As many samples as the budget has room for, within the limits. */
function plannedRounds({ calls, lead, samples }: Entry, { budgetMs, minRounds, maxRounds }: Timing): number {
  const sample = Math.max(1e-3, (calls + lead) * (samples.at(-1) ?? 0));
  return Math.min(maxRounds, Math.max(sample > slowMs ? 3 : minRounds, Math.floor(budgetMs / sample)));
}

async function prepareRow(row: Row, hosts: readonly Host[], blanks: Blank[]): Promise<Entry[]> {
  const folder = mkdtempSync(join(tmpdir(), 'kiln-bench-'));
  try {
    const inputs = inputsOf(row.work);
    const files = inputs.map(({ data, ...type }, i): ArrayFile => {
      const file = join(folder, `input-${i}`);
      writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return { ...type, file };
    });
    const reference = referenceOf(row.work, inputs);
    const tolerance = toleranceOf(row.work);
    const entries: Entry[] = [];
    let first: Candidate | undefined;
    let strict: Candidate | undefined;
    for (const host of hosts) {
      for (const mode of host.spec.modes) {
        const { peer, threads, simd } = host.spec;
        const contestant: Contestant = { peer, threads, mode, ...(simd ? { simd } : {}) };
        const key = `${row.name}/${mode}`;
        const prepared = await host.prepare(key, mode, row.work, files, folder);
        if ('absent' in prepared) {
          blanks.push({ ...contestant, row: row.name, absent: prepared.absent });
          continue;
        }
        const candidate = { name: nameOf(contestant), outputs: prepared.read() };
        if (reference) assertRight(row.name, candidate, reference, tolerance);
        if (first) assertAgree(row.name, candidate, first, tolerance);
        // Strict means the same bits, whatever the threads and the engine's features.
        if (mode === 'strict') {
          if (strict) assertAgree(row.name, candidate, strict, 0);
          strict ??= candidate;
        }
        first ??= candidate;
        const { firstMs, peakBytes } = prepared;
        entries.push({ ...contestant, host, row, key, firstMs, peakBytes, samples: [], calls: 1, lead: 0 });
      }
    }
    return entries;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function warmUp(entry: Entry): Promise<void> {
  let batch = 1;
  for (let spent = 0; spent < warmupMs || entry.samples.length < 2; ) {
    const ms = await entry.host.run(entry.key, batch);
    spent += ms;
    entry.samples.push(ms / batch);
    if (ms > slowMs) break;
    if (ms < warmupMs / 8) batch = Math.min(batch * 2, 1e5);
  }
  const ms = Math.max(entry.samples.at(-1)!, 1e-5);
  entry.calls = Math.max(1, Math.ceil(sampleMs / ms));
  if (entry.calls * ms <= ledMs) entry.lead = Math.ceil(leadMs / ms);
}

function figuresOf({ row, peer, threads, simd, mode, firstMs, peakBytes, samples }: Entry): Figures {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return {
    peer,
    threads,
    ...(simd ? { simd } : {}),
    mode,
    row: row.name,
    mean: sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length,
    p25: at(0.25),
    p50: at(0.5),
    p75: at(0.75),
    p95: at(0.95),
    best: sorted[0],
    rounds: sorted.length,
    compileMs: Math.max(0, firstMs - at(0.5)),
    ...(peakBytes === undefined ? {} : { peakBytes }),
  };
}
