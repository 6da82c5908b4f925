/**
 * Whether what a group reads and writes fits the bindings of a kernel. While a group grows, it wants values whose ops
 * have not had their turn; each is going to be read from memory, or computed from what lies behind it. A value that is
 * made of what the group reads anyway counts for nothing then:
 *
 *     reads x, wants exponential(x) and 1/n      one buffer
 *     reads x, wants add(y, z)                   two: as yet it could be read itself
 */
import type { Value } from '../../ir/types.ts';
import type { GraphAnalysis } from './analysis.ts';
import type { FusionGroup } from './fusion-group.ts';

/** What a group would do beside what it does by now. */
export interface Addition {
  /** It computes this value ... */
  readonly computed?: Value;
  /** ... from these. */
  readonly operands?: readonly Value[];
  /** Values that it would write. */
  readonly outputs?: number;
}

/** Buffers that groups would bind as one kernel. Exact only where that is more than the target lets a kernel bind. */
export function buffersOf(
  groups: readonly FusionGroup[],
  analysis: GraphAnalysis,
  { computed, operands = [], outputs = 0 }: Addition = {},
): number {
  const { mostBuffers } = analysis.target;
  const most = groups.reduce((sum, { bufferCount }) => sum + bufferCount, 0) + operands.length + outputs;
  const bound = computed ? most - 1 : most;
  if (bound <= mostBuffers) return bound;
  const read = new Set<Value>();
  for (const { reads } of groups) for (const value of reads) read.add(analysis.storageOf(value));
  const wanted = new Set(operands);
  for (const group of groups) for (const value of group.wanted.keys()) wanted.add(value);
  if (computed) wanted.delete(computed);
  for (const value of wanted) {
    const sources = analysis.sourcesOf(value);
    const added = sources.filter((source) => !read.has(source));
    if (added.length === 1) read.add(added[0]);
    else if (added.length > 1) read.add(analysis.rootOf(value));
  }
  return read.size + outputs + groups.reduce((sum, group) => sum + group.outputs.length, 0);
}
