/**
 * Commands on their way to the GPU. They are recorded one behind the other into a batch: one command encoder, whose
 * dispatches share compute passes. A batch is submitted when the code that records has come to its end (in a
 * microtask), when it has grown long, or when something must come after it.
 *
 *     commands.dispatch(pipeline, group, 64, 1);         // opens batch 7
 *     commands.copy(from, to, 256);                      // still batch 7
 *     commands.flush();                                  // submit; whatever comes next opens batch 8
 *
 * Work on the queue itself (`writeBuffer`) overtakes what is only recorded: whoever writes into a buffer that the open
 * batch uses flushes first.
 */
import type { MutableCounters } from './counters.ts';
import type { Faults } from './faults.ts';

/** Dispatches after which a batch goes to the GPU between two programs, so that it does not wait for the recording. */
const longBatch = 256;

export class Commands {
  /** Number of the batch that is being recorded, or that the next command opens. */
  batch = 1;
  readonly #device: GPUDevice;
  readonly #counters: MutableCounters;
  readonly #faults: Faults;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: GPUComputePipeline | undefined;
  #dispatches = 0;
  /** Names of the programs that the open batch runs, for messages. */
  #programs = new Set<string>();
  #beforeSubmit: ((encoder: GPUCommandEncoder) => void)[] = [];
  #afterSubmit: (() => void)[] = [];
  #checked: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor(device: GPUDevice, counters: MutableCounters, faults: Faults) {
    this.#device = device;
    this.#counters = counters;
    this.#faults = faults;
  }

  /** Resolves when it is known of all that was submitted whether the device took it. */
  get checked(): Promise<void> {
    return this.#checked;
  }

  /** The last batch that has commands. */
  get lastBatch(): number {
    return this.#encoder ? this.batch : this.batch - 1;
  }

  /** A program begins to record. */
  enter(program: string): void {
    this.#programs.add(program);
  }

  /** A program has recorded everything. */
  leave(): void {
    if (this.#dispatches >= longBatch) this.flush();
  }

  /** A pass of its own, for what is timed. */
  timedPass(label: string, timestampWrites: GPUComputePassTimestampWrites): GPUComputePassEncoder {
    this.#endPass();
    return this.#open().beginComputePass({ label, timestampWrites });
  }

  /** Dispatches within a pass: the one that is open unless given. */
  dispatch(pipeline: GPUComputePipeline, group: GPUBindGroup, x: number, y: number, own?: GPUComputePassEncoder): void {
    if (!own) this.#pass ??= this.#open().beginComputePass();
    const pass = own ?? this.#pass!;
    if (pass !== this.#pass || this.#pipeline !== pipeline) pass.setPipeline(pipeline);
    if (pass === this.#pass) this.#pipeline = pipeline;
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y);
    this.#dispatches += 1;
    this.#counters.dispatches += 1;
  }

  copy(from: GPUBuffer, to: GPUBuffer, bytes: number): void {
    this.#endPass();
    if (bytes > 0) this.#open().copyBufferToBuffer(from, 0, to, 0, bytes);
  }

  /** Calls back when the open batch is about to end, with its encoder. */
  beforeSubmit(callback: (encoder: GPUCommandEncoder) => void): void {
    this.#open();
    this.#beforeSubmit.push(callback);
  }

  /** Calls back as soon as the open batch is submitted. */
  afterSubmit(callback: () => void): void {
    this.#open();
    this.#afterSubmit.push(callback);
  }

  /** Submits what is recorded. */
  flush(): void {
    if (!this.#encoder) return;
    this.#endPass();
    const encoder = this.#encoder;
    for (const callback of this.#beforeSubmit) callback(encoder);
    this.#device.queue.submit([encoder.finish()]);
    this.#counters.submits += 1;
    this.#encoder = undefined;
    this.#checked = this.#check(this.batch, [...this.#programs]);
    this.batch += 1;
    this.#dispatches = 0;
    this.#programs.clear();
    const callbacks = this.#afterSubmit;
    this.#beforeSubmit = [];
    this.#afterSubmit = [];
    for (const callback of callbacks) callback();
  }

  /** Nothing is submitted any more; what waits for a submit is told so that it can give up. */
  end(): void {
    this.#isEnded = true;
    this.#encoder = undefined;
    this.#pass = undefined;
    for (const callback of this.#afterSubmit) callback();
    this.#afterSubmit = [];
  }

  #open(): GPUCommandEncoder {
    if (!this.#encoder) {
      // Until the submit, so that it catches what goes wrong with bind groups too.
      this.#device.pushErrorScope('validation');
      this.#encoder = this.#device.createCommandEncoder();
      queueMicrotask(() => {
        if (!this.#isEnded) this.flush();
      });
    }
    return this.#encoder;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }

  async #check(batch: number, programs: readonly string[]): Promise<void> {
    const before = this.#checked;
    try {
      const error = await this.#device.popErrorScope();
      if (error) this.#faults.refused(batch, programs, error.message);
    } catch {
      // The device is lost, which whoever waits here finds out by itself.
    }
    await before;
  }
}
