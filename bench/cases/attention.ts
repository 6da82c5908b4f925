/**
 * Attention, forward and with its gradient, with scores that are never stored (`fuse/streams`) against the same compile
 * with scores in memory: kernels, bytes and time.
 */
import { grad, scaledDotProductAttention, type Tensor } from '../../index.ts';
import { ready } from '../../tracer/compiler.ts';
import { CompiledVariant, handlesOf } from '../ablation/compiled.ts';
import { assertClose, measureInTurn } from '../measure.ts';
import { defineModel, inputs, type Model } from '../models/model.ts';
import { traceModel } from '../models/trace.ts';
import type { BenchResult, BenchRow } from '../result.ts';
import { formatMs } from '../table.ts';

const [heads, size] = [8, 64];
const lengths = [128, 512, 1024];
const stored = new Set(['fuse/streams', 'recomputeScores']);

type Attention = (q: Tensor, k: Tensor, v: Tensor) => Tensor;
const attention: Attention = (q, k, v) => scaledDotProductAttention(q, k, v, { isCausal: true });

function models(time: number): readonly Model[] {
  const operands = () => Array.from({ length: 3 }, () => inputs.floats([1, heads, time, size]));
  const gradient = grad(
    (...args: Parameters<Attention>) =>
      attention(...args)
        .tanh()
        .sum(),
    { argnums: [0, 1, 2] },
  );
  return [
    defineModel(`attention forward, ${time} positions`, attention, operands),
    defineModel(`attention gradient, ${time} positions`, gradient, operands),
  ];
}

export async function attentionCase(): Promise<BenchResult> {
  await ready();
  const rows: BenchRow[] = [];
  for (const model of lengths.flatMap(models)) rows.push(await rowOf(model));
  const notes = ['One batch, 8 heads of 64, causal. Peak bytes include operands and results.'];
  return { title: 'Attention without stored scores, one thread', mode: 'fast', rows, notes };
}

async function rowOf(model: Model): Promise<BenchRow> {
  const module = traceModel(model);
  const handles = handlesOf(model.make(1));
  const variants = [new Set<string>(), stored].map((without) => new CompiledVariant(module, model.name, without));
  const [values, expected] = variants.map((variant) => variant.values(handles));
  for (const [at, value] of values.entries()) assertClose(model.name, value, expected[at]);
  const times = await measureInTurn(
    variants.map((variant) => ({ name: model.name, run: () => variant.run(handles) })),
    { rounds: 12, warmup: 3 },
  );
  const told = variants.map(({ report }, at) => {
    const { groups, bytesMoved, memory } = report;
    const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
    return `${formatMs(times[at].median)}, ${groups.length} kernels, ${megabytes(bytesMoved)} moved, ${megabytes(memory.peak)} held`;
  });
  const ratio = times[1].median / times[0].median;
  return { work: model.name, measured: told.join(' against '), figure: `${ratio.toFixed(2)}x` };
}
