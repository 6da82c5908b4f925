/** What a device has done so far, for tests and benches that hold it to few submits and no repeated work. */
export interface WebgpuCounters {
  /** Command buffers handed to the queue, one with each submit. */
  readonly submits: number;
  readonly dispatches: number;
  readonly shaderModules: number;
  readonly pipelines: number;
  readonly bindGroups: number;
  /** GPUBuffers made. */
  readonly buffers: number;
  /** Reads that were encoded. */
  readonly reads: number;
}

export type MutableCounters = { -readonly [K in keyof WebgpuCounters]: number };

export const newCounters = (): MutableCounters => ({
  submits: 0,
  dispatches: 0,
  shaderModules: 0,
  pipelines: 0,
  bindGroups: 0,
  buffers: 0,
  reads: 0,
});
