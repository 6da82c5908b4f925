/**
 * A training whose functions were compiled when the page was built: nothing here traces or compiles. The artefact brings
 * the fresh state along, so that every device begins with the same bits.
 */
import { type DeviceArray, load, shutdown, tensor } from '../../runtime/index.ts';
import type { KernelAccount, KernelCode } from './kernel-account.ts';
import type { DeviceName } from './protocol.ts';
import { type Functions, type State, type Training, TrainingLoop } from './training.ts';

const artefact = new URL('./spirals.kiln', import.meta.url);

interface Weights {
  readonly state: State;
}

/** What was loaded: nothing of it needs a page. */
export interface LoadedTraining {
  readonly loop: TrainingLoop;
  /** Of the artefact's targets the one that runs here. */
  readonly target: string;
  readonly parameters: number;
}

/** Loads the functions and the fresh state onto a device. */
export async function loadTraining(device: DeviceName): Promise<LoadedTraining> {
  const loaded = await load<Omit<Functions<State>, 'tensor'>, Weights>(artefact, { device });
  await loaded.ready();
  const { functions, weights, target } = loaded;
  const loop = new TrainingLoop({ ...functions, tensor }, weights.state);
  const parameters = arraysIn(weights.state.parameters).reduce((sum, { size }) => sum + size, 0);
  return { loop, target, parameters };
}

export async function openTraining(device: DeviceName): Promise<Training> {
  await shutdown();
  const start = performance.now();
  const { loop, target, parameters } = await loadTraining(device);
  const startMilliseconds = performance.now() - start;
  const { tier, kernels } = await told<KernelAccount>(target);
  return {
    account: { isBaked: true, tier, kernels, parameters, startMilliseconds },
    loop,
    timeKernels: async () => undefined,
    code: () => told<KernelCode>(`${target}.code`),
  };
}

/** What was written down of a target when it was compiled. */
async function told<T>(what: string): Promise<T> {
  const answer = await fetch(new URL(`./spirals.${what}.json`, import.meta.url));
  return (await answer.json()) as T;
}

declare function fetch(url: URL): Promise<{ json(): Promise<unknown> }>;

/** The arrays of a tree. */
function arraysIn(tree: unknown): DeviceArray[] {
  if (typeof tree !== 'object' || tree === null) return [];
  if ('size' in tree && 'dtype' in tree) return [tree as DeviceArray];
  return Object.values(tree).flatMap(arraysIn);
}
