/**
 * How long launches take on the GPU, while somebody observes them: by timestamps that the GPU writes around a pass, or,
 * where it has none, by when the work of a submit of its own is done. Results come later; `settled` waits for them.
 */
import { SourceLocation } from '../../base/location.ts';
import { type LaunchTiming, launchObserver } from '../profile.ts';
import type { Commands } from './commands.ts';
import { bufferUsage, mapModeRead } from './constants.ts';

/** A launch but for its times. */
export type TimedLaunch = Omit<LaunchTiming, 'start' | 'milliseconds'> & { readonly location: SourceLocation };

/** Launches whose timestamps share a query set; WebGPU allows 4096 queries in one. */
const setLaunches = 1024;
/** A timestamp is a 64-bit count of nanoseconds. */
const timestampBytes = 8;

interface OpenSet {
  readonly querySet: GPUQuerySet;
  readonly launches: TimedLaunch[];
  /** On the clock of `performance.now()`. */
  readonly opened: number;
}

export class LaunchTimer {
  readonly #hasTimestamps: boolean;
  readonly #device: GPUDevice;
  readonly #commands: Commands;
  #open: OpenSet | undefined;
  readonly #pending = new Set<Promise<void>>();
  /** When the launch before was done. */
  #lastDone = 0;

  constructor(device: GPUDevice, commands: Commands) {
    this.#device = device;
    this.#commands = commands;
    this.#hasTimestamps = device.features.has('timestamp-query');
  }

  /** Resolves when every launch so far has been reported. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Records a launch, in a pass of its own where the GPU writes times around passes. */
  time(timed: Omit<TimedLaunch, 'location'>, record: (pass?: GPUComputePassEncoder) => void): void {
    const launch = { ...timed, location: SourceLocation.capture() };
    if (!this.#hasTimestamps) {
      this.#timeSubmit(launch, record);
      return;
    }
    const pass = this.#timedPass(launch);
    try {
      record(pass);
    } finally {
      pass.end();
    }
  }

  /** A pass of its own for a launch, which the GPU times. */
  #timedPass(launch: TimedLaunch): GPUComputePassEncoder {
    if (!this.#open || this.#open.launches.length === setLaunches) {
      if (this.#open) this.#commands.flush();
      this.#open = this.#newSet();
    }
    const { querySet, launches } = this.#open;
    const at = 2 * (launches.push(launch) - 1);
    return this.#commands.timedPass(launch.kernel, {
      querySet,
      beginningOfPassWriteIndex: at,
      endOfPassWriteIndex: at + 1,
    });
  }

  /** Runs a launch in a submit of its own, and waits aside until it is done. */
  #timeSubmit(launch: TimedLaunch, record: () => void): void {
    this.#commands.flush();
    record();
    this.#commands.flush();
    const submitted = performance.now();
    this.#wait(
      this.#device.queue.onSubmittedWorkDone().then(() => {
        const done = performance.now();
        const start = Math.max(submitted, this.#lastDone);
        this.#lastDone = done;
        launchObserver?.({ ...launch, start, milliseconds: done - start });
      }),
    );
  }

  #newSet(): OpenSet {
    const querySet = this.#device.createQuerySet({ type: 'timestamp', count: 2 * setLaunches });
    const set: OpenSet = { querySet, launches: [], opened: performance.now() };
    this.#commands.beforeSubmit((encoder) => this.#resolve(set, encoder));
    return set;
  }

  #resolve({ querySet, launches, opened }: OpenSet, encoder: GPUCommandEncoder): void {
    this.#open = undefined;
    const count = 2 * launches.length;
    const size = count * timestampBytes;
    const resolved = this.#device.createBuffer({ size, usage: bufferUsage.queryResolve | bufferUsage.copySource });
    const staging = this.#device.createBuffer({ size, usage: bufferUsage.mapRead | bufferUsage.copyTarget });
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, size);
    this.#commands.afterSubmit(() => {
      this.#wait(
        staging.mapAsync(mapModeRead).then(() => {
          const times = new BigUint64Array(staging.getMappedRange());
          launches.forEach((launch, i) => {
            // The clocks differ; the first launch counts as begun when it was recorded.
            const start = opened + Number(times[2 * i] - times[0]) / 1e6;
            const milliseconds = Math.max(0, Number(times[2 * i + 1] - times[2 * i]) / 1e6);
            launchObserver?.({ ...launch, start, milliseconds });
          });
          for (const each of [staging, resolved, querySet]) each.destroy();
        }),
      );
    });
  }

  /** A device that is lost times nothing, which whoever waits for its results finds out by itself. */
  #wait(done: Promise<void>): void {
    const settled = done
      .catch(() => undefined)
      .then(() => {
        this.#pending.delete(settled);
      });
    this.#pending.add(settled);
  }
}
