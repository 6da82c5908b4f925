/** Convolutions through the schedule for windows against the interpreter, bit for bit. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../ir/ops/random.ts';
import { type ConvolutionCase, convolutionKernels, randomConvolution } from '../support/convolutions.ts';
import { compareWithInterpreter, generate, makeInputs } from '../support/kernel-run.ts';

const wave = (_: string, i: number): number => Math.fround(Math.sin(i * 12.9898 + 1) * 3);

/** What is wrong with a convolution, in words. */
function fault(convolution: ConvolutionCase): string | undefined {
  for (const kernel of convolutionKernels(convolution)) {
    const difference = compareWithInterpreter(kernel, makeInputs(kernel, {}, wave));
    if (difference) return `${JSON.stringify(convolution)}: ${difference}`;
  }
  return undefined;
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

  it('have the same bits whatever the attributes', () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = new Random(1000 + seed);
      expect(fault(randomConvolution(random, seed % 10 === 0 ? 1 : seed % 10 === 1 ? 3 : 2))).toBeUndefined();
    }
  });

  it('have the same bits in several blocks of the sum and at many widths', () => {
    for (const image of [5, 9, 14]) {
      expect(fault(convolution(30, 5, image, 3, { padding: 1 }))).toBeUndefined();
    }
    expect(fault(convolution(2, 5, 15, 7, { padding: 3, stride: 2 }))).toBeUndefined();
  });
});
