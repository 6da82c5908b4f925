/** Resizing against the formulas of `torch.nn.functional.interpolate`, element by element. */
import { describe, expect, it } from 'vitest';
import { checkGrads, compile, type InterpolateOptions, interpolate, type Tensor, tensor } from '../../index.ts';
import { errorOf } from '../support/errors.ts';

const image = (...shape: number[]): Tensor<'float32'> => {
  const count = shape.reduce((a, b) => a * b, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7)),
    { shape },
  );
};

/** What an axis of the result reads: positions and weights. */
function reads(from: number, to: number, linear: boolean, corners: boolean, factor?: number) {
  return Array.from({ length: to }, (_, i): (readonly [number, number])[] => {
    const scale = factor === undefined ? from / to : 1 / factor;
    if (!linear) return [[Math.min(Math.floor(i * Math.fround(scale)), from - 1), 1]];
    const place = corners ? (i * (from - 1)) / Math.max(1, to - 1) : Math.max(0, (i + 0.5) * scale - 0.5);
    const first = Math.min(Math.floor(place), from - 1);
    return [
      [first, 1 - (place - first)],
      [Math.min(first + 1, from - 1), place - first],
    ];
  });
}

async function check(shape: readonly [number, number, number, number], options: InterpolateOptions): Promise<void> {
  const [batch, channels, height, width] = shape;
  const x = image(...shape);
  const y = interpolate(x, options);
  const [h, w] = [Number(y.shape[2]), Number(y.shape[3])];
  const linear = options.mode === 'bilinear';
  const factor = options.scaleFactor as number | undefined;
  const rows = reads(height, h, linear, options.alignCorners ?? false, factor);
  const columns = reads(width, w, linear, options.alignCorners ?? false, factor);
  const data = await x.data();
  const expected: number[] = [];
  for (let plane = 0; plane < batch * channels; plane++) {
    for (const row of rows) {
      for (const column of columns) {
        let sum = 0;
        for (const [i, a] of row) for (const [j, b] of column) sum += a * b * data[(plane * height + i) * width + j];
        expected.push(sum);
      }
    }
  }
  const actual = await y.data();
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i] - value)).toBeLessThan(1e-5);
  });
  const compiled = await compile((input: Tensor) => interpolate(input, options))(x).data();
  expect(Array.from(compiled as Float32Array)).toEqual(Array.from(actual as Float32Array));
}

describe('interpolate', () => {
  it('takes nearest neighbours, upwards, downwards and by fractions', async () => {
    await check([1, 2, 5, 6], { scaleFactor: 2 });
    await check([2, 1, 5, 6], { size: [10, 18] });
    await check([1, 2, 9, 7], { size: [4, 5] });
    await check([1, 2, 9, 7], { scaleFactor: 1.5 });
  });

  it('is linear between neighbours, with corners aligned or not', async () => {
    for (const alignCorners of [false, true]) {
      await check([1, 2, 5, 6], { scaleFactor: 2, mode: 'bilinear', alignCorners });
      await check([2, 1, 9, 7], { size: [4, 13], mode: 'bilinear', alignCorners });
      await check([1, 1, 3, 4], { size: 1, mode: 'bilinear', alignCorners });
    }
  });

  it('keeps layouts, ranks and integers', () => {
    expect(interpolate(image(1, 4, 5, 2), { scaleFactor: 2, layout: 'NHWC' }).shape).toEqual([1, 8, 10, 2]);
    expect(interpolate(image(1, 2, 5), { size: 7, mode: 'linear' }).shape).toEqual([1, 2, 7]);
    expect(interpolate(image(1, 2, 2, 3, 4), { scaleFactor: [2, 1, 3], mode: 'trilinear' }).shape).toEqual([
      1, 2, 4, 3, 12,
    ]);
    expect(interpolate(tensor([[[1, 2]]], { dtype: 'int32' }), { size: 3 }).dtype).toBe('int32');
  });

  it('has gradients', async () => {
    await checkGrads((x) => interpolate(x, { scaleFactor: 2 }).square().sum(), [image(1, 1, 3, 4)]);
    await checkGrads(
      (x) =>
        interpolate(x, { size: [5, 3], mode: 'bilinear' })
          .square()
          .sum(),
      [image(1, 1, 3, 4)],
    );
  });

  it('refuses what does not fit', () => {
    const x = image(1, 1, 4, 4);
    const code = (options: InterpolateOptions, input: Tensor = x): string =>
      errorOf(() => interpolate(input, options)).code;
    expect(code({})).toBe('invalid_argument');
    expect(code({ size: 3, scaleFactor: 2 })).toBe('invalid_argument');
    expect(code({ size: 0 })).toBe('invalid_argument');
    expect(code({ scaleFactor: 0.1 })).toBe('invalid_argument');
    expect(code({ size: 3, mode: 'linear' })).toBe('invalid_argument');
    expect(code({ size: 3, alignCorners: true })).toBe('invalid_argument');
    expect(code({ size: 3 }, image(4, 4))).toBe('shape_mismatch');
  });
});
