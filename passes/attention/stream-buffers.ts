/**
 * Buffers that a stream reads at least. Parts of one value are read from its memory, and what is made of positions, such as
 * a causal mask, from none:
 *
 *     slice %qkv, slice %qkv, slice %qkv, compare (iota) (iota)      one buffer
 */
import type { Value } from '../../ir/types.ts';
import { type GraphUses, isAnchor, isFree, readBy } from '../fuse/graph-uses.ts';

export function countReadBuffers(sources: Iterable<Value>, analysis: GraphUses): number {
  const read = new Set<Value>();
  const seen = new Set<Value>(sources);
  for (const value of seen) {
    const op = analysis.producerOf(value);
    if (op && isFree(op)) for (const operand of readBy(op)) seen.add(operand);
    else if (!isMadeOfPositions(value, analysis)) read.add(value);
  }
  return read.size;
}

/** Ops behind a value that are looked at. */
const mostLookedAt = 64;

function isMadeOfPositions(value: Value, analysis: GraphUses): boolean {
  const seen = new Set<Value>([value]);
  for (const next of seen) {
    const op = analysis.producerOf(next);
    if (!op || isAnchor(op) || op.opcode === 'call' || seen.size > mostLookedAt) return false;
    for (const operand of readBy(op)) seen.add(operand);
  }
  return true;
}
