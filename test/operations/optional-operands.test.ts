/** Optional operands may be left out: the options then follow the operands that are there. */
import { describe, expect, test } from 'vitest';
import { compile, conv2d, layerNorm, ones, random, rmsNorm, type Tensor } from '../../index.ts';

const [a, b, c] = random.split(random.key(3), 3).unstack();
const image = random.normal(a, [2, 3, 6, 6]);
const weight = random.normal(b, [4, 3, 3, 3]);
const rows = random.normal(c, [5, 8]);

const same = async (actual: Tensor, expected: Tensor): Promise<void> =>
  expect(await actual.array()).toEqual(await expected.array());

describe('options without the optional operands before them', () => {
  test('convolution', async () => {
    await same(conv2d(image, weight, { padding: 1 }), conv2d(image, weight, null, { padding: 1 }));
    await same(image.conv2d(weight, { stride: 2 }), conv2d(image, weight, undefined, { stride: 2 }));
    const compiled = compile((x: Tensor, w: Tensor) => x.conv2d(w, { padding: 'same' }));
    await same(compiled(image, weight), conv2d(image, weight, null, { padding: 'same' }));
  });

  test('norms', async () => {
    const scale = ones([8]).mul(2);
    await same(layerNorm(rows, { eps: 1 }), layerNorm(rows, null, null, { eps: 1 }));
    await same(layerNorm(rows, scale, { eps: 1 }), layerNorm(rows, scale, null, { eps: 1 }));
    await same(rmsNorm(rows, { eps: 1 }), rmsNorm(rows, null, { eps: 1 }));
  });

  test('an operand behind the options is an error', () => {
    const wrong = layerNorm as (...args: readonly unknown[]) => Tensor;
    expect(() => wrong(rows, { eps: 1 }, ones([8]))).toThrow(/\[invalid_argument\] options are the last argument/);
  });
});
