/**
 * Random networks of repeated layers, the same in every way of compiling them: op by op, whole, with a part of the
 * compiler left out, within less memory, with inputs given up, called again, and at symbolic sizes; NaN and infinities
 * among the inputs too. A failure prints the seed and what the network is made of.
 */
import { expect, test } from 'vitest';
import { Random } from '../../ir/ops/random.ts';
import { ready } from '../../tracer/compiler.ts';
import { faultOfLayers, faultOfSymbolicLayers, layersCase } from '../support/layer-ways.ts';
import { randomLayers } from '../support/random-layers.ts';
import { caseCount } from '../support/runs.ts';

await ready();

const firstSeed = Number(process.env.KILN_TEST_SEED ?? 0);

async function checkAll(
  count: number,
  check: (seed: number, random: Random) => Promise<string | undefined>,
): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const fault = await check(seed, new Random(seed, { special: false }));
    if (fault !== undefined) expect.fail(`seed ${seed}: ${fault}\n${randomLayers(seed).text}`);
  }
}

test.each([
  ['ordinary values', false],
  ['NaN, infinities, -0', true],
])('%s', async (_, special) => {
  await checkAll(caseCount(4, 200), async (seed, random) =>
    faultOfLayers(await layersCase(randomLayers(seed), random, special), random, 1),
  );
});

test.each(['fast', 'strict'] as const)('symbolic sizes, %s', async (precision) => {
  await checkAll(caseCount(1, 100), (seed, random) => faultOfSymbolicLayers(randomLayers(seed), random, precision));
});
