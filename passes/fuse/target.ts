/**
 * What fusion has to know of a target: the numbers that its decisions are made by, in one place. Costs are in one unit,
 * about an operation on one element of a vector; a byte of memory traffic costs one.
 *
 *     fuseGraph(graph, nothing, { ...wasmTarget, mostBuffers: 8, launchCost: 200_000 })
 */
export interface FusionTarget {
  /** What a launch costs beside its work. */
  readonly launchCost: number;
  /** Bindings of one kernel, at most. */
  readonly mostBuffers: number;
  /** Ops of one kernel, at most: bounds code size and compile time. */
  readonly mostOps: number;
  /** Elements up to which a reduction of a whole array may run on one thread beside other work. */
  readonly serialElements: number;
  /** Operations that one thread may do in one piece, where that repeats nothing. */
  readonly serialWork: number;
  /** Rows side by side in memory from which on a kernel reduces several of them at once, one in each lane. */
  readonly leastColumns: number;
  /** Bytes up to which a kernel's launch costs more than its work. */
  readonly smallTraffic: number;
  /** Elements of a row that is kept in scratch memory, at most. */
  readonly longestScratchRow: number;
}

/** WASM on one thread: a launch is a call, and bindings are words of a record. */
export const wasmTarget: FusionTarget = {
  launchCost: 20_000,
  mostBuffers: 128,
  mostOps: 320,
  serialElements: 65_536,
  serialWork: 2 ** 25,
  leastColumns: 8,
  smallTraffic: 65_536,
  longestScratchRow: 2 ** 20,
};
