/**
 * What is started: a training step of a classifier, a transformer block forward and backward, and ResNet-50 forward,
 * in the sizes of the bench graphs; and the step of `npm start`, which starts it there.
 */
import { blockLoss, gradientModel, type Model, mlp, modelSizes, resnet50, stepModel } from '../models/index.ts';
import { languageModelStep } from './language-model.ts';
import type { Workload } from './titles.ts';

const { mlp: classifier, gpt, resnet } = modelSizes.bench;

export const workloads = {
  mlp: () => stepModel(mlp(classifier), 'sgd'),
  gpt: () => gradientModel(blockLoss(gpt)),
  resnet: () => resnet50(resnet),
  language: languageModelStep,
} satisfies Readonly<Record<Workload, () => Model>>;
