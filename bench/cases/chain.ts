/**
 * The fused chain `relu(tanh(2x+1)*x)` over 4M float32, one thread, against a hand-written kernel and onnxruntime-web.
 */
import { compile, relu, type Tensor, tensor } from '../../index.ts';
import { handwrittenChain } from '../handwritten/chain.ts';
import { assertClose, measureInTurn } from '../measure.ts';
import { onnxruntimeWeb } from '../peers/onnxruntime-web.ts';
import { randomFloats } from '../random-floats.ts';
import { type BenchResult, type BenchRow, limitRow, ratioRow } from '../result.ts';
import { formatMs } from '../table.ts';

const count = 4 * 1024 * 1024;

export async function chainCase(): Promise<BenchResult> {
  const data = randomFloats(count, 7).map((v) => v * 4);
  const expected = data.map((v) => Math.max(0, Math.tanh(2 * v + 1) * v));

  const chain = compile((x: Tensor) => relu(x.mul(2).add(1).tanh().mul(x)));
  const x = tensor(data);
  assertClose('compiled chain', Array.from(await chain(x).data(), Number), expected, 1e-6);

  const handwritten = await handwrittenChain(data);
  handwritten.run();
  assertClose('hand-written chain', handwritten.result(), expected, 1e-6);

  const peer = await onnxruntimeWeb(
    {
      inputs: [{ name: 'x', shape: [count] }],
      outputs: [{ name: 'y', shape: [count] }],
      scalars: { one: 1, two: 2 },
      nodes: [
        { type: 'Mul', inputs: ['x', 'two'], outputs: ['a'] },
        { type: 'Add', inputs: ['a', 'one'], outputs: ['b'] },
        { type: 'Tanh', inputs: ['b'], outputs: ['c'] },
        { type: 'Mul', inputs: ['c', 'x'], outputs: ['d'] },
        { type: 'Relu', inputs: ['d'], outputs: ['y'] },
      ],
    },
    1,
  );
  if (peer) assertClose(peer.name, await peer.run({ x: data }), expected, 1e-6);

  const contestants = [
    { name: 'compiled', run: () => chain(x).dispose() },
    { name: 'hand-written', run: () => handwritten.run() },
    ...(peer ? [{ name: peer.name, run: () => peer.run({ x: data }) }] : []),
  ];
  const [compiled, byHand, rival] = await measureInTurn(contestants, { rounds: 25, warmup: 15 });
  const rows: BenchRow[] = [
    limitRow(
      'compiled against hand-written',
      `${formatMs(compiled.median)} against ${formatMs(byHand.median)}`,
      compiled.median / byHand.median,
      1.3,
      'x',
    ),
  ];
  if (rival) {
    const measured = `${formatMs(compiled.median)} against ${formatMs(rival.median)}`;
    rows.push(ratioRow(`compiled against ${rival.name}`, measured, rival.median / compiled.median, 4));
  }
  return { title: 'Chain relu(tanh(2x+1)*x), 4M float32, one thread', mode: 'fast', rows };
}
