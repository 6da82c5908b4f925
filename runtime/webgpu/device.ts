/**
 * The webgpu device: buffers are GPUBuffers, programs run on the GPU beside this thread. `run` records; what was recorded
 * is submitted when the code that records has come to its end, and the order of calls is the order of the GPU.
 *
 *     const device = await openWebgpu();
 *     device.info                                  // { vendor: 'apple', architecture: 'metal-3', … }
 *
 * A device can be lost at any time: its buffers are gone then, pending reads reject, and every later use says so.
 */
import type { DType } from '../../base/dtype.ts';
import { internalError, KilnError } from '../../base/error.ts';
import { shutDownError } from '../buffer.ts';
import type { ArraySpec, BufferHandle, ProgramSource } from '../device.ts';
import { loadPartsFor } from '../parts.ts';
import type { PreparedArrays } from '../prepared.ts';
import type { Program, WebgpuTier } from '../program.ts';
import { QueuedDevice } from '../queued-device.ts';
import { validatedProgram } from '../validate.ts';
import { type AdapterInfo, type AdapterOptions, type OpenAdapter, openAdapter } from './adapter.ts';
import { Commands } from './commands.ts';
import { newCounters, type WebgpuCounters } from './counters.ts';
import { Executable, type ExecutableContext, type GpuArray, type GpuResources } from './executable.ts';
import { Faults } from './faults.ts';
import { type GpuBlock, GpuMemory } from './memory.ts';
import { narrowElements, storedBytes, widenElements } from './narrow.ts';
import { Pipelines } from './pipelines.ts';
import { Readback } from './readback.ts';
import { Workspace } from './workspace.ts';

export interface WebgpuDeviceOptions {
  /** The most bytes of GPUBuffers at a time; what the device has unless given. */
  readonly memoryLimit?: number;
}

export interface WebgpuOptions extends AdapterOptions, WebgpuDeviceOptions {}

/** A device on the best adapter here. @throws KilnError (as a rejection) `no_adapter` */
export async function openWebgpu(options: WebgpuOptions = {}): Promise<WebgpuDevice> {
  return new WebgpuDevice(await openAdapter(options), options);
}

/** Everything that goes with the end of a device. */
interface Resources extends ExecutableContext {
  readonly readback: Readback;
  readonly executables: WeakMap<Program, Executable>;
  readonly loading: WeakMap<Program, Promise<void>>;
  readonly collectedPrograms: FinalizationRegistry<GpuResources>;
}

export class WebgpuDevice extends QueuedDevice<GpuBlock> {
  readonly name = 'webgpu';
  readonly tier: WebgpuTier;
  readonly info: AdapterInfo;
  readonly threads = 1;
  readonly runsAside = true;
  #resources: Resources | undefined;
  #end: KilnError | undefined;
  readonly #counters = newCounters();
  /** Resolves when the device has ended, however it did. */
  readonly #ended: Promise<void>;

  constructor(open: OpenAdapter, options: WebgpuDeviceOptions = {}) {
    super();
    this.tier = open.tier;
    this.info = open.info;
    this.#resources = this.#assemble(open, options);
    this.#ended = open.device.lost.then(({ reason, message }) => this.#lose(reason, message));
    open.device.addEventListener('uncapturederror', (event) => this.#uncaptured(event));
  }

  protected get resources(): Resources | undefined {
    return this.#resources;
  }

  get end(): KilnError | undefined {
    return this.#end;
  }

  /** What the device has done so far. */
  counters(): WebgpuCounters {
    return { ...this.#counters };
  }

  async warmup(program: Program): Promise<void> {
    await this.loadAside(program);
    this.#executableOf(program).bindAhead();
  }

  readSync(handle: BufferHandle): Uint8Array<ArrayBuffer> {
    this.assertOpen();
    this.own(handle);
    throw new KilnError('blocking_read', 'the webgpu device gives elements only later', {
      given: `a synchronous read of ${handle.dtype}[${handle.shape}]`,
      hint: 'await data(), array() or item() instead of dataSync(), arraySync() or itemSync()',
    });
  }

  shutdown(): void {
    this.#finish(shutDownError(this.name));
  }

  isLoaded(program: Program): boolean {
    return this.#resources?.executables.has(program) ?? false;
  }

  load(program: Program): void {
    if (this.isLoaded(program)) return;
    throw new KilnError('blocking_read', `${program.name}: pipelines are only made beside this thread`, {
      hint: 'await data() instead of dataSync(), or warmup() before',
    });
  }

  async loadAside(program: Program, source?: ProgramSource): Promise<void> {
    const { executables, loading } = this.#open();
    if (executables.has(program)) return;
    let known = loading.get(program);
    if (!known) {
      known = this.#load(program, source).finally(() => loading.delete(program));
      loading.set(program, known);
    }
    await known;
  }

  protected runLoaded(
    program: Program,
    inputs: readonly GpuArray[],
    outputs: readonly ArraySpec[],
  ): readonly GpuBlock[] | KilnError {
    return this.#executableOf(program).run(inputs, outputs);
  }

  async copyOut(buffer: GpuArray): Promise<Uint8Array<ArrayBuffer>> {
    const { dtype, bytes } = buffer;
    const storage = this.storageOf(buffer);
    return widenElements(dtype, await this.#open().readback.read(storage, storedBytes(dtype, bytes)));
  }

  protected store(dtype: DType, data: Uint8Array): GpuBlock {
    const { memory } = this.#open();
    const stored = narrowElements(dtype, data);
    const block = memory.allocate(data.length, 'tensor');
    memory.write(block, stored);
    return block;
  }

  /** Submits, and waits until the GPU is done and everything is known about it. */
  protected async settle(): Promise<void> {
    const resources = this.#resources;
    if (!resources) return;
    const { commands, gpu, timer, memory } = resources;
    commands.flush();
    await Promise.race([gpu.queue.onSubmittedWorkDone().catch(() => undefined), this.#ended]);
    await memory.checked;
    await commands.checked;
    await timer?.settled();
  }

  #assemble(open: OpenAdapter, { memoryLimit }: WebgpuDeviceOptions): Resources {
    const { device: gpu, tier } = open;
    const counters = this.#counters;
    const faults: Faults = new Faults(() => commands.lastBatch);
    const commands: Commands = new Commands(gpu, counters, faults);
    const memory = new GpuMemory(
      gpu,
      { commands, faults, counters },
      { ...(memoryLimit !== undefined && { limitBytes: memoryLimit }), relieve: () => this.relieve() },
    );
    const whyFailed = async (cause: unknown): Promise<KilnError> => {
      // A promise of a lost device may reject before the device says that it is.
      await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, 500))]);
      return this.#end ?? new KilnError('launch_failed', 'a read from the webgpu device failed', { cause });
    };
    return {
      gpu,
      deviceName: this.name,
      tier,
      counters,
      faults,
      commands,
      memory,
      pipelines: new Pipelines(gpu, counters),
      workspace: new Workspace(memory, gpu.limits.maxBufferSize),
      timer: undefined,
      prepared: new Set<PreparedArrays<GpuBlock>>(),
      readback: new Readback({ gpu, commands, memory, faults, counters, whyFailed }),
      executables: new WeakMap(),
      loading: new WeakMap(),
      // It goes with the resources, and with it all that it holds for programs that outlive the device.
      collectedPrograms: new FinalizationRegistry((program) => program.releaseAll()),
    };
  }

  async #load(program: Program, source: ProgramSource | undefined): Promise<void> {
    const valid = validatedProgram(program);
    await loadPartsFor(valid);
    const resources = this.#open();
    const executable = await Executable.load(valid, resources, source);
    this.assertOpen();
    resources.executables.set(program, executable);
    resources.collectedPrograms.register(program, executable.resources);
  }

  #executableOf(program: Program): Executable {
    const executable = this.#open().executables.get(program);
    if (!executable) throw internalError(`${program.name} has its turn before its pipelines`);
    return executable;
  }

  #lose(reason: GPUDeviceLostReason | undefined, message: string): void {
    this.#finish(
      new KilnError('device_lost', 'the webgpu device was lost, and its tensors with it', {
        given: `${reason ?? 'unknown'}: ${message}`,
        expected: 'a device that stays, as it does unless the GPU is reset, removed or too long busy with one kernel',
        hint: 'call init() again, and make tensors anew from what the host holds',
      }),
    );
  }

  /** Ends everything, once. */
  #finish(error: KilnError): void {
    const resources = this.#resources;
    if (!resources) return;
    this.#end = error;
    this.#resources = undefined;
    resources.commands.end();
    this.queue?.failAll(error);
    resources.gpu.destroy();
  }

  /** What no scope has caught: nothing of ours does that on purpose. */
  #uncaptured(event: GPUUncapturedErrorEvent): void {
    event.preventDefault();
    const resources = this.#resources;
    if (!resources) return;
    const { faults, commands } = resources;
    faults.refused(commands.lastBatch, [], event.error.message);
  }

  /** @throws KilnError `shut_down`, `device_lost` */
  #open(): Resources {
    if (this.#resources) return this.#resources;
    throw this.#end ?? internalError('a device without resources that has not ended');
  }
}
