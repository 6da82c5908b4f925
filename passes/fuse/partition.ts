/**
 * What fusion decides: which ops each kernel computes, in the order in which the kernels run, and which edges go
 * through memory. A call of another function stands between kernels: its operands and results lie in memory.
 */
import type { FusionRefusal } from '../../ir/lowered.ts';
import type { OpOf, Value } from '../../ir/types.ts';
import type { KernelGroup } from '../lower/group.ts';

export interface Partition {
  readonly groups: readonly KernelGroup[];
  /** In the order in which they run. */
  readonly calls: readonly PlacedCall[];
  readonly refusals: readonly FusionRefusal[];
  /** The value in whose memory a value lies: itself, or what it is a mere view of. */
  storageOf(value: Value): Value;
}

/** A call and the number of groups that run before it. */
export interface PlacedCall {
  readonly op: OpOf<'call'>;
  readonly after: number;
}
