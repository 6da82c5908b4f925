/**
 * The wasm device: buffers are blocks of one linear memory, programs run on the calling thread, with worker threads
 * beside it for what is long enough.
 */
import type { DimBindings } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { KilnError } from '../../base/error.ts';
import { shutDownError } from '../buffer.ts';
import type { ArraySpec, BufferHandle } from '../device.ts';
import { loadPartsFor, part } from '../parts.ts';
import type { Program, WasmTier } from '../program.ts';
import { QueuedDevice } from '../queued-device.ts';
import type { Trial } from '../trial.ts';
import { validatedProgram } from '../validate.ts';
import type { Block } from './allocator.ts';
import { Driver } from './driver.ts';
import { Executable, type ExecutableContext, ofTier, type WasmBuffer, type WasmResources } from './executable.ts';
import { KernelTable } from './kernels.ts';
import { WasmMemory } from './memory.ts';
import { Workspace } from './workspace.ts';

export interface WasmDeviceOptions {
  /** Threads that run kernels, the caller's among them; 1 unless given. */
  readonly threads?: number;
  /** Whether programs may use relaxed SIMD (`features.ts`); not unless given. */
  readonly relaxedSimd?: boolean;
  /** The most bytes the linear memory may grow to; the engine's limit of 4 GiB unless given. */
  readonly memoryLimit?: number;
}

/** Everything that goes with a shutdown. */
interface Resources extends ExecutableContext {
  readonly executables: WeakMap<Program, Executable>;
  readonly collectedPrograms: FinalizationRegistry<WasmResources>;
}

export class WasmDevice extends QueuedDevice<Block> {
  readonly name = 'wasm';
  readonly tier: WasmTier;
  readonly threads: number;
  readonly runsAside = false;
  #resources: Resources | undefined;

  constructor(options: WasmDeviceOptions = {}) {
    super();
    this.threads = options.threads ?? 1;
    this.tier = { target: 'wasm', threads: this.threads > 1, relaxedSimd: options.relaxedSimd ?? false };
    const memory = new WasmMemory(() => this.relieve(), {
      ...(options.memoryLimit !== undefined && { limitBytes: options.memoryLimit }),
      shared: this.tier.threads ? part('sharing') : undefined,
      onGrowth: () => this.#resources?.driver.pool?.renew(),
    });
    const kernels = new KernelTable(memory.memory, (kernel) => driver.forget(kernel));
    const driver = new Driver(memory, kernels.functions, this.threads);
    this.#resources = {
      deviceName: this.name,
      memory,
      kernels,
      driver,
      workspace: new Workspace(memory),
      prepared: new Set(),
      tier: this.tier,
      threads: this.threads,
      executables: new WeakMap(),
      // It goes with the resources, and with it all that it holds for programs that outlive the device.
      collectedPrograms: new FinalizationRegistry((program) => program.releaseAll()),
    };
  }

  protected get resources(): Resources | undefined {
    return this.#resources;
  }

  get end(): KilnError | undefined {
    return this.#resources ? undefined : shutDownError(this.name);
  }

  trial(programs: readonly Program[], sizes: DimBindings): Trial {
    return part('tryPrograms')(this, programs, sizes);
  }

  /** Forgets a program, and gives back what it holds. */
  unload(program: Program): void {
    const { executables } = this.#open();
    executables.get(program)?.resources.releaseAll();
    executables.delete(program);
  }

  async warmup(program: Program): Promise<void> {
    await this.loadAside(program);
    const { driver } = this.#open();
    const launches = this.#executableOf(program).bindAhead()?.launches ?? [];
    if (!launches.some(({ isParallel }) => isParallel)) return;
    driver.pool?.start();
    await driver.pool?.settle();
  }

  readSync(handle: BufferHandle): Uint8Array<ArrayBuffer> {
    this.assertOpen();
    const buffer = this.own(handle);
    if (buffer.state === 'pending') this.queue?.drainSync();
    return this.copyOut(buffer);
  }

  shutdown(): void {
    if (!this.#resources) return;
    this.#resources.driver.pool?.end();
    this.#resources = undefined;
    this.queue?.failAll(shutDownError(this.name));
  }

  isLoaded(program: Program): boolean {
    return this.#resources?.executables.has(program) ?? false;
  }

  load(program: Program): void {
    this.#executableOf(program);
  }

  async loadAside(program: Program): Promise<void> {
    const resources = this.#open();
    const valid = ofTier(validatedProgram(program), resources);
    await loadPartsFor(valid);
    await resources.kernels.compileAll(valid.kernels);
    this.load(program);
  }

  protected runLoaded(
    program: Program,
    inputs: readonly WasmBuffer[],
    outputs: readonly ArraySpec[],
  ): readonly Block[] | KilnError {
    return this.#executableOf(program).run(inputs, outputs);
  }

  copyOut(buffer: WasmBuffer): Uint8Array<ArrayBuffer> {
    const { address } = this.storageOf(buffer);
    return this.#open().memory.bytes.slice(address, address + buffer.bytes);
  }

  protected store(_dtype: DType, data: Uint8Array): Block {
    const { memory } = this.#open();
    const block = memory.allocate(data.length, 'tensor');
    memory.bytes.set(data, block.address);
    return block;
  }

  /** Kernels compile on this thread where they have not been compiled beside it. */
  protected override runsAtOnce(): boolean {
    return true;
  }

  /** A launch has run when its turn has come. */
  protected settle(): Promise<void> {
    return Promise.resolve();
  }

  #executableOf(program: Program): Executable {
    const resources = this.#open();
    let executable = resources.executables.get(program);
    if (!executable) {
      executable = new Executable(validatedProgram(program), resources);
      resources.executables.set(program, executable);
      resources.collectedPrograms.register(program, executable.resources);
    }
    return executable;
  }

  /** @throws KilnError `shut_down` */
  #open(): Resources {
    if (!this.#resources) throw shutDownError(this.name);
    return this.#resources;
  }
}
