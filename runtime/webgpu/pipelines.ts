/**
 * Compute pipelines of a device. Equal code is compiled once, whatever programs it is in; all pipelines of a program are
 * compiled at the same time, asked for in the order of its steps, and none on this thread.
 *
 *     const loaded = await Promise.all(program.kernels.map((kernel) => pipelines.acquire(kernel)));
 *     pipelines.release(loaded[0]);                  // forgotten with its last user
 */
import type { ProgramSource } from '../device.ts';
import type { WgslKernel } from '../program.ts';
import { shaderStageCompute } from './constants.ts';
import type { MutableCounters } from './counters.ts';

/** Says what a kernel computes. */
export type Origin = () => ReturnType<NonNullable<ProgramSource['origin']>>;

/** A kernel that can be dispatched. */
export interface LoadedKernel {
  readonly layout: GPUBindGroupLayout;
  /** One for each dispatch, in order. */
  readonly pipelines: readonly GPUComputePipeline[];
  /** Under which the cache knows it. */
  readonly key: string;
}

interface CachedKernel {
  readonly loaded: Promise<LoadedKernel>;
  users: number;
}

/** How the bindings of a kernel are declared: `rrw` for two that are read and one that is written, `s` for sizes. */
type Shape = string;

function shapeOf({ access, scratchBytes, sizes }: WgslKernel): Shape {
  const storage = access.map((way) => (way === 'read' ? 'r' : 'w')).join('');
  return `${storage}${scratchBytes === 0 ? '' : 'w'}${sizes.length > 0 ? 's' : ''}`;
}

const bindingTypes: Readonly<Record<string, GPUBufferBindingType>> = {
  r: 'read-only-storage',
  w: 'storage',
  s: 'uniform',
};

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #counters: MutableCounters;
  readonly #kernels = new Map<string, CachedKernel>();
  readonly #layouts = new Map<Shape, { readonly group: GPUBindGroupLayout; readonly pipeline: GPUPipelineLayout }>();

  constructor(device: GPUDevice, counters: MutableCounters) {
    this.#device = device;
    this.#counters = counters;
  }

  /**
   * The pipelines of a kernel, for one more user.
   * @param origin what the kernel computes, with the user's lines, for the message of a failure
   * @throws KilnError (as a rejection) `compile_failed`; it has no user then
   */
  async acquire(kernel: WgslKernel, origin?: Origin): Promise<LoadedKernel> {
    const shape = shapeOf(kernel);
    const entryPoints = kernel.dispatches.map(({ entryPoint }) => entryPoint);
    const key = `${shape} ${entryPoints.join()}\n${kernel.code}`;
    let cached = this.#kernels.get(key);
    if (!cached) {
      cached = { loaded: this.#compile(kernel, { shape, key, origin }), users: 0 };
      this.#kernels.set(key, cached);
    }
    cached.users += 1;
    try {
      return await cached.loaded;
    } catch (error) {
      this.#forget(key, cached);
      throw error;
    }
  }

  release({ key }: LoadedKernel): void {
    const cached = this.#kernels.get(key);
    if (cached) this.#forget(key, cached);
  }

  #forget(key: string, cached: CachedKernel): void {
    cached.users -= 1;
    if (cached.users <= 0 && this.#kernels.get(key) === cached) this.#kernels.delete(key);
  }

  async #compile(
    kernel: WgslKernel,
    { shape, key, origin }: { shape: Shape; key: string; origin: Origin | undefined },
  ): Promise<LoadedKernel> {
    const { group, pipeline: layout } = this.#layoutOf(shape);
    const { name: label, code, dispatches } = kernel;
    this.#device.pushErrorScope('validation');
    const module = this.#device.createShaderModule({ label, code });
    const invalid = this.#device.popErrorScope();
    this.#counters.shaderModules += 1;
    const byEntry = new Map<string, Promise<GPUComputePipeline>>();
    for (const { entryPoint } of dispatches) {
      if (byEntry.has(entryPoint)) continue;
      this.#counters.pipelines += 1;
      const compute = { module, entryPoint };
      byEntry.set(entryPoint, this.#device.createComputePipelineAsync({ label, layout, compute }));
    }
    const [broken, ...made] = await Promise.allSettled([invalid, ...byEntry.values()]);
    const failure = made.find((result) => result.status === 'rejected');
    const message = broken.status === 'fulfilled' ? broken.value?.message : undefined;
    if (failure || message !== undefined) {
      const { compileError } = await import('./compile-error.ts');
      throw await compileError(kernel, module, message ?? String(failure?.reason?.message ?? failure?.reason), origin);
    }
    const pipelines = await Promise.all(dispatches.map(({ entryPoint }) => byEntry.get(entryPoint)!));
    return { layout: group, pipelines, key };
  }

  #layoutOf(shape: Shape): { readonly group: GPUBindGroupLayout; readonly pipeline: GPUPipelineLayout } {
    let layout = this.#layouts.get(shape);
    if (!layout) {
      const entries = [...shape].map((way, binding): GPUBindGroupLayoutEntry => {
        return { binding, visibility: shaderStageCompute, buffer: { type: bindingTypes[way] } };
      });
      const group = this.#device.createBindGroupLayout({ label: shape, entries });
      layout = { group, pipeline: this.#device.createPipelineLayout({ label: shape, bindGroupLayouts: [group] }) };
      this.#layouts.set(shape, layout);
    }
    return layout;
  }
}
