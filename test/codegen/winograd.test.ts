/** Winograd's algorithm in fast mode: its error against double precision, in any split, with other work around it. */
import binaryen from 'binaryen';
import { describe, expect, it } from 'vitest';
import { generateKernel } from '../../codegen/wasm/kernel.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import type { Kernel } from '../../ir/kernel.ts';
import { Random } from '../../ir/ops/random.ts';
import type { Literal } from '../../ir/types.ts';
import { plainTier } from '../../runtime/program.ts';
import { type ConvolutionCase, convolutionKernels, convolutionModule } from '../support/convolutions.ts';
import { makeInputs } from '../support/kernel-data.ts';
import { generate, runGenerated } from '../support/kernel-run.ts';

/** What docs/fusion.md promises: 2^-18 of the largest sum of magnitudes. */
const bound = 64;

const fast = (kernel: Kernel) => generateKernel(binaryen, kernel, { precision: 'fast', tier: plainTier });

interface Sizes {
  readonly batch?: number;
  readonly channels: number;
  readonly outputs: number;
  readonly image: readonly [number, number];
  readonly padding?: number;
  readonly groups?: number;
  readonly epilogue?: boolean;
}

function convolution({
  batch = 1,
  channels,
  outputs,
  image,
  padding = 0,
  groups = 1,
  epilogue,
}: Sizes): ConvolutionCase {
  const pair: [number, number] = [padding, padding];
  return {
    lhs: [batch, channels * groups, ...image],
    rhs: [outputs * groups, channels, 3, 3],
    attributes: { strides: [1, 1], padding: [pair, pair], lhs_dilation: [1, 1], rhs_dilation: [1, 1], groups },
    ...(epilogue && { epilogue }),
  };
}

const uniform = (random: Random) => (): number => Math.fround(2 * random.next() - 1);

/** The largest error of all splits over the largest sum of magnitudes, in units of float32's rounding. */
function errorOf(given: ConvolutionCase, seed: number): number {
  const [kernel] = convolutionKernels(given);
  const generated = fast(kernel);
  const next = uniform(new Random(seed));
  const inputs = makeInputs(kernel, {}, () => next());
  const shapes = [given.lhs, given.rhs];
  const literals = (map: (x: number) => number): Literal[] =>
    shapes.map((shape, i) => ({ dtype: 'float32', shape, data: Float64Array.from(inputs[i] as Float32Array, map) }));
  const module = convolutionModule(given);
  const [exact] = evaluateModule(
    module,
    literals((x) => x),
    { mode: 'double' },
  );
  const [magnitudes] = evaluateModule(module, literals(Math.abs), { mode: 'double' });
  const scale = Math.max(...Array.from(magnitudes.data, Number));
  let worst = 0;
  let first: Uint8Array | undefined;
  for (const [turn, split] of [[], [0.3, 0.5], { seed: 1 }, { seed: 2 }, [0.7]].entries()) {
    const { buffers } = runGenerated(kernel, generated, inputs, {}, split, turn);
    const result = buffers[2] as Float32Array;
    result.forEach((x, i) => {
      worst = Math.max(worst, Math.abs(x - Number(exact.data[i])) / scale / 2 ** -24);
    });
    const bytes = new Uint8Array(result.buffer.slice(0));
    first ??= bytes;
    expect(Buffer.compare(bytes, first), 'the same bits in any split').toBe(0);
  }
  return worst;
}

describe('Winograd', () => {
  it('is chosen in fast mode where it saves work, and never in strict', () => {
    const [large] = convolutionKernels(convolution({ channels: 32, outputs: 32, image: [24, 24], padding: 1 }));
    expect(fast(large).text()).not.toBe(generate(large).text());
    expect(Number(fast(large).sharedBytes)).toBeGreaterThan(Number(generate(large).sharedBytes));
    const [small] = convolutionKernels(convolution({ channels: 8, outputs: 32, image: [24, 24], padding: 1 }));
    expect(fast(small).text()).toBe(generate(small).text());
  });

  it('keeps its error within the bound', () => {
    const cases: Sizes[] = [
      { channels: 16, outputs: 16, image: [24, 24], padding: 1 },
      { channels: 17, outputs: 18, image: [21, 18] },
      { channels: 16, outputs: 19, image: [17, 23], padding: 2, batch: 2, epilogue: true },
      { channels: 20, outputs: 16, image: [18, 19], padding: 1, groups: 2 },
      { channels: 64, outputs: 32, image: [14, 14], padding: 1 },
    ];
    cases.forEach((sizes, i) => {
      const error = errorOf(convolution(sizes), 7 + i);
      expect(error, JSON.stringify(sizes)).toBeLessThan(bound);
    });
  });
});
