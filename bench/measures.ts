/**
 * What the optimiser promises about the bench graphs, in numbers that no machine changes: kernels launched. Bytes moved
 * go with them. Nothing runs: `explain()` knows both.
 *
 *     transformer block forward        8 kernels at most
 *     softmax gradient                 2 kernels at most
 */
import { compile, type Explanation } from '../index.ts';
import type { Lowered } from '../ir/lowered.ts';
import { mainOf } from '../ir/types.ts';
import type { FusionTarget } from '../passes/fuse/target.ts';
import { lowerModule } from '../passes/lower-module.ts';
import { runPasses } from '../passes/manager.ts';
import { optimizePipeline } from '../passes/optimize/index.ts';
import { convolutionCount, gpt, type Model, modelSizes, stepModel } from './models/index.ts';
import { traceModel } from './models/trace.ts';

/** What `explain()` says of a model. */
export const explainModel = (model: Model): Explanation =>
  compile(model.fn, { name: model.name }).explain(...model.specs());

/** What a model is lowered to for a target that need not be here, without a device. */
export function lowerModel(model: Model, target: FusionTarget): Lowered {
  const module = traceModel(model);
  const context = { precision: 'fast', verify: false, constantBudget: 1 << 16, target } as const;
  const donated = mainOf(module).graph.parameters.map(() => false);
  return lowerModule(runPasses(module, optimizePipeline, context), {
    name: model.name,
    donated,
    precision: 'fast',
    target,
  });
}

/** Kernels of a whole training step of a GPT, by depth: so many a layer, and a constant. */
export function stepKernels(): { readonly aLayer: number; readonly constant: number } {
  const depths = [2, 4, 6];
  const counts = depths.map(
    (layers) => explainModel(stepModel(gpt({ ...modelSizes.bench.gpt, layers }), 'adam')).kernels,
  );
  const aLayer = Math.max(counts[1] - counts[0], counts[2] - counts[1]) / 2;
  return { aLayer, constant: counts[1] - 4 * aLayer };
}

/** Kernels that one run of a bench graph may launch, by its name. */
export const kernelLimits: Readonly<Record<string, number>> = {
  'MLP step, SGD': 12,
  'MLP step, Adam': 12,
  'transformer block forward': 8,
  // The poolings, and the head.
  'ResNet-50 forward': convolutionCount([3, 4, 6, 3]) + 3,
  'softmax forward': 1,
  'softmax gradient': 2,
  'logSoftmax forward': 1,
  'logSoftmax gradient': 2,
  'layerNorm forward': 1,
  'layerNorm gradient': 2,
  'rmsNorm forward': 1,
  'rmsNorm gradient': 2,
  'cross-entropy of rows forward': 1,
  'cross-entropy of rows gradient': 2,
  'mean cross-entropy forward': 1,
  'mean cross-entropy gradient': 2,
  'batchNorm statistics': 1,
  'batchNorm forward': 1,
  'batchNorm gradient': 2,
  gelu: 1,
  'gelu by tanh': 1,
  silu: 1,
  'relu(tanh(2x+1)*x)': 1,
  'chain of exp, sin, erf and division': 1,
  'chain of 30 operations': 1,
  'dequantised matmul': 1,
};

/** Kernels of a training step of a GPT, for each layer. */
export const stepKernelsALayer = 25;
