/**
 * `npm run bench -- ablation`: each pass, rule family and feature left out by turns, and what that does to the bench
 * graphs against the whole pipeline. What makes no difference to a graph is not listed there. Results are compared
 * before anything is timed, and each variant is timed in turn with the whole pipeline.
 */
import type { Module } from '../../ir/types.ts';
import { ready } from '../../tracer/compiler.ts';
import { assertClose, measureInTurn } from '../measure.ts';
import { batchNormBlocks, gpt, type Model, matmulChains, modelsOf, resnet50, stepModel } from '../models/index.ts';
import { traceModel } from '../models/trace.ts';
import type { BenchResult, BenchTable } from '../result.ts';
import { formatBytes, formatCount, formatMs } from '../table.ts';
import { CompiledVariant, handlesOf } from './compiled.ts';
import { type Variant, variants } from './variants.ts';

/** From the registry by name, and some at sizes that run often enough in little time. */
function ablated(): readonly Model[] {
  const named = [
    'MLP step, Adam',
    'transformer block gradient',
    'softmax forward',
    'layerNorm gradient',
    'cross-entropy gradient',
    'chain of exp, sin, erf and division',
  ];
  const registry = modelsOf('bench').filter(({ name }) => named.includes(name));
  return [
    ...registry,
    ...batchNormBlocks({ batch: 8, channels: 64, image: 28 }).slice(-1),
    stepModel(gpt({ batch: 2, time: 64, width: 64, heads: 4, layers: 4, vocabulary: 128 }), 'adam'),
    resnet50({ batch: 1, image: 64, width: 16, classes: 100 }),
    ...matmulChains(256),
  ];
}

const columns = ['left out', 'kernels', 'bytes moved', 'peak bytes', 'FLOPs', 'compile', 'run', 'against whole'];

const accountOf = ({ report, compileMs }: CompiledVariant): string[] => [
  String(report.groups.length),
  formatBytes(report.bytesMoved),
  formatBytes(report.memory.peak),
  formatCount(report.flops),
  formatMs(compileMs),
];

async function ablateModel(model: Model): Promise<BenchTable> {
  const module = traceModel(model);
  const args = model.make(1);
  const inputs = handlesOf(args);
  new CompiledVariant(module, model.name, new Set()); // the compiler itself gets warm
  const whole = new CompiledVariant(module, model.name, new Set());
  const expected = whole.values(inputs);
  const rows: string[][] = [];
  const same: string[] = [];
  for (const variant of variants()) {
    const compiled = compileVariant(model, module, variant);
    if (typeof compiled === 'string') rows.push([variant.name, compiled, ...columns.slice(2).map(() => '')]);
    else if (compiled.equals(whole)) same.push(variant.name);
    else {
      compiled.values(inputs).forEach((values, at) => {
        assertClose(`${model.name} without ${variant.name}, result ${at}`, values, expected[at], 1e-3);
      });
      rows.push([variant.name, ...accountOf(compiled), ...(await timed(compiled, whole, inputs))]);
    }
  }
  const [{ median }] = await measureInTurn([{ name: 'whole', run: () => whole.run(inputs) }], rounds);
  return {
    title: model.name,
    columns,
    rows: [['nothing', ...accountOf(whole), formatMs(median), ''], ...rows],
    ...(same.length > 0 && { note: `No difference: ${same.join(', ')}.` }),
  };
}

const rounds = { rounds: 15, warmup: 5 };

function compileVariant(model: Model, module: Module, { without }: Variant): CompiledVariant | string {
  try {
    return new CompiledVariant(module, model.name, without);
  } catch (error) {
    return `needed: ${String(error)}`;
  }
}

async function timed(
  variant: CompiledVariant,
  whole: CompiledVariant,
  inputs: ReturnType<typeof handlesOf>,
): Promise<string[]> {
  const [mine, base] = await measureInTurn(
    [
      { name: 'variant', run: () => variant.run(inputs) },
      { name: 'whole', run: () => whole.run(inputs) },
    ],
    rounds,
  );
  return [formatMs(mine.median), `${(mine.median / base.median).toFixed(2)}x`];
}

export async function ablationCase(): Promise<BenchResult> {
  await ready();
  const tables: BenchTable[] = [];
  for (const model of ablated()) tables.push(await ablateModel(model));
  return {
    title: 'What each pass and feature is worth',
    mode: 'fast',
    rows: [],
    tables,
    notes: ['Run times are medians of 15 in turn with the whole pipeline, arguments on the device, one thread.'],
  };
}
