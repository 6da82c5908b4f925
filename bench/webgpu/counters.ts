/**
 * What a runtime asks of WebGPU, counted at the interface itself, so that all runtimes are counted alike: work recorded,
 * submissions, pipelines. It also knows every device, to wait for.
 *
 *     countCalls();
 *     const before = counts();
 *     …
 *     since(before)      // { dispatches: 3, submits: 1, pipelines: 0 }
 */

export interface Counts {
  readonly dispatches: number;
  readonly submits: number;
  readonly pipelines: number;
}

const current = { dispatches: 0, submits: 0, pipelines: 0 };
const devices = new Set<GPUDevice>();
let isCounting = false;

/** A method of a class of WebGPU, wherever its types are. */
type Method = (this: unknown, ...args: unknown[]) => unknown;

function around(owner: string, name: string, then: (result: unknown) => void): void {
  const { prototype } = (globalThis as unknown as Readonly<Record<string, { readonly prototype: object }>>)[owner];
  const methods = prototype as Record<string, Method>;
  const method = methods[name];
  methods[name] = function (...args) {
    const result = method.apply(this, args);
    then(result);
    return result;
  };
}

/** Begins to count; again is no error. */
export function countCalls(): void {
  if (isCounting) return;
  isCounting = true;
  const adds = (what: keyof Counts) => (): void => {
    current[what]++;
  };
  around('GPUComputePassEncoder', 'dispatchWorkgroups', adds('dispatches'));
  around('GPUComputePassEncoder', 'dispatchWorkgroupsIndirect', adds('dispatches'));
  around('GPUQueue', 'submit', adds('submits'));
  around('GPUDevice', 'createComputePipeline', adds('pipelines'));
  around('GPUDevice', 'createComputePipelineAsync', adds('pipelines'));
  around('GPUAdapter', 'requestDevice', (result) => {
    void (result as Promise<GPUDevice>).then((device) => devices.add(device));
  });
}

export const counts = (): Counts => ({ ...current });

export const since = (before: Counts): Counts => ({
  dispatches: current.dispatches - before.dispatches,
  submits: current.submits - before.submits,
  pipelines: current.pipelines - before.pipelines,
});

/** Waits until every device has done what was submitted to it. */
export async function settle(): Promise<void> {
  await Promise.all([...devices].map((device) => device.queue.onSubmittedWorkDone()));
}
