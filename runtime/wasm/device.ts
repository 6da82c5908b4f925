/**
 * The wasm device: buffers are blocks of one linear memory, programs run on the calling thread, with worker threads
 * beside it for what is long enough. A launch whose program is compiled runs inside `run`, unless something waits in
 * the queue; then it waits behind it.
 */
import type { DimBindings } from '../../base/dim.ts';
import { byteSize, type DType } from '../../base/dtype.ts';
import { internalError, KilnError } from '../../base/error.ts';
import { DeviceBuffer, denseBytes, shutDownError } from '../buffer.ts';
import { MemoryPressure, provokeCollection } from '../collector.ts';
import type { ArraySpec, BufferHandle, MemoryStatistics, ProgramSource } from '../device.ts';
import type { Program, TensorSpec, WasmTier } from '../program.ts';
import { TaskQueue } from '../queue.ts';
import { evaluateSize, symbolTable } from '../sizes.ts';
import { QueuedAlias, QueuedLaunch, QueuedRead, QueuedSignal, type TaskDevice } from '../tasks.ts';
import { madeUpBytes, type Trial } from '../trial.ts';
import { validateProgram } from '../validate.ts';
import type { Block } from './allocator.ts';
import { Driver } from './driver.ts';
import { Executable, type ExecutableContext, ofTier, type ProgramResources, type WasmBuffer } from './executable.ts';
import { detectTier } from './features.ts';
import { KernelTable } from './kernels.ts';
import { WasmMemory } from './memory.ts';
import { Workspace } from './workspace.ts';

export interface WasmDeviceOptions {
  /** Threads that run kernels, the caller's among them; 1 unless given. */
  readonly threads?: number;
  /** The most bytes the linear memory may grow to; the engine's limit of 4 GiB unless given. */
  readonly memoryLimit?: number;
}

/** Everything that goes with a shutdown. */
interface Resources extends ExecutableContext {
  readonly executables: WeakMap<Program, Executable>;
  readonly collectedPrograms: FinalizationRegistry<ProgramResources>;
}

export class WasmDevice implements TaskDevice<Block> {
  readonly name = 'wasm';
  readonly tier: WasmTier;
  readonly threads: number;
  #resources: Resources | undefined;
  #tensors = 0;
  readonly #pressure = new MemoryPressure(() => this.memory());
  readonly #queue = new TaskQueue(async (error) => {
    if (this.#resources?.memory.isHopeless(error)) return;
    // Twice, since a collection that had begun before may miss what died since.
    await this.#pressure.relieve();
    await this.#pressure.relieve();
  });

  constructor(options: WasmDeviceOptions = {}) {
    this.threads = options.threads ?? 1;
    this.tier = detectTier(this.threads);
    const memory = new WasmMemory(() => this.#relieve(), {
      ...(options.memoryLimit !== undefined && { limitBytes: options.memoryLimit }),
      shared: this.tier.threads,
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

  get isShutDown(): boolean {
    return this.#resources === undefined;
  }

  upload(dtype: DType, shape: readonly number[], data: Uint8Array): BufferHandle {
    const { memory } = this.#open();
    const bytes = denseBytes(dtype, shape);
    if (data.length !== bytes) {
      throw internalError(`upload of ${data.length} bytes as ${dtype}[${shape}], which takes ${bytes}`);
    }
    const block = memory.allocate(bytes, 'tensor');
    memory.bytes.set(data, block.address);
    return new DeviceBuffer(this, dtype, shape, bytes, block);
  }

  alias(handle: BufferHandle, shape: readonly number[] = handle.shape): BufferHandle {
    this.#open();
    const buffer = this.#own(handle);
    if (denseBytes(buffer.dtype, shape) !== buffer.bytes) {
      throw internalError(`alias of ${buffer.dtype}[${buffer.shape}] as [${shape}]`);
    }
    const alias = new DeviceBuffer<Block>(this, buffer.dtype, shape, buffer.bytes, undefined);
    const isPending = buffer.state === 'pending';
    const task = new QueuedAlias(this, buffer, alias);
    if (isPending) this.#queue.push(task);
    else task.run();
    return alias;
  }

  run(source: ProgramSource, inputs: readonly BufferHandle[], outputs: readonly ArraySpec[]): BufferHandle[] {
    this.#open();
    const buffers: WasmBuffer[] = [];
    for (let i = 0; i < inputs.length; i++) buffers.push(this.#own(inputs[i]));
    const { program } = source;
    if (program === undefined || !this.#queue.isIdle) {
      const results = outputs.map((output) => this.#newBuffer(output, undefined));
      this.#queue.push(new QueuedLaunch(this, source, buffers, results));
      return results;
    }
    const result = this.execute(program, buffers, outputs);
    const results: WasmBuffer[] = [];
    for (let i = 0; i < outputs.length; i++) {
      const isFailure = result instanceof KilnError;
      const buffer = this.#newBuffer(outputs[i], isFailure ? undefined : result[i]);
      if (isFailure) buffer.fail(result);
      results.push(buffer);
    }
    return results;
  }

  trial(programs: readonly Program[], sizes: DimBindings): Trial {
    const { memory, executables } = this.#open();
    const [{ inputs, outputs, symbols }] = programs;
    const table = symbolTable(symbols);
    const concrete = ({ dtype, shape }: TensorSpec): ArraySpec => ({
      dtype,
      shape: shape.map((size) => evaluateSize(size, table, sizes)),
    });
    const buffers: WasmBuffer[] = [];
    const results = outputs.map(concrete);
    const dispose = (): void => {
      for (const buffer of buffers) buffer.dispose();
      for (const program of programs) {
        executables.get(program)?.resources.releaseAll();
        executables.delete(program);
      }
    };
    try {
      for (const { dtype, shape } of inputs.map(concrete)) {
        const bytes = madeUpBytes(dtype, denseBytes(dtype, shape) / byteSize(dtype));
        buffers.push(this.#own(this.upload(dtype, shape, bytes)));
      }
      for (const program of programs) this.load(program);
    } catch (error) {
      dispose();
      throw error;
    }
    const run = (number: number, times: number): void => {
      for (let i = 0; i < times; i++) {
        const blocks = this.execute(programs[number], buffers, results);
        if (blocks instanceof KilnError) throw blocks;
        for (const block of blocks) memory.release(block);
      }
    };
    return { run, dispose };
  }

  async warmup(program: Program): Promise<void> {
    await this.loadAside(program);
    const { driver } = this.#open();
    const launches = this.#executableOf(program).prepare();
    if (!launches.some(({ isParallel }) => isParallel)) return;
    driver.pool?.start();
    await driver.pool?.settle();
  }

  async read(handle: BufferHandle): Promise<Uint8Array<ArrayBuffer>> {
    this.#open();
    const buffer = this.#own(handle);
    const bytes = buffer.state === 'pending' ? await this.#readInTurn(buffer) : this.copyOut(buffer);
    if (this.#pressure.isHigh) await this.#pressure.relieve();
    return bytes;
  }

  readSync(handle: BufferHandle): Uint8Array<ArrayBuffer> {
    this.#open();
    const buffer = this.#own(handle);
    if (buffer.state === 'pending') this.#queue.drainSync();
    return this.copyOut(buffer);
  }

  async synchronize(): Promise<void> {
    if (this.#queue.isIdle) return;
    await new Promise<void>((resolve) => {
      this.#queue.push(new QueuedSignal(resolve));
    });
  }

  memory(): MemoryStatistics {
    const resources = this.#resources;
    if (!resources) return { tensors: 0, bytes: 0, peakBytes: 0, programBytes: 0, reservedBytes: 0 };
    const { tensorBytes, programBytes, peakBytes, reservedBytes } = resources.memory;
    return { tensors: this.#tensors, bytes: tensorBytes, peakBytes, programBytes, reservedBytes };
  }

  resetPeak(): void {
    const { memory } = this.#open();
    memory.peakBytes = memory.tensorBytes + memory.programBytes;
  }

  shutdown(): void {
    if (!this.#resources) return;
    this.#resources.driver.pool?.end();
    this.#resources = undefined;
    this.#queue.failAll(shutDownError(this.name));
  }

  isLoaded(program: Program): boolean {
    return this.#resources?.executables.has(program) ?? false;
  }

  load(program: Program): void {
    this.#executableOf(program);
  }

  async loadAside(program: Program): Promise<void> {
    const resources = this.#open();
    await resources.kernels.compileAll(ofTier(validateProgram(program), resources).kernels);
    this.load(program);
  }

  execute(
    program: Program,
    inputs: readonly WasmBuffer[],
    outputs: readonly ArraySpec[],
  ): readonly Block[] | KilnError {
    for (let i = 0; i < inputs.length; i++) {
      const { error } = inputs[i];
      if (error) return error;
    }
    return this.#executableOf(program).run(inputs, outputs);
  }

  copyOut(buffer: WasmBuffer): Uint8Array<ArrayBuffer> {
    if (buffer.error) throw buffer.error;
    const { storage } = buffer;
    if (!storage) throw internalError('a read reached its turn before the launch that it reads');
    const { address } = storage;
    return this.#open().memory.bytes.slice(address, address + buffer.bytes);
  }

  shareStorage(block: Block): Block {
    block.references += 1;
    return block;
  }

  releaseStorage(block: Block): void {
    this.#resources?.memory.release(block);
  }

  countBuffers(change: 1 | -1): void {
    this.#tensors += change;
  }

  #newBuffer({ dtype, shape }: ArraySpec, block: Block | undefined): WasmBuffer {
    return new DeviceBuffer<Block>(this, dtype, shape, denseBytes(dtype, shape), block);
  }

  #readInTurn(buffer: WasmBuffer): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      this.#queue.push(new QueuedRead(this, buffer, resolve, reject));
    });
  }

  #executableOf(program: Program): Executable {
    const resources = this.#open();
    let executable = resources.executables.get(program);
    if (!executable) {
      executable = new Executable(validateProgram(program), resources);
      resources.executables.set(program, executable);
      resources.collectedPrograms.register(program, executable.resources);
    }
    return executable;
  }

  /** A usable buffer of this device. */
  #own(handle: BufferHandle): WasmBuffer {
    if (!(handle instanceof DeviceBuffer) || handle.device !== this) {
      throw new KilnError('device_mismatch', 'the operands live on different devices', {
        given: `${handle.dtype}[${handle.shape}] on another ${handle.device.name} device`,
        expected: `operands on one ${this.name} device`,
        hint: 'arrays made before shutdown() belong to the session that ended; otherwise move them with to(device)',
      });
    }
    handle.assertUsable();
    return handle;
  }

  /** @throws KilnError `shut_down` */
  #open(): Resources {
    if (!this.#resources) throw shutDownError(this.name);
    return this.#resources;
  }

  /** Before an allocation fails: gives up what can be made again, and lets the collector know that it is time. */
  #relieve(): boolean {
    provokeCollection();
    const resources = this.#resources;
    if (!resources) return false;
    let isAny = resources.workspace.release();
    for (const arrays of resources.prepared) if (arrays.release()) isAny = true;
    return isAny;
  }
}
