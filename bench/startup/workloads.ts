/**
 * What is started: a training step of a classifier, a transformer block forward and backward, and ResNet-50 forward,
 * in the sizes of the bench graphs; and the step of `npm start`, which starts it there.
 */
import { blockLoss, gradientModel, type Model, mlp, modelSizes, resnet50, stepModel } from '../models/index.ts';
import { languageModelStep } from './language-model.ts';

const { mlp: classifier, gpt, resnet } = modelSizes.bench;

export const workloads = {
  mlp: () => stepModel(mlp(classifier), 'sgd'),
  gpt: () => gradientModel(blockLoss(gpt)),
  resnet: () => resnet50(resnet),
  language: languageModelStep,
} as const satisfies Readonly<Record<string, () => Model>>;

export type Workload = keyof typeof workloads;

/** How tables call them. */
export const titles: Readonly<Record<Workload, string>> = {
  mlp: 'MLP step',
  gpt: 'GPT block, forward and backward',
  resnet: 'ResNet-50, forward',
  language: 'language model, step',
};

/** What the benchmark measures. */
export const benchWorkloads: readonly Workload[] = ['mlp', 'gpt', 'resnet'];
