/**
 * `npm run bench -- ablation`: each pass, rule family and feature left out by turns, and what that does to the bench
 * graphs against the whole pipeline. What makes no difference to a graph is not listed there. Results are compared
 * before anything is timed, and each variant is timed in turn with the whole pipeline.
 */
import type { Module } from '../../ir/types.ts';
import type { BufferHandle } from '../../runtime/device.ts';
import { ready } from '../../tracer/compiler.ts';
import { assertClose, measureInTurn } from '../measure.ts';
import {
  batchNormBlocks,
  gpt,
  gradientModel,
  type Model,
  matmulChains,
  modelsOf,
  resnet50,
  stepModel,
} from '../models/index.ts';
import { traceModel } from '../models/trace.ts';
import type { BenchResult } from '../result.ts';
import { CompiledVariant, handlesOf } from './compiled.ts';
import { type Ablated, type Account, modelTable, type Outcome, summaryTable } from './tables.ts';
import { variants } from './variants.ts';

/** From the registry by name, and some at sizes that run often enough in little time. */
function ablated(): readonly Model[] {
  const named = [
    'MLP step, Adam',
    'transformer block gradient',
    'softmax forward',
    'layerNorm gradient',
    'cross-entropy of rows gradient',
    'chain of exp, sin, erf and division',
  ];
  const registry = modelsOf('bench').filter(({ name }) => named.includes(name));
  return [
    ...registry,
    ...batchNormBlocks({ batch: 8, channels: 64, image: 28 }).slice(-1),
    stepModel(gpt({ batch: 2, time: 64, width: 64, heads: 4, layers: 4, vocabulary: 128 }), 'adam'),
    gradientModel(gpt({ batch: 1, time: 32, width: 64, heads: 4, layers: 12, vocabulary: 128 })),
    resnet50({ batch: 1, image: 64, width: 16, classes: 100 }),
    ...matmulChains(256),
  ];
}

const rounds = { rounds: 15, warmup: 5 };

async function ablateModel(model: Model): Promise<Ablated> {
  const module = traceModel(model);
  const args = model.make(1);
  const inputs = handlesOf(args);
  const whole = new CompiledVariant(module, model.name, new Set());
  const expected = whole.values(inputs);
  const outcomes: Outcome[] = [];
  for (const { name, without } of variants()) {
    const variant = compileVariant(model, module, without);
    if (typeof variant === 'string') outcomes.push({ name, failure: variant });
    else if (variant.equals(whole)) outcomes.push({ name });
    else {
      variant.values(inputs).forEach((values, at) => {
        assertClose(`${model.name} without ${name}, result ${at}`, values, expected[at], 1e-3);
      });
      outcomes.push({ name, figures: { ...accountOf(variant), ...(await timed(variant, whole, inputs)) } });
    }
  }
  const [{ median: run }] = await measureInTurn([{ name: 'whole', run: () => whole.run(inputs) }], rounds);
  // The first compiles found a cold compiler.
  const { compileMs } = new CompiledVariant(module, model.name, new Set());
  return { name: model.name, whole: { ...accountOf(whole), compileMs, run, ratio: 1 }, outcomes };
}

const accountOf = ({ report, compileMs }: CompiledVariant): Account => ({
  kernels: report.groups.length,
  bytesMoved: report.bytesMoved,
  peakBytes: report.memory.peak,
  flops: report.flops,
  compileMs,
});

function compileVariant(model: Model, module: Module, without: ReadonlySet<string>): CompiledVariant | string {
  try {
    return new CompiledVariant(module, model.name, without);
  } catch (error) {
    return String(error);
  }
}

async function timed(
  variant: CompiledVariant,
  whole: CompiledVariant,
  inputs: readonly BufferHandle[],
): Promise<{ readonly run: number; readonly ratio: number }> {
  const [mine, base] = await measureInTurn(
    [
      { name: 'variant', run: () => variant.run(inputs) },
      { name: 'whole', run: () => whole.run(inputs) },
    ],
    rounds,
  );
  return { run: mine.median, ratio: mine.best / base.best };
}

export async function ablationCase(): Promise<BenchResult> {
  await ready();
  const ablatedModels: Ablated[] = [];
  for (const model of ablated()) ablatedModels.push(await ablateModel(model));
  return {
    title: 'What each pass and feature is worth',
    mode: 'fast',
    rows: [],
    tables: [summaryTable(ablatedModels), ...ablatedModels.map(modelTable)],
    notes: [
      'One pass, family of rules or feature is left out at a time. Run times are medians of 15, their ratio to the whole pipeline that of the fastest, timed in turn, arguments on the device, one thread; compile times are from the traced graph to finished code, none of which is remembered.',
    ],
  };
}
