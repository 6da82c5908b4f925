/**
 * Where the driver (`codegen/wasm/driver.ts`) finds things in linear memory: the list of launches that a binding
 * writes, and the control block that threads share. All numbers are byte offsets of 32-bit words.
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

/** Where the control block begins. The first 64 bytes of a memory belong to nobody. */
export const controlAddress = 64;

/** Bytes of the control block. */
export const controlBytes = 512;

/** The control block, by address. What different threads write at the same time lies 64 bytes apart. */
export const control = {
  /** How many workers take part in the round; the sign bit is set while it is closed. */
  gate: controlAddress,
  /** Goes up by one with each round and each message; idle workers sleep on it. */
  epoch: controlAddress + 64,
  sleepers: controlAddress + 68,
  /** Messages sent to every worker so far. */
  mail: controlAddress + 72,
  /** Messages that workers have taken in so far, all together. */
  received: controlAddress + 76,
  /** The next tile of the round that nobody has taken. */
  next: controlAddress + 128,
  /** The round: written while the gate is closed and nobody is inside. */
  end: controlAddress + 192,
  grain: controlAddress + 196,
  kernel: controlAddress + 200,
  record: controlAddress + 204,
  scratchWord: controlAddress + 208,
  stride: controlAddress + 212,
  copy: controlAddress + 216,
  /** Pages of the memory as the caller sees it: a thread that sees fewer must not touch what lies beyond. */
  pages: controlAddress + 232,
  /** 1 when the caller may sleep while it waits for workers; a page's main thread may not. */
  mayWait: controlAddress + 220,
  /** Not 0 when a worker's kernel has failed in the round. */
  failed: controlAddress + 224,
  /** Bytes of what it failed with, and the text as UTF-8. */
  failureBytes: controlAddress + 228,
  failureText: controlAddress + 256,
} as const;

/** The longest text of a failure. */
export const longestFailure = controlAddress + controlBytes - control.failureText;
