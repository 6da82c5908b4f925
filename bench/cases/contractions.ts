/**
 * Matrix products of many shapes and layouts beside what a register tile by hand does in the same process, so that no
 * combination of sizes, transposes and batches falls off. What reads more bytes than it multiplies is judged by these.
 */
import { compile, einsum, init, matmul, type Tensor, tensor } from '../../index.ts';
import { wasmFeatures } from '../../runtime/wasm/features.ts';
import { registerTile, type TileShape } from '../handwritten/register-tile.ts';
import { assertClose } from '../measure.ts';
import { randomFloats } from '../random-floats.ts';
import { type BenchResult, type BenchRow, ratioRow } from '../result.ts';
import { formatMs } from '../table.ts';

interface Work {
  readonly name: string;
  readonly shapes: readonly [readonly number[], readonly number[]];
  readonly run: (a: Tensor, b: Tensor) => Tensor;
  readonly flops: number;
  /** The target: the share of the tile's speed. */
  readonly least?: number;
}

const sizes = (m: number, k: number, n: number): string => (m === k && k === n ? `${n}` : `${m}x${k}x${n}`);
const flopsOf = (m: number, k: number, n: number): number => 2 * m * k * n;

function product(m: number, k: number, n: number, turned: '' | 'left' | 'right' | 'both' = ''): Work {
  const [isLeft, isRight] = [turned === 'left' || turned === 'both', turned === 'right' || turned === 'both'];
  return {
    name: `${sizes(m, k, n)}${turned === '' ? '' : `, ${turned} transposed`}`,
    shapes: [isLeft ? [k, m] : [m, k], isRight ? [n, k] : [k, n]],
    run: (a, b) => matmul(isLeft ? a.T : a, isRight ? b.T : b),
    flops: flopsOf(m, k, n),
  };
}

const batch = (count: number, m: number, k: number, n: number): Work => ({
  name: `${count} of ${sizes(m, k, n)}`,
  shapes: [
    [count, m, k],
    [count, k, n],
  ],
  run: (a, b) => matmul(a, b),
  flops: count * flopsOf(m, k, n),
});

const least = 0.85;
/** Elements of a result up to which all are compared with the strict ones. */
const mostChecked = 1 << 20;
export const works: readonly Work[] = [
  ...[256, 512, 1024, 2048].map((n) => ({ ...product(n, n, n), least })),
  ...[511, 513].map((n) => product(n, n, n)),
  product(1000, 37, 129),
  product(16, 512, 256),
  product(64, 784, 256),
  product(64, 4096, 64),
  product(4096, 64, 4096),
  product(4095, 63, 4095),
  product(4096, 8, 4096),
  product(128, 2048, 512),
  product(512, 512, 512, 'left'),
  product(512, 512, 512, 'right'),
  product(511, 513, 509, 'both'),
  batch(96, 128, 64, 128),
  batch(1000, 16, 16, 16),
  batch(1000, 8, 8, 8),
  {
    name: 'bthd,bshd->bhts, 2 of 256 by 8 heads of 64',
    shapes: [
      [2, 256, 8, 64],
      [2, 256, 8, 64],
    ],
    run: (a, b) => einsum('bthd,bshd->bhts', a, b),
    flops: 16 * flopsOf(256, 64, 256),
  },
  ...[1, 2, 4, 8, 16, 32].map((m) => product(m, 4096, 4096)),
  ...[1, 4, 16].map((m) => product(m, 4096, 4096, 'right')),
  product(1, 4095, 4096),
  product(1, 4096, 4095),
  product(4096, 4096, 1),
];

const tiles: readonly Omit<TileShape, 'fused'>[] = [
  { rows: 4, vectors: 2 },
  { rows: 2, vectors: 4 },
  { rows: 5, vectors: 2 },
  { rows: 6, vectors: 2 },
];

/** The least milliseconds of `run` within about a fifth of a second, after a check of the result. */
function leastTime(run: () => void): number {
  let best = Infinity;
  const start = performance.now();
  for (let round = 0; round < 8 || performance.now() - start < 200; round++) {
    const before = performance.now();
    run();
    best = Math.min(best, performance.now() - before);
  }
  return best;
}

/** Operations a nanosecond of the fastest tile. */
async function peak(): Promise<number> {
  let best = 0;
  for (const fused of wasmFeatures().relaxedSimd ? [false, true] : [false]) {
    for (const shape of tiles) {
      const tile = await registerTile({ ...shape, fused });
      best = Math.max(best, (20 * tile.flops) / leastTime(() => tile.run(20)) / 1e6);
      assertClose('register tile', tile.result(), new Float32Array(tile.result().length).fill(1));
    }
  }
  return best;
}

/** Reads per millisecond that a copy of 64 MB does, in MB. */
function readRate(): number {
  const [from, to] = [new Float32Array(1 << 23), new Float32Array(1 << 23)];
  return from.byteLength / leastTime(() => to.set(from)) / 1e6;
}

export async function contractionsCase(): Promise<BenchResult> {
  await init({ threads: 1 });
  const [tile, copy] = [await peak(), readRate()];
  const rows: BenchRow[] = [];
  const table: string[][] = [];
  for (const work of works) {
    const count = (shape: readonly number[]): number => shape.reduce((total, size) => total * size, 1);
    const inputs = work.shapes.map((shape, i) => tensor(numbersOf(count(shape), i + 1), { shape }));
    const [a, b] = inputs;
    const compiled = compile(work.run);
    const result = compiled(a, b);
    const bytes = 4 * (count(work.shapes[0]) + count(work.shapes[1]) + count(result.shape));
    // Calls before the code is there would wait for it, and none would be timed.
    const data = await result.data();
    if (count(result.shape) <= mostChecked && work.flops < 1e9) {
      const strict = compile(work.run, { precision: 'strict' });
      assertClose(work.name, numbers(data), numbers(await strict(a, b).data()), 1e-5);
    }
    result.dispose();
    const ms = leastTime(() => compiled(a, b).dispose());
    const rate = work.flops / ms / 1e6;
    const floor = Math.max(work.flops / tile, bytes / copy) / 1e6;
    const share = floor / ms;
    table.push([work.name, formatMs(ms), rate.toFixed(1), (bytes / ms / 1e6).toFixed(1), share.toFixed(2)]);
    if (work.least !== undefined) {
      const measured = `${rate.toFixed(1)} against ${tile.toFixed(1)} GFLOP/s`;
      rows.push(ratioRow(`matmul ${work.name} against a register tile by hand`, measured, rate / tile, work.least));
    }
    for (const input of inputs) input.dispose();
  }
  const note =
    `The tile does ${tile.toFixed(1)} GFLOP/s, a copy reads ${copy.toFixed(1)} GB/s and writes as much. ` +
    'The last column is the time of the slower of the two by that of the product.';
  const columns = ['product', 'best', 'GFLOP/s', 'GB/s', 'of the limit'];
  const tables = [{ title: 'Matrix products by shape', columns, rows: table, note }];
  return { title: 'Contractions, float32, one thread', mode: 'fast', rows, tables };
}

const numbers = (data: ArrayLike<number | bigint>): number[] => Array.from(data, Number);

/** Random numbers of a pattern that repeats: long arrays are quickly filled. */
function numbersOf(count: number, seed: number): Float32Array {
  const pattern = randomFloats(Math.min(count, 65521), seed);
  const data = new Float32Array(count);
  for (let at = 0; at < count; at += pattern.length) data.set(pattern.subarray(0, count - at), at);
  return data;
}
