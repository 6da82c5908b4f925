/**
 * `npm run bench:peers`: measures Kiln and its rivals side by side, prints the tables and writes `docs/peers.json`, the
 * chart `docs/peers.svg` and their section of `docs/performance.md`. A wrong result ends it with exit code 1 before
 * that row is timed; then only the figures of the rows before are kept.
 *
 *     --rows matmul,softmax      rows whose names begin so, or groups
 *     --peers kiln,jax-js        runtimes
 *     --threads 1                1, 2
 *     --simd relaxed             plain, relaxed: of Kiln's code
 *     --modes fast               fast, strict: of Kiln's code
 *     --python PATH              an interpreter with PyTorch, JAX or TensorFlow
 *     --budget 200               milliseconds of timing for one runtime and row
 *     --details                  prints all figures
 *     --data FILE                keeps figures there, and writes nothing to docs/
 *     --no-write                 prints only
 */
import { parseArgs } from 'node:util';
import { record } from '../record.ts';
import { terminalText } from '../report.ts';
import { drawFigures, everything, keepFigures, measurePeers, type PeersOptions, peersResult } from './index.ts';
import { rows } from './rows.ts';
import { detailTable } from './tables.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string' },
    peers: { type: 'string' },
    threads: { type: 'string' },
    simd: { type: 'string' },
    modes: { type: 'string' },
    python: { type: 'string', default: everything.python },
    budget: { type: 'string', default: String(everything.timing.budgetMs) },
    details: { type: 'boolean', default: false },
    data: { type: 'string' },
    write: { type: 'boolean', default: true },
  },
  allowNegative: true,
});

/** What an option names, out of what there is. */
function choose<T extends string | number>(option: string, given: string | undefined, all: readonly T[]): readonly T[] {
  if (given === undefined) return all;
  return given.split(',').map((name) => {
    const found = all.find((each) => String(each) === name);
    if (found === undefined) throw new Error(`--${option}: no '${name}'; there are: ${all.join(', ')}`);
    return found;
  });
}

function chooseRows(given: string | undefined): PeersOptions['rows'] {
  if (given === undefined) return rows;
  return given.split(',').flatMap((name) => {
    const found = rows.filter((row) => row.name.startsWith(name) || row.group === name);
    if (found.length === 0)
      throw new Error(`--rows: none begins with '${name}'; there are: ${rows.map((r) => r.name).join('; ')}`);
    return found;
  });
}

const options: PeersOptions = {
  ...everything,
  rows: rows.filter((row) => chooseRows(values.rows).includes(row)),
  peers: choose('peers', values.peers, everything.peers),
  threads: choose('threads', values.threads, everything.threads),
  simd: choose('simd', values.simd, everything.simd),
  modes: choose('modes', values.modes, everything.modes),
  python: values.python,
  timing: { ...everything.timing, budgetMs: Number(values.budget) },
  keep: (figures) => {
    if (values.write) keepFigures(figures, values.data);
  },
};

const fresh = await measurePeers(options);
const all = values.write ? keepFigures(fresh, values.data) : fresh;
const result = peersResult(all);
console.log(terminalText(values.details ? { ...result, tables: [...result.tables!, detailTable(all)] } : result));
if (values.write && values.data === undefined) {
  drawFigures(all);
  record({ peers: result });
}
