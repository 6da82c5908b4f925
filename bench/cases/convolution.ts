/**
 * Convolutions of many kinds, so that no combination of kernel, stride, padding, dilation, groups and image falls off:
 * each is checked in a few elements, timed, and compared a FLOP with a plain 5×5 or a depthwise one.
 */
import { compile, conv2d, type Tensor, tensor } from '../../index.ts';
import { assertClose, measureInTurn } from '../measure.ts';
import { randomFloats } from '../random-floats.ts';
import type { BenchResult } from '../result.ts';
import { formatMs } from '../table.ts';

export interface Convolution {
  readonly channels: number;
  readonly outputs: number;
  readonly image: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
  readonly groups?: number;
}

const depthwise = (channels: number, image: number, more: Partial<Convolution> = {}): Convolution => ({
  channels,
  outputs: channels,
  image,
  kernel: 3,
  padding: 1,
  groups: channels,
  ...more,
});
const plain = (channels: number, image: number, more: Partial<Convolution> = {}): Convolution => ({
  channels,
  outputs: channels,
  image,
  kernel: 3,
  padding: 1,
  ...more,
});

/** The sweep. The first two are what the others are compared with, a FLOP. */
export const convolutions: readonly Convolution[] = [
  plain(64, 56, { kernel: 5, padding: 2 }),
  depthwise(64, 56),
  plain(64, 56),
  plain(64, 56, { padding: 0 }),
  plain(64, 55),
  plain(64, 57),
  plain(64, 56, { stride: 2 }),
  plain(64, 57, { stride: 2, padding: 0 }),
  plain(64, 56, { dilation: 2, padding: 2 }),
  plain(64, 56, { dilation: 3, padding: 0 }),
  plain(32, 112),
  plain(128, 28),
  plain(128, 28, { stride: 2 }),
  plain(256, 14),
  plain(512, 7),
  plain(64, 56, { groups: 2 }),
  plain(64, 56, { groups: 8 }),
  plain(128, 28, { groups: 32 }),
  plain(64, 56, { kernel: 1, padding: 0 }),
  plain(64, 56, { kernel: 1, padding: 0, stride: 2 }),
  plain(64, 55, { kernel: 1, padding: 0 }),
  plain(512, 7, { kernel: 1, padding: 0 }),
  { channels: 64, outputs: 256, image: 56, kernel: 1 },
  { channels: 512, outputs: 2048, image: 7, kernel: 1 },
  { channels: 3, outputs: 64, image: 224, kernel: 7, stride: 2, padding: 3 },
  { channels: 3, outputs: 64, image: 224, kernel: 7, stride: 2 },
  { channels: 3, outputs: 32, image: 224, kernel: 3, stride: 2, padding: 1 },
  depthwise(64, 56, { padding: 0 }),
  depthwise(32, 112),
  depthwise(96, 112, { stride: 2 }),
  depthwise(144, 56, { stride: 2 }),
  depthwise(192, 28),
  depthwise(384, 14),
  depthwise(512, 7),
  depthwise(128, 55, { dilation: 2, padding: 2 }),
  depthwise(128, 28, { kernel: 5, padding: 2 }),
  depthwise(96, 28, { kernel: 7, padding: 3 }),
];

/** A convolution in words, such as `3x3, 64 to 64, 56², pad 1`. */
export function nameOf({ channels, outputs, image, kernel, stride, padding, dilation, groups }: Convolution): string {
  const parts = [`${kernel}x${kernel}, ${channels} to ${outputs}, ${image}²`];
  if (stride !== undefined) parts.push(`stride ${stride}`);
  if (padding) parts.push(`pad ${padding}`);
  if (dilation !== undefined) parts.push(`dilation ${dilation}`);
  if (groups !== undefined) parts.push(groups === channels ? 'depthwise' : `${groups} groups`);
  return parts.join(', ');
}

export function outputSize({ image, kernel, stride = 1, padding = 0, dilation = 1 }: Convolution): number {
  return Math.floor((image + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;
}

export const flopsOf = (c: Convolution): number =>
  2 * c.outputs * outputSize(c) ** 2 * (c.channels / (c.groups ?? 1)) * c.kernel ** 2;

/** Elements at the corners and in the middle of the first and last channels, in double precision. */
export function expectedElements(c: Convolution, x: Float32Array, w: Float32Array): Map<number, number> {
  const { channels, outputs, image, kernel, stride = 1, padding = 0, dilation = 1, groups = 1 } = c;
  const [size, inputs] = [outputSize(c), channels / groups];
  const found = new Map<number, number>();
  for (const co of [0, outputs >> 1, outputs - 1]) {
    for (const h of [0, size >> 1, size - 1]) {
      for (const v of [0, 1, size >> 1, size - 1]) {
        let sum = 0;
        const first = Math.floor(co / (outputs / groups)) * inputs;
        for (let ci = 0; ci < inputs; ci++) {
          for (let k = 0; k < kernel * kernel; k++) {
            const row = h * stride - padding + Math.floor(k / kernel) * dilation;
            const column = v * stride - padding + (k % kernel) * dilation;
            if (row < 0 || column < 0 || row >= image || column >= image) continue;
            sum += x[((first + ci) * image + row) * image + column] * w[(co * inputs + ci) * kernel ** 2 + k];
          }
        }
        found.set((co * size + h) * size + v, sum);
      }
    }
  }
  return found;
}

const optionsOf = ({ stride = 1, padding = 0, dilation = 1, groups = 1 }: Convolution) => ({
  stride,
  padding,
  dilation,
  groups,
});

/** Where a rate is less than this of the one it is compared with, it is called a cliff. */
const cliff = 0.5;

export async function convolutionCase(): Promise<BenchResult> {
  const rows: string[][] = [];
  const reference: number[] = [];
  for (const c of convolutions) {
    const { channels, outputs, image, kernel, groups = 1 } = c;
    const x = randomFloats(channels * image ** 2, 1);
    const w = randomFloats((outputs * channels * kernel ** 2) / groups, 2);
    const operands = [
      tensor(x, { shape: [1, channels, image, image] }),
      tensor(w, { shape: [outputs, channels / groups, kernel, kernel] }),
    ] as const;
    const compiled = compile((input: Tensor, weight: Tensor) => conv2d(input, weight, null, optionsOf(c)));
    const result = await compiled(...operands).data();
    const expected = expectedElements(c, x, w);
    const actual = [...expected.keys()].map((at) => Number(result[at]));
    assertClose(nameOf(c), actual, [...expected.values()], 1e-3);
    const rounds = Math.max(5, Math.min(40, Math.round(4e9 / flopsOf(c))));
    const run = (): void => compiled(...operands).dispose();
    const [{ median, best }] = await measureInTurn([{ name: nameOf(c), run }], { rounds, warmup: 5 });
    const rate = flopsOf(c) / best / 1e6;
    reference.push(rate);
    const isDepthwise = groups === channels;
    const share = rate / reference[isDepthwise ? 1 : 0];
    // The second is the depthwise reference itself.
    rows.push([
      nameOf(c),
      formatMs(median),
      rate.toFixed(1),
      reference.length < 2 ? '1.00' : share.toFixed(2),
      share < cliff ? 'cliff' : '',
    ]);
    for (const operand of operands) operand.dispose();
  }
  const table = {
    title: 'Convolutions, float32, batch 1',
    columns: ['convolution', 'median', 'GFLOP/s', 'against the first of its kind', ''],
    rows,
    note: 'Rates are those of the best run.',
  };
  return { title: 'Convolutions', mode: 'fast', rows: [], tables: [table] };
}
