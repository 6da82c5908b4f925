/**
 * What fusion decides: which ops each kernel computes, in the order in which the kernels run, and which edges go through
 * memory.
 */
import type { FusionRefusal } from '../../ir/lowered.ts';
import type { Value } from '../../ir/types.ts';
import type { KernelGroup } from '../lower/group.ts';

export interface Partition {
  readonly groups: readonly KernelGroup[];
  readonly refusals: readonly FusionRefusal[];
  /** The value in whose memory a value lies: itself, or what it is a mere view of. */
  storageOf(value: Value): Value;
}
