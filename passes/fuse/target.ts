/**
 * What passes have to know of a target: the numbers that their decisions are made by, in one place. Costs are in one
 * unit, about an operation on one element of a vector.
 *
 *     fuseGraph(graph, nothing, { ...wasmTarget, mostBuffers: 8, launchCost: 200_000 })
 */
export interface FusionTarget {
  /** What a launch costs beside its work. */
  readonly launchCost: number;
  /** What it costs to read or write a byte of memory. */
  readonly byteCost: number;
  /** Buffers that one kernel may bind, those it writes included; an operation that reads more is taken apart. */
  readonly mostBuffers: number;
  /** Ops of one kernel, at most: bounds code size and compile time. */
  readonly mostOps: number;
  /** Nodes of a kernel above which its group is taken apart again. */
  readonly mostNodes: number;
  /** Elements up to which a row may be reduced beside other work where few rows give little to do at once. */
  readonly serialElements: number;
  /** Rows from which on all of the machine has something to do, however long they are. */
  readonly leastRows: number;
  /** Operations that may be done in one piece, where that repeats nothing. */
  readonly serialWork: number;
  /** Rows side by side in memory from which on a kernel reduces several of them at once, one in each lane. */
  readonly leastColumns: number;
  /** Bytes up to which a kernel's launch costs more than its work. */
  readonly smallTraffic: number;
  /** Elements of a row that is kept in scratch memory, at most. */
  readonly longestScratchRow: number;
  /** Operations for an element of a row from which on keeping it in scratch memory beats computing it again. */
  readonly scratchFlops: number;
  /** Operations for one element up to which a value is computed twice rather than stored. */
  readonly cheapFlops: number;
  /** Whether a single row is multiplied faster by a weight that does not lie along the sum. */
  readonly turnsFactors: boolean;
}

/** WASM on one thread: a launch is a call, and bindings are words of a record. */
export const wasmTarget: FusionTarget = {
  launchCost: 20_000,
  byteCost: 1,
  mostBuffers: 128,
  mostOps: 320,
  mostNodes: 4000,
  serialElements: 65_536,
  leastRows: 2,
  serialWork: 2 ** 25,
  leastColumns: 8,
  smallTraffic: 65_536,
  longestScratchRow: 2 ** 20,
  scratchFlops: 8,
  cheapFlops: 4,
  turnsFactors: true,
};

/**
 * WebGPU. The numbers are those of a GPU with memory of its own, which differ from an integrated one's mostly by a
 * common factor:
 *
 * - A dispatch takes some 5 to 10 µs until all of the machine works for it, in which memory of 0.1 to 4 TB/s moves some
 *   megabytes.
 * - An operation costs about a tenth of a byte of traffic: what takes a few of them is computed again.
 * - A row is the work of one workgroup of 256 threads. There are some hundred workgroups at once, so that few long rows
 *   leave the machine idle; a reduction by itself runs in two stages instead.
 * - A row in scratch memory lies in workgroup memory, of which 16 KiB are guaranteed.
 * - A workgroup reads along the sum as well as across it, so that weights need not be turned.
 *
 * @param storageBuffers bindings of one kernel (`WebgpuTier`), of which one is for scratch memory
 */
export const webgpuTarget = ({ storageBuffers }: { readonly storageBuffers: number }): FusionTarget => ({
  launchCost: 2 ** 22,
  byteCost: 8,
  mostBuffers: storageBuffers - 1,
  mostOps: 320,
  mostNodes: 2000,
  serialElements: 2 ** 14,
  leastRows: 64,
  serialWork: 2 ** 18,
  leastColumns: 16,
  smallTraffic: 2 ** 20,
  longestScratchRow: 4096,
  scratchFlops: 16,
  cheapFlops: 8,
  turnsFactors: false,
});
