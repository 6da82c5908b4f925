/**
 * Watching launches. While an observer is set, each launch is timed and reported when it has ended; without one, a
 * launch pays a single comparison.
 *
 *     const stop = observeLaunches((launch) => console.log(launch.kernel, launch.milliseconds));
 */
import type { SourceLocation } from '../base/location.ts';

export interface LaunchTiming {
  readonly device: string;
  /** Names of the program and the kernel, and which step of the program it is. */
  readonly program: string;
  readonly kernel: string;
  readonly step: number;
  /** Start on the clock of `performance.now()`. */
  readonly start: number;
  readonly milliseconds: number;
  /** A rough count of floating point operations. */
  readonly flops: number;
  /** Bytes of the buffers it is bound to. */
  readonly bytes: number;
  /** The user's line, from a device that reports a launch only after it was made. */
  readonly location?: SourceLocation;
}

export type LaunchObserver = (timing: LaunchTiming) => void;

const observers = new Set<LaunchObserver>();

/** Told of every launch while it is not `undefined`. */
export let launchObserver: LaunchObserver | undefined;

/** Reports every launch, on every device, until the function that is returned is called. */
export function observeLaunches(observer: LaunchObserver): () => void {
  // Each call adds an observer of its own, even for the same function.
  const added: LaunchObserver = (timing) => observer(timing);
  observers.add(added);
  update();
  return () => {
    observers.delete(added);
    update();
  };
}

function update(): void {
  const all = [...observers];
  launchObserver = all.length === 0 ? undefined : tell;

  function tell(timing: LaunchTiming): void {
    for (const observer of all) observer(timing);
  }
}
