import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { handwrittenChain } from '../../bench/handwritten/chain.ts';
import { registerTile } from '../../bench/handwritten/register-tile.ts';
import { ulpError } from '../../bench/math-reference.ts';
import { wasmFeatures } from '../../runtime/wasm/features.ts';
import { runs } from '../support/runs.ts';

describe('the hand-written chain', () => {
  it('computes relu(tanh(2x+1)*x) for every number of vectors', async () => {
    const arrays = fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 40 });
    const property = fc.asyncProperty(arrays, async (numbers) => {
      const data = Float32Array.from(numbers.flatMap((x) => [x, -x, x / 4, -x / 4]));
      const chain = await handwrittenChain(data);
      chain.run();
      const result = chain.result();
      for (const [i, x] of data.entries()) {
        // 2x + 1 is rounded to float32 here as there; the rest in double precision.
        const exact = Math.max(0, Math.tanh(Math.fround(2 * x + 1)) * x);
        if (exact === 0) expect(Math.abs(result[i])).toBe(0);
        else expect(ulpError(result[i], exact), `at ${x}`).toBeLessThanOrEqual(8);
      }
    });
    await fc.assert(property, runs(40));
  });

  it('computes more than one call and keeps NaN', async () => {
    const data = new Float32Array(65536 + 32).fill(0.5);
    data[65536 + 29] = Number.NaN;
    const chain = await handwrittenChain(data);
    chain.run();
    const result = chain.result();
    expect(result[65536 + 29]).toBeNaN();
    expect(result.filter((y) => Math.abs(y - 0.5 * Math.tanh(2)) < 1e-7).length).toBe(data.length - 1);
  });
});

describe('the hand-written register tile', () => {
  it('sums 256 products of sixteenths, plain and fused', async () => {
    for (const fused of wasmFeatures().relaxedSimd ? [false, true] : [false]) {
      const tile = await registerTile({ rows: 5, vectors: 2, fused });
      tile.run(2);
      expect(tile.result()).toEqual(new Float32Array(40).fill(1));
    }
  });
});
