/**
 * The targets, and what a run's figures say of them. A target speaks of one row in one configuration of Kiln (threads,
 * kind of SIMD, precision) and holds it against a rival with as many threads, or against another row.
 *
 *     matmul 512, 1 thread, plain SIMD, fast: at least 1.2x onnxruntime-web; is 1.61x
 */
import type { Peer, Simd, Threads } from './hosts.ts';
import { type Group, type Row, rows } from './rows.ts';
import type { Figures } from './schedule.ts';
import { bytesOf, flopsOf } from './work.ts';

/** A configuration of Kiln. */
export interface Configuration {
  readonly threads: Threads;
  readonly simd: Simd;
  readonly mode: string;
}

export interface Verdict extends Configuration {
  readonly row: string;
  /** What it is held against, such as `onnxruntime-web`. */
  readonly against: string;
  /** The least figure that is right; where `most` is true, the greatest. */
  readonly target: number;
  readonly most?: boolean;
  /** Of ratios empty. */
  readonly unit: string;
  readonly figure: number;
  readonly met: boolean;
}

/** A group's targets against rivals: the first with plain SIMD and in strict code, the second with relaxed SIMD. */
const rivalTargets: Readonly<
  Partial<Record<Group, readonly { readonly peer: Peer; readonly plain: number; readonly relaxed: number }[]>>
> = {
  matmul: [
    { peer: 'onnxruntime-web', plain: 1.2, relaxed: 1.6 },
    { peer: 'jax-js', plain: 1.5, relaxed: 1.5 },
  ],
  convolution: [{ peer: 'onnxruntime-web', plain: 1.4, relaxed: 1.4 }],
  rows: [{ peer: 'onnxruntime-web', plain: 1.5, relaxed: 1.5 }],
  chains: [
    { peer: 'onnxruntime-web', plain: 5, relaxed: 5 },
    { peer: 'onnxruntime-node', plain: 3, relaxed: 3 },
  ],
  'single ops': [{ peer: 'onnxruntime-node', plain: 1.5, relaxed: 1.5 }],
  training: [{ peer: 'jax-js', plain: 2.5, relaxed: 2.5 }],
  models: [{ peer: 'onnxruntime-web', plain: 1.4, relaxed: 1.4 }],
};

const leastOfPeak = 0.85;
const leastOfRound = 0.8;
/** Of the speed of reading: a product with a vector reads its matrix once and does little else. */
const leastOfRead = 0.8;
const tinyMicroseconds = 5;
const computeScaling = 1.7;
const shareOfCopyScaling = 0.9;
/** Below that, two threads are not asked to help. */
const scaledFromMs = 1;
/** From this share of the copy's bytes a second on, memory is what limits a row. */
const memoryBound = 0.5;

/** Looks figures up. */
class Measured {
  readonly #figures: readonly Figures[];

  constructor(figures: readonly Figures[]) {
    this.#figures = figures;
  }

  figuresOf(row: string, { threads, simd, mode }: Configuration): Figures | undefined {
    return this.#figures.find(
      (f) => f.peer === 'kiln' && f.row === row && f.threads === threads && f.simd === simd && f.mode === mode,
    );
  }

  kiln(row: string, configuration: Configuration): number | undefined {
    return this.figuresOf(row, configuration)?.p50;
  }

  /** A rival's time with as many threads, or with the most it knows. */
  rival(row: string, peer: Peer, threads: Threads): number | undefined {
    const known = this.#figures.filter((f) => f.peer === peer && f.row === row && f.threads <= threads);
    return known.sort((a, b) => b.threads - a.threads)[0]?.p50;
  }
}

export function configurationsOf(figures: readonly Figures[]): Configuration[] {
  const found = new Map<string, Configuration>();
  for (const { peer, threads, simd, mode } of figures) {
    if (peer === 'kiln' && simd) found.set(`${threads} ${simd} ${mode}`, { threads, simd, mode });
  }
  const order = ({ threads, simd, mode }: Configuration): string => `${threads} ${simd} ${mode}`;
  return [...found.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

type Check = (row: Row, configuration: Configuration, measured: Measured) => (Verdict | undefined)[];

function atLeast(row: Row, configuration: Configuration, against: string, target: number, figure: number): Verdict {
  return { ...configuration, row: row.name, against, target, unit: 'x', figure, met: figure >= target };
}

const againstRivals: Check = (row, configuration, measured) =>
  (rivalTargets[row.group] ?? []).map(({ peer, plain, relaxed }) => {
    const ours = measured.kiln(row.name, configuration);
    const theirs = measured.rival(row.name, peer, configuration.threads);
    if (ours === undefined || theirs === undefined) return undefined;
    const fused = configuration.simd === 'relaxed' && configuration.mode === 'fast';
    return atLeast(row, configuration, peer, fused ? relaxed : plain, theirs / ours);
  });

const rate = (row: Row, of: (work: Row['work']) => number | undefined, ms: number): number | undefined => {
  const amount = of(row.work);
  return amount === undefined ? undefined : amount / ms;
};

/** The rate of this row over that of another. */
function ofAnother(
  row: Row,
  other: string,
  configuration: Configuration,
  measured: Measured,
  of: typeof flopsOf,
): number | undefined {
  const another = rows.find(({ name }) => name === other);
  const [ms, otherMs] = [measured.kiln(row.name, configuration), measured.kiln(other, configuration)];
  if (!another || ms === undefined || otherMs === undefined) return undefined;
  const [ours, theirs] = [rate(row, of, ms), rate(another, of, otherMs)];
  return ours === undefined || theirs === undefined ? undefined : ours / theirs;
}

const tile = 'register tile';
const copy = 'plain copy, 16 MiB';
/** As many bytes as the matrix of the product with a vector. */
const reading = 'plain read, 64 MiB';

const againstPeak: Check = (row, configuration, measured) => {
  if (row.group !== 'matmul') return [];
  const share = ofAnother(row, tile, configuration, measured, flopsOf);
  return share === undefined ? [] : [atLeast(row, configuration, tile, leastOfPeak, share)];
};

/** A product that reads its matrix once: memory is all there is to it. */
const isMatrixVector = ({ work }: Row): boolean => work.kind === 'matmul' && work.m === 1;

const againstRound: Check = (row, configuration, measured) => {
  if (row.round !== undefined) {
    const share = ofAnother(row, row.round, configuration, measured, flopsOf);
    return share === undefined ? [] : [atLeast(row, configuration, `${row.round}, a FLOP`, leastOfRound, share)];
  }
  if (!isMatrixVector(row)) return [];
  const share = ofAnother(row, reading, configuration, measured, bytesOf);
  return share === undefined ? [] : [atLeast(row, configuration, `${reading}, a byte`, leastOfRead, share)];
};

const againstOneThread: Check = (row, configuration, measured) => {
  if (configuration.threads !== 2 || row.group === 'machine' || row.group === 'calls') return [];
  const alone = { ...configuration, threads: 1 } as const;
  const [one, two] = [measured.kiln(row.name, alone), measured.kiln(row.name, configuration)];
  const floor = isMatrixVector(row) ? reading : copy;
  const [floorOne, floorTwo] = [measured.kiln(floor, alone), measured.kiln(floor, configuration)];
  if (one === undefined || two === undefined || one < scaledFromMs) return [];
  const share = ofAnother(row, floor, alone, measured, bytesOf) ?? 0;
  if (share < memoryBound) return [atLeast(row, configuration, '1 thread', computeScaling, one / two)];
  if (floorOne === undefined || floorTwo === undefined) return [];
  const scaling = floorOne / floorTwo;
  const against = `1 thread, a ${floor.split(',')[0]} ${scaling.toFixed(2)}x`;
  return [atLeast(row, configuration, against, shareOfCopyScaling * scaling, one / two)];
};

const ofCalls: Check = (row, configuration, measured) => {
  const ms = measured.kiln(row.name, configuration);
  if (ms === undefined) return [];
  if (row.work.kind === 'tiny') {
    const figure = ms * 1000;
    const met = figure <= tinyMicroseconds;
    return [
      {
        ...configuration,
        row: row.name,
        against: 'a call',
        target: tinyMicroseconds,
        most: true,
        unit: ' µs',
        figure,
        met,
      },
    ];
  }
  if (row.work.kind !== 'inFlight') return [];
  const inTurn = measured.figuresOf('50 calls in turn', configuration);
  if (inTurn === undefined) return [];
  // The same work both times: what lies within the spread of one is not more than the other.
  const [figure, met] = [ms / inTurn.p50, ms <= inTurn.p75];
  return [{ ...configuration, row: row.name, against: 'in turn', target: 1, most: true, unit: 'x', figure, met }];
};

const checks: readonly Check[] = [againstRivals, againstPeak, againstRound, againstOneThread, ofCalls];

/** What every target says of the figures; those that lack a figure are left out. */
export function verdictsOf(figures: readonly Figures[]): Verdict[] {
  const measured = new Measured(figures);
  const configurations = configurationsOf(figures);
  return rows.flatMap((row) =>
    checks.flatMap((check) =>
      configurations.flatMap((configuration) => check(row, configuration, measured).filter((v) => v !== undefined)),
    ),
  );
}

/** By which factor a missed target is missed: 1 and more is met. */
export const shareOfTarget = ({ figure, target, most }: Verdict): number => (most ? target / figure : figure / target);

/** Kiln's configuration in words. */
export const configurationName = ({ threads, simd, mode }: Configuration): string =>
  `${threads} thread${threads === 1 ? '' : 's'}, ${mode}${simd === 'relaxed' ? ', relaxed' : ''}`;
