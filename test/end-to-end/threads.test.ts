/**
 * Strict results have the same bits on any number of threads. Here everything with more than one tile is shared, tile
 * by tile, however short; the models are large enough that most of their kernels have several. The suites of single
 * ops, random graphs and models run on shared memory too: the project `threads` (`vitest.config.ts`).
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  batchNormBlocks,
  blockLoss,
  elementwiseChains,
  gradientModel,
  type Model,
  matmulChains,
  mlp,
  resnet50,
  rowBlocks,
  stepModel,
} from '../../bench/models/index.ts';
import { defineModel, inputs } from '../../bench/models/model.ts';
import { compile, conv2d, init, shutdown, softmax, type Tensor, topk, tree } from '../../index.ts';
import { Random } from '../../ir/ops/random.ts';
import { mainOf } from '../../ir/types.ts';
import { costModel } from '../../runtime/wasm/cost.ts';
import { bitDifference, compileModule, runProgram } from '../support/device-run.ts';
import { layersCase } from '../support/layer-ways.ts';
import { randomLayers } from '../support/random-layers.ts';
import { isFullRun } from '../support/runs.ts';

const counts = [1, 2, 3, 4, 7];
const usual = { ...costModel };

beforeAll(() => {
  Object.assign(costModel, { leastMicroseconds: 0, grainMicroseconds: 0, wakeMicroseconds: 0 });
});
afterAll(async () => {
  Object.assign(costModel, usual);
  await shutdown();
});

const matrices = [inputs.floats([150, 170]), inputs.floats([170, 190])];
const single: readonly Model[] = [
  defineModel(
    'matmul, transposed',
    (a: Tensor, b: Tensor) => b.mT.matmul(a.mT).add(1).relu(),
    () => matrices,
  ),
  defineModel(
    'sums',
    (x: Tensor) => [x.sum(), x.sum(0), x.sum(1), x.max(), x.argmax(0)],
    () => [inputs.floats([300, 700])],
  ),
  defineModel(
    'columns',
    (x: Tensor) => [softmax(x, 0), x.mean(0)],
    () => [inputs.floats([300, 210])],
  ),
  defineModel(
    'moved',
    (x: Tensor) => [x.transpose([2, 0, 1]).mul(2), x.mT.add(1)],
    () => [inputs.floats([60, 70, 80])],
  ),
  defineModel(
    'images',
    (x: Tensor, w: Tensor) => conv2d(x, w, null, { padding: 'same' }),
    () => [inputs.floats([2, 16, 30, 30]), inputs.weight([24, 16, 3, 3], 144)],
  ),
  defineModel(
    'sorted',
    (x: Tensor) => topk(x, 5),
    () => [inputs.floats([200, 300])],
  ),
];

const models: readonly Model[] = [
  ...single,
  stepModel(mlp({ batch: 96, sizes: [200, 256, 10] }), 'adam'),
  gradientModel(blockLoss({ batch: 2, time: 130, width: 64, heads: 4 })),
  resnet50({ batch: 1, image: 64, width: 8, blocks: [2, 1, 1, 1], classes: 50 }),
  ...rowBlocks({ rows: 300, size: 260, batch: 8 }),
  ...batchNormBlocks({ batch: 4, channels: 32, image: 20 }),
  ...elementwiseChains(200_000),
  ...matmulChains(200),
];

/** The bits of all results, called twice. */
async function bitsOn(threads: number, model: Model): Promise<string[]> {
  await shutdown();
  await init({ threads, precision: 'strict' });
  const compiled = compile(model.fn, { precision: 'strict' });
  await compiled.warmup(...model.make(5));
  const run = (fn: (...args: unknown[]) => unknown): string[] =>
    (tree.leaves(fn(...model.make(5)) as Tensor[]) as Tensor[]).map((result) => {
      const { buffer, byteOffset, byteLength } = result.dataSync();
      return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
    });
  return [...run(compiled), ...run(compiled)];
}

test.each(models.map((model) => [model.name, model] as const))('%s', async (_, model) => {
  const expected = await bitsOn(1, model);
  for (const threads of isFullRun || single.includes(model) ? counts.slice(1) : [3]) {
    const given = await bitsOn(threads, model);
    expect(given.length).toBe(expected.length);
    given.forEach((bits, i) => {
      expect(bits === expected[i], `${threads} threads, result ${i}`).toBe(true);
    });
  }
});

test('random networks of layers', async () => {
  for (let seed = 0; seed < (isFullRun ? 60 : 2); seed++) {
    const { module, inputs: values } = await layersCase(
      randomLayers(seed),
      new Random(seed, { special: false }),
      false,
    );
    let expected: Awaited<ReturnType<typeof runProgram>> | undefined;
    for (const threads of isFullRun ? counts : [1, 2, 7]) {
      await shutdown();
      await init({ threads });
      const given = await runProgram(compileModule(module, { precision: 'strict' }), mainOf(module).graph, values);
      expected ??= given;
      expect(bitDifference(given, expected), `seed ${seed}, ${threads} threads`).toBeUndefined();
    }
  }
});

test('fifty calls in flight give what they give one by one', async () => {
  await shutdown();
  await init({ threads: 3 });
  const step = compile((x: Tensor, w: Tensor) => softmax(x.matmul(w).relu(), -1), { precision: 'strict' });
  const specs = [inputs.floats([120, 130]), inputs.floats([130, 140])];
  const args = Array.from(
    { length: 50 },
    (_, i) =>
      defineModel(
        'step',
        () => 0,
        () => specs,
      ).make(i) as [Tensor, Tensor],
  );
  const together = await Promise.all(args.map(([x, w]) => step(x, w).data()));
  for (let i = 0; i < 50; i++) {
    const alone = await step(...args[i]).data();
    expect(Buffer.compare(Buffer.from(alone.buffer), Buffer.from(together[i].buffer))).toBe(0);
  }
});
