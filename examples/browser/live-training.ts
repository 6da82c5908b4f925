/** A training that the page compiles itself: `?compile`. */
import { compile, init, profile, shutdown, tensor, tree } from '../../index.ts';
import { initialState, likelihood, type TrainingState, trainingStep } from '../spirals.ts';
import { codeByKernel, kernelRows } from './kernel-account.ts';
import type { DeviceName } from './protocol.ts';
import { type Functions, type Training, TrainingLoop } from './training.ts';

/** Steps that the kernels are timed in. */
const timedSteps = 10;

export async function openTraining(device: DeviceName): Promise<Training> {
  await shutdown();
  await init({ device });
  const step = compile(trainingStep, { donate: [0], name: 'step' });
  const picture = compile(likelihood, { name: 'picture' });
  const state = initialState();
  await state.step.ready();
  const functions = { step, likelihood: picture, tensor } as unknown as Functions<TrainingState>;
  const loop = new TrainingLoop(functions, state);
  const [, points, labels, pixels] = loop.arguments as unknown as [unknown, ...Parameters<typeof likelihood>[1][]];
  const start = performance.now();
  await step.warmup(state, points, labels);
  const startMilliseconds = performance.now() - start;
  await picture.warmup(state.parameters, pixels);
  await picture.warmup(state.parameters, points);
  const { tier, groups } = step.explain(state, points, labels);
  const parameters = tree.leaves(state.parameters).reduce((sum, leaf) => sum + leaf.size, 0);
  return {
    account: { isBaked: false, tier, kernels: kernelRows(groups), parameters, startMilliseconds },
    loop,
    async timeKernels() {
      const { launches } = await profile(() => loop.advance(timedSteps).data());
      const times = new Map<string, number>();
      for (const { kernel, milliseconds } of launches) {
        times.set(kernel, (times.get(kernel) ?? 0) + milliseconds / timedSteps);
      }
      return times;
    },
    code: async () => codeByKernel(step.lower(loop.arguments[0], points, labels).code.text),
  };
}
