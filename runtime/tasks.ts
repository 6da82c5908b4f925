/**
 * What waits in a device's queue: launches, reads, aliases and signals. Each pins the buffers it uses while it waits,
 * so that disposing one only takes effect behind it.
 */
import { internalError, KilnError } from '../base/error.ts';
import type { BufferOwner, DeviceBuffer } from './buffer.ts';
import type { ArraySpec, ProgramSource } from './device.ts';
import type { Program } from './program.ts';
import type { QueuedTask } from './queue.ts';

export { TaskQueue } from './queue.ts';

/** A device as its queued work sees it. */
export interface TaskDevice<Storage> extends BufferOwner<Storage> {
  /** Whether a program is ready to run. */
  isLoaded(program: Program): boolean;
  /** Makes it ready now. @throws KilnError `blocking_read` where that takes waiting */
  load(program: Program): void;
  /**
   * Makes it ready, with what can be done off this thread done there.
   * @param source tells messages which lines the program comes from
   */
  loadAside(program: Program, source?: ProgramSource): Promise<void>;
  /** Runs a program: the outputs' storages, or the error they get. Throws only while nothing has happened yet. */
  execute(
    program: Program,
    inputs: readonly DeviceBuffer<Storage>[],
    outputs: readonly ArraySpec[],
  ): readonly Storage[] | KilnError;
  /** Another reference to a storage. */
  shareStorage(storage: Storage): Storage;
  /**
   * A copy of a buffer's bytes as they are now, at once or when the device has come so far. Throws or rejects with what
   * the buffer failed with.
   */
  copyOut(buffer: DeviceBuffer<Storage>): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
}

/** A launch whose turn has not come. Its inputs are usable when it is made. */
export class QueuedLaunch<Storage> implements QueuedTask {
  readonly #device: TaskDevice<Storage>;
  readonly #source: ProgramSource;
  readonly #inputs: readonly DeviceBuffer<Storage>[];
  readonly #outputs: readonly DeviceBuffer<Storage>[];
  #program: Program | undefined;
  #preparation: Promise<void> | undefined;

  constructor(
    device: TaskDevice<Storage>,
    source: ProgramSource,
    inputs: readonly DeviceBuffer<Storage>[],
    outputs: readonly DeviceBuffer<Storage>[],
  ) {
    this.#device = device;
    this.#source = source;
    this.#program = source.program;
    this.#inputs = inputs;
    this.#outputs = outputs;
    for (const input of inputs) input.pin();
    inputs.forEach((input, index) => {
      if (source.donated?.[index]) input.promise(source.name, this);
    });
  }

  get isReady(): boolean {
    this.#program ??= this.#source.program;
    return this.#program !== undefined && this.#device.isLoaded(this.#program);
  }

  prepare(): Promise<void> {
    this.#preparation ??= this.#load();
    return this.#preparation;
  }

  async #load(): Promise<void> {
    this.#program = await this.#source.prepare();
    await this.#device.loadAside(this.#program, this.#source);
  }

  prepareSync(): void {
    this.#program ??= this.#source.program ?? this.#source.prepareSync();
    this.#device.load(this.#program);
  }

  run(): void {
    const program = this.#program;
    if (!program) throw internalError(`${this.#source.name} has its turn before its program`);
    for (const input of this.#inputs) input.assertNotTaken();
    const result = this.#device.execute(program, this.#inputs, this.#outputs);
    this.#outputs.forEach((output, index) => {
      if (result instanceof KilnError) output.fail(result);
      else output.resolve(result[index]);
    });
    this.#release();
  }

  fail(error: unknown): void {
    const cause = asKilnError(error, this.#source.name);
    for (const output of this.#outputs) output.fail(cause);
    this.#release();
  }

  #release(): void {
    for (const input of this.#inputs) {
      input.revoke(this);
      input.unpin();
    }
  }
}

/** What needs no preparation. */
abstract class ReadyTask implements QueuedTask {
  readonly isReady = true;

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  prepareSync(): void {}

  abstract run(): void;
  abstract fail(error: unknown): void;
}

/** A read of a buffer whose launch has not run. */
export class QueuedRead<Storage> extends ReadyTask {
  readonly #buffer: DeviceBuffer<Storage>;
  readonly #device: TaskDevice<Storage>;
  readonly #resolve: (bytes: Uint8Array<ArrayBuffer> | PromiseLike<Uint8Array<ArrayBuffer>>) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    device: TaskDevice<Storage>,
    buffer: DeviceBuffer<Storage>,
    resolve: (bytes: Uint8Array<ArrayBuffer> | PromiseLike<Uint8Array<ArrayBuffer>>) => void,
    reject: (error: unknown) => void,
  ) {
    super();
    this.#device = device;
    this.#buffer = buffer;
    this.#resolve = resolve;
    this.#reject = reject;
    buffer.pin();
  }

  run(): void {
    this.#buffer.assertNotTaken();
    // Not thrown: a launch that failed for lack of memory is no lack of memory here.
    if (this.#buffer.error) {
      this.fail(this.#buffer.error);
      return;
    }
    this.#resolve(this.#device.copyOut(this.#buffer));
    this.#buffer.unpin();
  }

  fail(error: unknown): void {
    this.#reject(error);
    this.#buffer.unpin();
  }
}

/** A second handle to the bytes of a buffer whose launch has not run. */
export class QueuedAlias<Storage> extends ReadyTask {
  readonly #device: TaskDevice<Storage>;
  readonly #buffer: DeviceBuffer<Storage>;
  readonly #alias: DeviceBuffer<Storage>;

  constructor(device: TaskDevice<Storage>, buffer: DeviceBuffer<Storage>, alias: DeviceBuffer<Storage>) {
    super();
    this.#device = device;
    this.#buffer = buffer;
    this.#alias = alias;
    buffer.pin();
  }

  run(): void {
    this.#buffer.assertNotTaken();
    const { storage, error } = this.#buffer;
    if (storage !== undefined) this.#alias.resolve(this.#device.shareStorage(storage));
    else if (error) this.#alias.fail(error);
    this.#buffer.unpin();
  }

  fail(error: unknown): void {
    this.#alias.fail(asKilnError(error, 'alias'));
    this.#buffer.unpin();
  }
}

/** Bytes that are still on their way to a device. */
export class QueuedUpload<Storage> implements QueuedTask {
  readonly #buffer: DeviceBuffer<Storage>;
  readonly #store: (bytes: Uint8Array) => Storage;
  readonly #arrival: Promise<void>;
  #bytes: Uint8Array | undefined;

  /** @param store makes the storage, when it is the task's turn */
  constructor(buffer: DeviceBuffer<Storage>, bytes: Promise<Uint8Array>, store: (bytes: Uint8Array) => Storage) {
    this.#buffer = buffer;
    this.#store = store;
    this.#arrival = bytes.then((arrived) => {
      this.#bytes = arrived;
    });
    // The queue sees the failure when it is the task's turn.
    this.#arrival.catch(() => undefined);
  }

  get isReady(): boolean {
    return this.#bytes !== undefined;
  }

  prepare(): Promise<void> {
    return this.#arrival;
  }

  prepareSync(): void {
    throw new KilnError('blocking_read', 'a value is read synchronously while it is on its way from another device', {
      hint: 'await x.data() or x.ready() instead',
    });
  }

  run(): void {
    if (!this.#bytes) throw internalError('an upload has its turn before its bytes');
    this.#buffer.resolve(this.#store(this.#bytes));
  }

  fail(error: unknown): void {
    this.#buffer.fail(asKilnError(error, 'upload'));
  }
}

/** Says when everything before it has run. */
export class QueuedSignal extends ReadyTask {
  readonly #signal: () => void;

  constructor(signal: () => void) {
    super();
    this.#signal = signal;
  }

  run(): void {
    this.#signal();
  }

  fail(): void {
    this.#signal();
  }
}

function asKilnError(error: unknown, program: string): KilnError {
  if (error instanceof KilnError) return error;
  return new KilnError('compile_failed', `${program} could not be compiled`, {
    given: error instanceof Error ? error.message : String(error),
    hint: 'please report it together with the output of KILN_DUMP=dir',
    cause: error,
  });
}
