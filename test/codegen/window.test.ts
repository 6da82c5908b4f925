/** Convolutions through the schedule for windows against the interpreter, bit for bit. */
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import type { Kernel } from '../../ir/kernel.ts';
import { Random } from '../../ir/ops/random.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { type ConvolutionCase, convolutionKernels, randomConvolution } from '../support/convolutions.ts';
import { checkKernel } from '../support/kernel-check.ts';
import { generate } from '../support/kernel-run.ts';

async function check(convolution: ConvolutionCase): Promise<void> {
  for (const kernel of convolutionKernels(convolution)) await checkKernel(kernel);
}

/** How many phases the kernel of a convolution runs in: two with an image. */
const phasesOf = (convolution: ConvolutionCase): number => generate(convolutionKernels(convolution)[0]).phases.length;

function convolution(channels: number, outputs: number, image: number, kernel: number, more = {}): ConvolutionCase {
  const { stride = 1, padding = 0, groups = 1 } = more as { stride?: number; padding?: number; groups?: number };
  return {
    lhs: [1, channels, image, image],
    rhs: [outputs, channels / groups, kernel, kernel],
    attributes: {
      strides: [stride, stride],
      padding: [
        [padding, padding],
        [padding, padding],
      ],
      lhs_dilation: [1, 1],
      rhs_dilation: [1, 1],
      groups,
    },
  };
}

describe('windows', () => {
  it('are recognised, padded or not, strided or not', () => {
    for (const padding of [0, 1]) {
      for (const stride of [1, 2]) expect(phasesOf(convolution(8, 8, 16, 3, { padding, stride }))).toBe(2);
    }
    expect(phasesOf(convolution(8, 8, 16, 1, { stride: 2 }))).toBe(2);
    expect(phasesOf(convolution(16, 8, 16, 3, { groups: 2, padding: 1 }))).toBe(2);
  });

  it('have the same bits whatever the attributes', async () => {
    for (let seed = 0; seed < 24; seed++) {
      const random = new Random(1000 + seed);
      await check(randomConvolution(random, seed % 10 === 0 ? 1 : seed % 10 === 1 ? 3 : 2));
    }
  });

  it('have the same bits in several blocks of the sum and at many widths', async () => {
    for (const image of [5, 9, 14]) {
      await check(convolution(30, 5, image, 3, { padding: 1 }));
    }
    await check(convolution(2, 5, 15, 7, { padding: 3, stride: 2 }));
  });
});

/** A pool, or the depthwise convolution when it has no kind. */
function planes(random: Random): readonly Kernel[] {
  const kind = random.pick(['convolution', 'convolution', 'sum', 'max', 'min'] as const);
  const list = (choices: readonly number[]): number[] => [random.pick(choices), random.pick(choices)];
  const [strides, dilation, window] = [list([1, 1, 2, 3]), list([1, 1, 2]), list([1, 2, 3, 3, 5])];
  const padding = window.map((size): [number, number] => [Math.min(1, size - 1), random.integer(0, size - 1)]);
  const channels = random.pick([1, 3, 20]);
  const image = [0, 1].map((i) => dilation[i] * (window[i] - 1) + 1 + random.pick([0, 3, 6, 13, 40]));
  const b = new GraphBuilder();
  const x = b.parameter({ dtype: 'float32', shape: [random.pick([1, 2]), channels, ...image] });
  const operand = random.integer(0, 2) === 0 ? b.op('abs', [x]) : x;
  const result =
    kind === 'convolution'
      ? b.op('convolution', [operand, b.parameter({ dtype: 'float32', shape: [channels, 1, ...window] })], {
          strides,
          padding,
          lhs_dilation: [1, 1],
          rhs_dilation: dilation,
          groups: channels,
        })
      : b.op('reduce_window', [operand], {
          kind,
          window: [1, 1, ...window],
          strides: [1, 1, ...strides],
          padding: [[0, 0], [0, 0], ...padding],
          base_dilation: [1, 1, 1, 1],
          window_dilation: [1, 1, ...dilation],
        });
  const graph = b.build([random.integer(0, 1) === 0 ? result : b.op('negate', [result])]);
  const module = { functions: [{ name: 'main', graph }], main: 'main' };
  const { kernels } = lowerModule(module, { name: 'test', donated: [], precision: 'strict' });
  return kernels;
}

describe('windows of planes', () => {
  it('have the same bits whatever the attributes', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const kernels = planes(new Random(2000 + seed));
      for (const kernel of kernels) await checkKernel(kernel);
    }
  });

  it('keep NaN, infinities and zeros of pools', async () => {
    const special = (_: string, i: number): number => [Number.NaN, Infinity, -Infinity, -0, 0, 1, -1][(i * 5) % 7];
    for (let seed = 0; seed < 10; seed++) {
      const kernels = planes(new Random(3000 + seed));
      for (const kernel of kernels) await checkKernel(kernel, [{}], special);
    }
  });
});
