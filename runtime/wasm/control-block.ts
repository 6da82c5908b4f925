/**
 * The control block at the beginning of a shared memory, by which threads agree on who does what: the pool and the driver
 * (`codegen/wasm/driver.ts`) read and write it. All numbers are addresses of 32-bit words.
 */

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
