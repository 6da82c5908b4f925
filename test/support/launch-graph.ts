/** What must come before what in a lowered program, for tests that look for other orders of its launches. */
import { reservedBytes } from '../../base/arena.ts';
import type { Lowered } from '../../ir/lowered.ts';
import type { Value } from '../../ir/types.ts';
import { LaunchGraph, type OrderedLaunch } from '../../passes/plan/order-launches.ts';

/** The launches of a lowered program again, over its temporaries; one that is written again is another value. */
export function launchGraphOf(lowered: Lowered): LaunchGraph {
  const current = new Map<string, Value>();
  const bytes = new Map<Value, number>();
  const inputs = new Set<Value>();
  const fresh = (kind: string, index: number): Value => {
    const value: Value = { type: { dtype: 'float32', shape: [] } };
    const size = lowered.temporaries[index]?.bytes;
    bytes.set(value, kind === 'temporary' && typeof size === 'number' ? reservedBytes(size) : 0);
    current.set(`${kind} ${index}`, value);
    if (kind === 'input') inputs.add(value);
    return value;
  };
  const launches = lowered.launches.map(({ kernel, buffers }): OrderedLaunch => {
    const bindings = lowered.kernels[kernel].buffers;
    const reads: Value[] = [];
    const writes: Value[] = [];
    buffers.forEach(({ kind, index }, at) => {
      if (bindings[at].access === 'read') reads.push(current.get(`${kind} ${index}`) ?? fresh(kind, index));
    });
    buffers.forEach(({ kind, index }, at) => {
      if (bindings[at].access !== 'read') writes.push(fresh(kind, index));
    });
    return { reads, writes, kernel: lowered.kernels[kernel] };
  });
  return new LaunchGraph({
    launches,
    bytesOf: (value) => bytes.get(value) ?? 0,
    isDonated: (value) => inputs.has(value),
  });
}
