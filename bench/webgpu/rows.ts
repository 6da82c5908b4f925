/**
 * What is measured on WebGPU: rows of `bench/peers`, sized for a graphics processor, or small where a processor plays
 * one and only right results and counts mean anything.
 */
import { rows as peerRows, type Row, type Work } from '../peers/rows.ts';

export type Scale = 'full' | 'small';

export interface WebgpuRow {
  readonly name: string;
  readonly work: Work;
  /** What a bandwidth is held against: a plain copy. */
  readonly isBandwidthBound?: true;
  /** Kiln is also measured with float16 storage. */
  readonly half?: true;
}

/** A row of the processors' table, with the sizes that it has there. */
function asThere(name: string): WebgpuRow {
  const row = peerRows.find((candidate: Row) => candidate.name === name);
  if (!row) throw new Error(`bench/peers has no row '${name}'`);
  return { name, work: row.work };
}

/** The chain of a row there, over so many elements. */
function chain(name: string, from: string, elements: number): WebgpuRow {
  const { work } = asThere(from);
  if (work.kind !== 'elementwise') throw new Error(`'${from}' is no chain`);
  return { name, work: { ...work, elements }, isBandwidthBound: true, half: true };
}

export function rowsOf(scale: Scale): readonly WebgpuRow[] {
  const isFull = scale === 'full';
  const matmuls = (isFull ? [1024, 2048, 4096] : [128, 257]).map(
    (n): WebgpuRow => ({ name: `matmul ${n}`, work: { kind: 'matmul', m: n, k: n, n }, half: true }),
  );
  const [rows, size] = isFull ? [8192, 4096] : [64, 256];
  const elements = isFull ? 2 ** 26 : 2 ** 12;
  const overRows = (
    kind: 'softmax' | 'layerNorm' | 'crossEntropy' | 'sumRows' | 'sumColumns' | 'transpose',
  ): WebgpuRow => ({
    name: `${kind} ${rows}x${size}`,
    work: { kind, rows, size },
    isBandwidthBound: true,
    ...(kind === 'softmax' && { half: true as const }),
  });
  const conv = isFull ? { channels: 64, image: 112, filters: 64 } : { channels: 8, image: 14, filters: 8 };
  return [
    ...matmuls,
    { name: 'matrix by vector', work: { kind: 'matmul', m: 1, k: isFull ? 4096 : 256, n: isFull ? 4096 : 256 } },
    {
      name: 'conv 3x3',
      work: { kind: 'convolution', ...conv, kernel: 3, stride: 1, padding: 'same', groups: 1 },
    },
    overRows('softmax'),
    overRows('layerNorm'),
    overRows('crossEntropy'),
    overRows('sumRows'),
    overRows('sumColumns'),
    overRows('transpose'),
    chain('relu(2x+1)', 'relu(2x+1), 4M', elements),
    chain('gelu', 'gelu, 4M', elements),
    chain('relu(tanh(2x+1)*x)', 'relu(tanh(2x+1)*x), 4M', elements),
    { name: 'sort rows', work: { kind: 'sort', rows: isFull ? 1024 : 16, size: isFull ? 1024 : 300 } },
    { name: 'MLP step', work: { kind: 'mlpStep', batch: 64, sizes: isFull ? [784, 256, 10] : [49, 32, 10] } },
    // Minutes, where a processor plays a graphics processor.
    ...(isFull ? [asThere('ResNet-50, batch 1')] : []),
    isFull
      ? { name: 'GPT block', work: { kind: 'gptBlock', time: 1024, width: 768, heads: 12 } }
      : { name: 'GPT block', work: { kind: 'gptBlock', time: 16, width: 64, heads: 4 } },
    asThere('tiny call'),
  ];
}
