/**
 * Parts of the compiler that can be left out, to see what each is worth (`npm run bench -- ablation`). A pass goes by
 * its name (`foldConstants`), a family of rewrite rules by `canonicalize/<family>`, and decisions inside of fusion and
 * lowering by the names below. Leaving any out changes no result, only what it costs.
 *
 *     compile({ module, ..., without: new Set(['fuse/multiOutput']) })
 */

/** Names of passes, rule families and features that a compile leaves out. */
export type Without = ReadonlySet<string>;

/** A compile that leaves out nothing. */
export const nothing: Without = new Set();

/** What fusion, lowering and planning can do without, and what each does. */
export const features = {
  'fuse/elementwise': 'Elementwise operations are computed inside the kernels that read them.',
  'fuse/reductions': 'Reductions share a kernel with what reads their result.',
  'fuse/prologues': 'Contractions compute their operands on the way.',
  'fuse/epilogues': 'Contractions compute on their result before it is stored.',
  'fuse/duplicates': 'A cheap value that several kernels read is computed in each instead of being stored.',
  'fuse/mergeSiblings': 'Kernels with common loops that want one value become one kernel.',
  'fuse/multiOutput': 'A kernel that computes a value anyway stores it for others.',
  'fuse/joinReaders': 'Kernels that run the same loops over the same memory become one.',
  'fuse/batches': 'Small kernels, and those at the end of the program, become nests of one kernel.',
  'fuse/streams': 'Scores of attention are computed where they are needed and never stored.',
  'fuse/scratchRows': 'What several sweeps of a row need is kept in a scratch row.',
  'lower/mergeReduces': 'Reductions that sweep the same axis share a loop.',
  'lower/equalKernels': 'Equal kernels are compiled once.',
  'prepare/values': 'What follows from captured tensors and constants alone is computed once.',
  'plan/inPlace': 'A result takes over the memory of an operand that dies.',
  'plan/order': 'Launches run in an order that keeps little alive at once.',
} as const;

export type Feature = keyof typeof features;
