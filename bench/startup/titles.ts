/** The workloads by name; what they are stands in `workloads.ts`, which brings the models along. */
export type Workload = 'mlp' | 'gpt' | 'resnet' | 'language';

/** How tables call them. */
export const titles: Readonly<Record<Workload, string>> = {
  mlp: 'MLP step',
  gpt: 'GPT block, forward and backward',
  resnet: 'ResNet-50, forward',
  language: 'language model, step',
};

/** What the benchmark measures. */
export const benchWorkloads: readonly Workload[] = ['mlp', 'gpt', 'resnet'];
