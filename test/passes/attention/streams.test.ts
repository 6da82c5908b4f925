import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dim } from '../../../base/dim.ts';
import { GraphBuilder } from '../../../ir/builder.ts';
import { printKernel } from '../../../ir/kernel-print.ts';
import type { Lowered } from '../../../ir/lowered.ts';
import type { Graph, Literal, Value } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { type AttentionForm, attentionGraph } from '../../support/attention.ts';
import { bitDifference } from '../../support/device-run.ts';
import { faultInAnyWay } from '../../support/every-way.ts';
import { f32, moduleOf, optimized, spread } from '../../support/models.ts';
import { runLowered } from '../../support/run-lowered.ts';
import { runs } from '../../support/runs.ts';
import { sampleInputs } from '../../support/samples.ts';

const plain: AttentionForm = { batch: 2, heads: 3, queries: 11, keys: 13, size: 4, out: 5 };

const lower = (graph: Graph, fusion: 'full' | 'none' = 'full'): Lowered =>
  lowerModule(optimized(graph, 'strict'), { name: 'test', donated: [], precision: 'strict', fusion });

/** Elements of a matrix of scores. */
const scoresOf = ({ batch, heads, queries, keys }: AttentionForm): number =>
  Number(batch) * heads * Number(queries) * Number(keys);

/** Temporaries that could hold a byte for each score. */
const largeTemporaries = (lowered: Lowered, form: AttentionForm): number =>
  lowered.temporaries.filter(({ bytes }) => Number(bytes) >= scoresOf(form)).length;

const variants: Readonly<Record<string, AttentionForm>> = {
  plain,
  'causal mask': { ...plain, mask: 'causal' },
  'padding mask': { ...plain, mask: 'padding' },
  'mask from outside': { ...plain, mask: 'operand' },
  dropout: { ...plain, dropout: true },
  'shared heads': { ...plain, heads: 4, share: 2 },
  'time before heads': { ...plain, timeFirst: true },
  'odd sizes': { ...plain, queries: 37, keys: 37, size: 20, out: 20, mask: 'causal' },
  'a maximum without gradient': { ...plain, stopped: true, mask: 'causal' },
  'one batch, one head': { ...plain, batch: 1, heads: 1, queries: 24, keys: 24 },
};
// The scores of these are larger than any operand, so that their size tells.
const largerThanOperands = (form: AttentionForm): AttentionForm => ({ ...form, queries: 37, keys: 41 });

describe('no scores are stored', () => {
  test.each(Object.entries(variants))('forward: %s', (_, form) => {
    const lowered = lower(attentionGraph(largerThanOperands(form)));
    expect(lowered.launches.length).toBe(1);
    expect(largeTemporaries(lowered, largerThanOperands(form))).toBe(0);
  });

  test.each(Object.entries(variants))('with gradients: %s', (_, form) => {
    const large = largerThanOperands({ ...form, gradient: true });
    const lowered = lower(attentionGraph(large));
    expect(largeTemporaries(lowered, large)).toBe(0);
    expect(lowered.launches.length).toBeLessThanOrEqual(form.share ? 5 : 2);
  });

  test('for a bias from outside, and its gradient is stored once', () => {
    const form: AttentionForm = { ...plain, bias: 'full', gradient: true };
    const lowered = lower(attentionGraph(form));
    expect(largeTemporaries(lowered, form)).toBe(0);
    expect(lowered.launches.length).toBe(2);
  });

  test('but where the weights are a result', () => {
    const lowered = lower(attentionGraph({ ...plain, weightsToo: true }));
    expect(lowered.launches.length).toBe(2);
    expect(largeTemporaries(lowered, plain)).toBe(1);
  });

  test('for one query and many keys', () => {
    const form: AttentionForm = { ...plain, queries: 1, keys: 300 };
    const lowered = lower(attentionGraph(form));
    expect(lowered.launches.length).toBe(1);
  });

  test('without statistics, where scores are much larger than all else', () => {
    const form: AttentionForm = { ...plain, weights: 'linear', mask: 'causal', queries: 64, keys: 64 };
    expect(lower(attentionGraph(form)).launches.length).toBe(1);
    const small = lower(attentionGraph({ ...form, queries: 8, keys: 8 }));
    expect(small.launches.length).toBeGreaterThan(1);
  });
});

const withResults = { 'weights and scores as results': { ...plain, weightsToo: true, mask: 'padding' } as const };

describe('streams change no bit', () => {
  test.each(Object.entries<AttentionForm>({ ...variants, ...withResults }))(
    '%s, forward and with gradients, on the device',
    async (_, form) => {
      for (const gradient of [false, true]) {
        const graph = attentionGraph({ ...form, gradient });
        expect(await faultInAnyWay(moduleOf(graph), sampleInputs(graph))).toBeUndefined();
      }
    },
  );

  test('for any sizes, masks, biases and layouts', () => {
    const size = fc.integer({ min: 1, max: 9 });
    const forms = fc.record({
      batch: fc.integer({ min: 1, max: 2 }),
      pairs: fc.integer({ min: 1, max: 2 }),
      share: fc.constantFrom(1, 2),
      queries: fc.constantFrom(1, 2, 7, 19),
      keys: fc.constantFrom(1, 3, 8, 21),
      size,
      out: size,
      mask: fc.constantFrom('none' as const, 'causal' as const, 'padding' as const, 'operand' as const),
      bias: fc.constantFrom('none' as const, 'full' as const, 'heads' as const),
      dropout: fc.boolean(),
      timeFirst: fc.boolean(),
      stopped: fc.boolean(),
      weights: fc.constantFrom('softmax' as const, 'softmax' as const, 'linear' as const),
      gradient: fc.boolean(),
      weightsToo: fc.boolean(),
      optimize: fc.boolean(),
    });
    fc.assert(
      fc.property(forms, ({ pairs, optimize, ...form }) => {
        const graph = attentionGraph({ ...form, heads: pairs * form.share });
        const module = optimize ? optimized(graph, 'strict') : moduleOf(graph);
        const run = (fusion: 'full' | 'none'): Literal[] =>
          runLowered(
            lowerModule(module, { name: 'test', donated: [], precision: 'strict', fusion }),
            sampleInputs(graph),
          );
        expect(bitDifference(run('full'), run('none'))).toBeUndefined();
      }),
      runs(40, 300),
    );
  });

  test('with symbolic sizes', () => {
    const [queries, keys] = [dim('I', { min: 1, max: 64 }), dim('J', { min: 1, max: 64 })];
    const graph = attentionGraph({ ...plain, queries, keys, mask: 'causal', gradient: true });
    expect(lower(graph).launches.length).toBe(2);
    const inputs = sampleInputs(graph, { I: 9, J: 6 });
    expect(bitDifference(runLowered(lower(graph), inputs), runLowered(lower(graph, 'none'), inputs))).toBeUndefined();
  });
});

describe('kernels', () => {
  test.each([false, true])('with gradients: %s', async (gradient) => {
    const graph = attentionGraph({ ...plain, stopped: true, mask: 'causal', gradient });
    const text = lower(graph).kernels.map(printKernel).join('\n\n');
    await expect(`${text}\n`).toMatchFileSnapshot(`golden/${gradient ? 'gradient' : 'forward'}.txt`);
  });
});

describe('refusals', () => {
  test('statistics that mix rows before they come back', () => {
    const b = new GraphBuilder();
    const [q, k, v] = [b.parameter(f32(2, 7, 4)), b.parameter(f32(2, 9, 4)), b.parameter(f32(2, 9, 5))];
    const product = (lhs: Value, rhs: Value, left: number, right: number): Value =>
      b.op('dot_general', [lhs, rhs], { contract: [[left], [right]], batch: [[0], [0]] });
    const scores = product(q, k, 2, 2);
    const mixed = b.op('reverse', [b.op('reduce', [scores], { kind: 'max', axes: [2] })], { axes: [1] });
    const shifted = b.op('subtract', [scores, spread(b, mixed, [2, 7, 9], [0, 1])]);
    const graph = b.build([product(b.op('exponential', [shifted]), v, 2, 1)]);
    expect(lower(graph).report.refusals.map(({ rule }) => rule)).toContain('score-use');
    const inputs = sampleInputs(graph);
    expect(bitDifference(runLowered(lower(graph), inputs), runLowered(lower(graph, 'none'), inputs))).toBeUndefined();
  });

  const rulesOf = (form: AttentionForm): string[] =>
    lower(attentionGraph(form)).report.refusals.map(({ rule }) => rule);
  test('deep products, and few scores without a batch', () => {
    expect(rulesOf({ ...plain, size: 300 })).toContain('score-depth');
    expect(rulesOf({ ...plain, batch: 1, heads: 1, queries: 8, keys: 8, size: 64 })).toContain('score-size');
  });
});
