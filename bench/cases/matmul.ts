/** Float32 matmul, one thread: against onnxruntime-web, and odd sizes against the round size beside them. */
import { compile, type Tensor, tensor } from '../../index.ts';
import { assertClose, type Contestant, measureInTurn } from '../measure.ts';
import { onnxruntimeWeb } from '../peers/onnxruntime-web.ts';
import { randomFloats } from '../random-floats.ts';
import { type BenchResult, type BenchRow, ratioRow } from '../result.ts';

const sizes = [256, 512, 1024, 511, 513];
const gigaflops = (n: number, ms: number): number => (2 * n ** 3) / (ms * 1e6);

/** A few rows of the product in double precision. */
function assertProduct(name: string, n: number, a: Float32Array, b: Float32Array, c: ArrayLike<number>): void {
  const rows = [0, n >> 1, n - 1];
  const actual: number[] = [];
  const expected: number[] = [];
  for (const row of rows) {
    for (let column = 0; column < n; column++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += a[row * n + k] * b[k * n + column];
      expected.push(sum);
      actual.push(c[row * n + column]);
    }
  }
  assertClose(name, actual, expected, 1e-5);
}

export async function matmulCase(): Promise<BenchResult> {
  const product = compile((a: Tensor, b: Tensor) => a.matmul(b));
  const contestants: (Contestant & { readonly n: number; readonly rival: boolean })[] = [];
  for (const n of sizes) {
    const [a, b] = [randomFloats(n * n, 1), randomFloats(n * n, 2)];
    const [x, y] = [tensor(a, { shape: [n, n] }), tensor(b, { shape: [n, n] })];
    assertProduct(`compiled matmul ${n}`, n, a, b, Array.from(await product(x, y).data(), Number));
    contestants.push({ name: `compiled ${n}`, n, rival: false, run: () => product(x, y).dispose() });
    const peer = await onnxruntimeWeb(
      {
        inputs: [
          { name: 'a', shape: [n, n] },
          { name: 'b', shape: [n, n] },
        ],
        outputs: [{ name: 'c', shape: [n, n] }],
        nodes: [{ type: 'MatMul', inputs: ['a', 'b'], outputs: ['c'] }],
      },
      1,
    );
    if (!peer) continue;
    assertProduct(`${peer.name} ${n}`, n, a, b, await peer.run({ a, b }));
    contestants.push({ name: `${peer.name}, ${n}`, n, rival: true, run: () => peer.run({ a, b }) });
  }
  const measured = await measureInTurn(contestants, { rounds: 15, warmup: 5 });
  const rate = (n: number, rival: boolean): number | undefined => {
    const index = contestants.findIndex((c) => c.n === n && c.rival === rival);
    return index < 0 ? undefined : gigaflops(n, measured[index].median);
  };
  const rows: BenchRow[] = [];
  for (const n of [256, 512, 1024]) {
    const [ours, theirs] = [rate(n, false)!, rate(n, true)];
    if (theirs === undefined) rows.push({ work: `matmul ${n}`, measured: '', figure: `${ours.toFixed(1)} GFLOP/s` });
    else {
      const text = `${ours.toFixed(1)} against ${theirs.toFixed(1)} GFLOP/s`;
      const row = ratioRow(`matmul ${n} against onnxruntime-web`, text, ours / theirs, 1);
      // The smallest size only informs: a call is over in a millisecond.
      rows.push(n >= 512 ? row : { work: row.work, measured: text, figure: row.figure });
    }
  }
  for (const n of [511, 513]) {
    const [odd, round] = [rate(n, false)!, rate(512, false)!];
    rows.push(
      ratioRow(
        `matmul ${n} against 512, a FLOP`,
        `${odd.toFixed(1)} against ${round.toFixed(1)} GFLOP/s`,
        odd / round,
        0.8,
      ),
    );
  }
  return { title: 'Matmul float32, one thread', mode: 'fast', rows };
}
