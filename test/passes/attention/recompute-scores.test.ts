import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../../ir/builder.ts';
import { evaluateModule } from '../../../ir/evaluate.ts';
import { printModule } from '../../../ir/printer.ts';
import { type Graph, type Literal, type Module, mainOf, type Op, type Value } from '../../../ir/types.ts';
import { recomputeScores } from '../../../passes/attention/recompute-scores.ts';
import { vjpGraph } from '../../../passes/grad/index.ts';
import { runPasses } from '../../../passes/manager.ts';
import { type AttentionForm, attentionGraph } from '../../support/attention.ts';
import { bitDifference } from '../../support/device-run.ts';
import { faultInAnyWay } from '../../support/every-way.ts';
import { moduleOf } from '../../support/models.ts';
import { sampleInputs } from '../../support/samples.ts';

const form: AttentionForm = { batch: 2, heads: 3, queries: 11, keys: 13, size: 4, out: 5, stopped: true };

/** The sum of `tanh(attention)`, so that the gradient needs the result, and its gradients. */
function lossGraph(of: AttentionForm): Graph {
  const { parameters, ops, results } = attentionGraph(of);
  const b = new GraphBuilder();
  const renamed = new Map<Value, Value>();
  for (const parameter of parameters) renamed.set(parameter, b.parameter(parameter.type));
  for (const op of ops)
    b.append({ ...op, operands: op.operands.map((operand) => renamed.get(operand) ?? operand) } as Op);
  const loss = b.op('reduce', [b.op('tanh', [results[0]])], { kind: 'sum', axes: [0, 1, 2, 3] });
  const wrt = parameters.flatMap(({ type }, at) => (type.dtype === 'float32' ? [at] : []));
  return vjpGraph(b.build([loss]), { wrt, outputs: [0] });
}

const recomputed = (module: Module): Module =>
  runPasses(module, [recomputeScores], { precision: 'strict', verify: true, constantBudget: 0 });

/** Scores that are computed up to the result of the attention and used after it. */
function sharedScores({ ops }: Graph): number {
  const end = ops.findIndex(({ opcode }) => opcode === 'tanh');
  const before = new Set(ops.slice(0, end).flatMap(({ results }) => results));
  const used = new Set(ops.slice(end).flatMap(({ operands }) => operands));
  const isScores = ({ type }: Value): boolean => type.dtype === 'float32' && type.shape.slice(2).join() === '11,13';
  const isMade = new Set(ops.filter(({ operands }) => operands.length === 0).flatMap(({ results }) => results));
  return [...used].filter((value) => before.has(value) && isScores(value) && !isMade.has(value)).length;
}

const forms: Readonly<Record<string, AttentionForm>> = {
  plain: form,
  'causal mask': { ...form, mask: 'causal' },
  'padding mask': { ...form, mask: 'padding' },
  'mask from outside': { ...form, mask: 'operand' },
  dropout: { ...form, dropout: true },
  'shared heads': { ...form, heads: 4, share: 2, timeFirst: true },
  'gradient through the maximum': { ...form, stopped: false },
};

describe('recomputeScores', () => {
  test.each(Object.entries(forms))('nothing of the size of scores is shared: %s', (_, of) => {
    const module = moduleOf(lossGraph(of));
    expect(sharedScores(mainOf(module).graph)).toBeGreaterThan(0);
    expect(sharedScores(mainOf(recomputed(module)).graph)).toBe(0);
  });

  test.each(Object.entries(forms))('changes no result, once it is done nothing more: %s', (_, of) => {
    const before = moduleOf(lossGraph(of));
    const module = recomputed(before);
    expect(recomputed(module)).toBe(module);
    const inputs = sampleInputs(mainOf(module).graph);
    const run = (one: Module): Literal[] => [...evaluateModule(one, inputs, { mode: 'rounded' })];
    expect(bitDifference(run(module), run(before))).toBeUndefined();
  });

  test('kernels of both sides give the bits of single ops', async () => {
    const module = recomputed(moduleOf(lossGraph({ ...form, mask: 'causal', share: 3, dropout: true })));
    expect(await faultInAnyWay(module, sampleInputs(mainOf(module).graph))).toBeUndefined();
  });

  test('leaves graphs without a gradient as they are', () => {
    const module = moduleOf(attentionGraph(form));
    expect(recomputed(module)).toBe(module);
  });

  test('as text', async () => {
    const text = printModule(recomputed(moduleOf(lossGraph({ ...form, mask: 'causal' }))));
    await expect(text).toMatchFileSnapshot('golden/recompute-scores.ir');
  });
});
