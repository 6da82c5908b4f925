/**
 * Kiln side by side with other runtimes, in one run: every row of `rows.ts`, every runtime that is installed, each in a
 * process of its own, results compared before anything is timed, times taken in turn.
 *
 *     npm run bench:peers                                          // all of it, written to docs/
 *     npm run bench:peers -- --rows matmul --peers kiln,onnxruntime-web --threads 1 --no-write
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { machine } from '../machine.ts';
import { docs } from '../record.ts';
import type { BenchResult } from '../result.ts';
import { peerChart } from './chart.ts';
import { HostClient } from './client.ts';
import { mergeFigures, type PeerFigures } from './figures.ts';
import { defaultPython, type HostSpec, hostsOf, peers, type Selection, simdKinds, threadCounts } from './hosts.ts';
import { type Row, rows } from './rows.ts';
import { type Blank, defaultTiming, type Figures, measureUnit, type Timing } from './schedule.ts';
import { missed, missedLine, timeTables, verdictTable } from './tables.ts';

export interface PeersOptions extends Selection {
  readonly rows: readonly Row[];
  readonly timing: Timing;
  /** Told what is going on. */
  readonly log: (line: string) => void;
  /** Gets the figures of each unit as soon as they are there. */
  readonly keep: (figures: PeerFigures) => void;
}

export const everything: PeersOptions = {
  peers,
  threads: threadCounts,
  simd: simdKinds,
  modes: ['fast', 'strict'],
  python: defaultPython,
  rows,
  timing: defaultTiming,
  log: (line) => console.error(line),
  keep: () => {},
};

/** Starts hosts and keeps those that have their runtime. */
async function startHosts(specs: readonly HostSpec[], log: PeersOptions['log']) {
  const hosts: HostClient[] = [];
  const versions: Record<string, string> = {};
  const started = specs.map((spec) => new HostClient(spec));
  for (const host of started) {
    const hello = await host.hello();
    if ('absent' in hello) {
      log(`${host.spec.id}: ${hello.absent}`);
      host.end();
      continue;
    }
    log(`${host.spec.id}: ${hello.name}, ${hello.features.join(', ')}`);
    versions[host.spec.peer] = hello.name;
    hosts.push(host);
  }
  return { hosts, versions };
}

/**
 * Measures rows, unit by unit.
 * @throws WrongResult when a runtime's result is not right
 */
export async function measurePeers({ log, timing, keep, ...options }: PeersOptions): Promise<PeerFigures> {
  const { hosts, versions } = await startHosts(hostsOf(options), log);
  const figures: Figures[] = [];
  const blanks: Blank[] = [];
  try {
    for (const unit of new Set(options.rows.map((row) => row.unit))) {
      const start = performance.now();
      const ofUnit = options.rows.filter((row) => row.unit === unit);
      const result = await measureUnit(ofUnit, hosts, timing);
      figures.push(...result.figures);
      blanks.push(...result.blanks);
      keep({ machine: machine(), versions, ...result });
      log(`${ofUnit.map(({ name }) => name).join('; ')}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  } finally {
    for (const host of hosts) host.end();
  }
  return { machine: machine(), versions, figures, blanks };
}

/** Where figures are kept from run to run. */
export const dataFile = docs('peers.json');
const chartFile = 'peers.svg';

function known(file: string): PeerFigures | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PeerFigures;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Puts figures into a file, an entry a line; gives all that are there. */
export function keepFigures(fresh: PeerFigures, file = dataFile): PeerFigures {
  const order = rows.map(({ name }) => name);
  const all = mergeFigures(known(file), fresh, order);
  const lines = (list: readonly object[]): string => list.map((entry) => `    ${JSON.stringify(entry)}`).join(',\n');
  const text = [
    '{',
    `  "machine": ${JSON.stringify(all.machine)},`,
    `  "versions": ${JSON.stringify(all.versions)},`,
    `  "figures": [\n${lines(all.figures)}\n  ],`,
    `  "blanks": [\n${lines(all.blanks)}\n  ]`,
    '}\n',
  ];
  writeFileSync(file, text.join('\n'));
  return all;
}

export const drawFigures = (all: PeerFigures): void => writeFileSync(docs(chartFile), peerChart(all));

/** Figures as a section of `docs/performance.md`. */
export function peersResult(all: PeerFigures): BenchResult {
  const versions = Object.values(all.versions).join(', ');
  const misses = missed(all);
  return {
    title: 'Side by side with other runtimes',
    mode: 'fast and strict',
    rows: [],
    tables: [verdictTable(all), ...timeTables(all)],
    notes: [
      `${versions}. Each runtime is a process of its own; all are timed in turn in one run, after every result was held against double precision and against the others.`,
      'All figures, with means, percentiles, spread, memory and compile times: [peers.json](peers.json).',
      ...(misses.length > 0 ? [`Missed, the worst first:\n${misses.map((v) => `- ${missedLine(v)}`).join('\n')}`] : []),
    ],
    picture: { file: chartFile, shows: 'How many times faster Kiln is than each rival, by row' },
  };
}

/** Everything, for `npm run bench`. */
export async function peersCase(): Promise<BenchResult> {
  const all = keepFigures(await measurePeers(everything));
  drawFigures(all);
  return peersResult(all);
}
