/**
 * Where the driver (`codegen/wasm/driver.ts`) finds the launches that a binding writes into linear memory. All numbers
 * are byte offsets of 32-bit words. What threads share is in `control-block.ts`.
 *
 *     launches of a binding, one behind the other:
 *       [ kernel | record | tiles | mode | size | scratch word | stride | copy | wakes | phases: n
 *         | (tiles, grain) × n | record … ]
 */

/** A launch. Its record follows its phases. */
export const launchLayout = {
  /** Index of the kernel in the function table. */
  kernel: 0,
  /** Address of the record. */
  record: 4,
  /** Tiles of all phases together. */
  tiles: 8,
  /** How it is launched: one of `launchModes`. */
  mode: 12,
  /** Bytes to the next launch. */
  size: 16,
  /** Which word of the record holds the address of private scratch memory; 0 when the kernel uses none. */
  scratchWord: 20,
  /** Bytes from the private scratch memory of one thread to that of the next. */
  stride: 24,
  /** Bytes from the start of a thread's private scratch memory to its copy of the record. */
  copy: 28,
  /** 1 when there is enough work to wake sleeping workers for it. */
  wakes: 32,
  phaseCount: 36,
  /** Pairs of tiles and grain; grain 0: the caller does the phase alone. */
  phases: 40,
} as const;

/** Words of a launch in front of its record. */
export const launchWords = (phases: number): number => launchLayout.phases / 4 + 2 * phases;

export const launchModes = {
  /** One call for all tiles. */
  whole: 0,
  /** JavaScript decides: the kernel is new, or the pool has not started. */
  ask: 1,
  /** Phase by phase, on all threads where the grain says so. */
  parallel: 2,
} as const;
