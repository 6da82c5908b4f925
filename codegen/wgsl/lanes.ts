/**
 * Whether a thread can do four elements at once along an axis: which loads and stores of a body move by one element
 * with it from a multiple of four.
 *
 *     y[4*j + k] = x[4*j + k] * s[j]     along k: y and x are vectors, s is the same for all lanes
 */
import { type Dim, equalDims, modDims } from '../../base/dim.ts';
import type { IndexExpression, KernelNode, Let, ScalarId, Store } from '../../ir/kernel.ts';
import { coefficientOf, normalizeIndex, valuesOfIndex } from '../common/linear-index.ts';
import { axesOf, walk } from '../common/walk.ts';
import { isScalar } from './accumulators.ts';

/** How an index moves along the lanes. */
export type LaneMotion = 'uniform' | 'vector' | 'other';

const isMultipleOfFour = (d: Dim): boolean => equalDims(modDims(d, 4), 0);

/** How an index moves along an axis whose counter is a multiple of four. */
export function laneMotion(index: IndexExpression, axis: string): LaneMotion {
  const normal = normalizeIndex(index);
  const along = coefficientOf(normal, axis);
  if (along === undefined) return 'other';
  if (equalDims(along, 0)) return 'uniform';
  if (!equalDims(along, 1) || !isMultipleOfFour(normal.offset)) return 'other';
  const isAligned = normal.terms.every(
    ({ coefficient, factor }) => (factor.kind === 'axis' && factor.axis === axis) || isMultipleOfFour(coefficient),
  );
  return isAligned ? 'vector' : 'other';
}

export interface LanePlan {
  /** Buffers that are read four elements at once somewhere, and those that are written so. */
  readonly reads: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
}

/** What of a body tells against lanes, or which buffers profit. */
export function planLanes(
  body: readonly KernelNode[],
  axis: string,
  extent: Dim,
  memories: ReadonlySet<string>,
): LanePlan | undefined {
  const isRagged = !isMultipleOfFour(extent);
  const reads = new Set<string>();
  const writes = new Set<string>();
  const varying = new Set<ScalarId>();
  let [vectors, gathers] = [0, 0];
  for (const node of walk(body)) {
    if (axesOf(node).some(({ name }) => name === axis)) return undefined;
    if (node.kind === 'sort' || (node.kind === 'reduce' && node.accumulators.some(isScalar))) return undefined;
    if (node.kind === 'store') {
      if (!isPlainStore(node, memories) || laneMotion(node.index, axis) !== 'vector') return undefined;
      if (valuesOfIndex(node.index).length > 0) return undefined;
      writes.add(node.memory);
      vectors++;
    } else if (node.kind === 'let' && node.expression.kind === 'load') {
      const { memory, index } = node.expression;
      if (!memories.has(memory)) return undefined;
      const motion = valuesOfIndex(index).some((id) => varying.has(id)) ? 'other' : laneMotion(index, axis);
      if (motion === 'vector') reads.add(memory);
      if (motion === 'vector') vectors++;
      if (motion === 'other') gathers++;
      // Lanes past the end hold whatever lies there, and must not be indices.
      if (isRagged && (valuesOfIndex(index).length > 0 || motion === 'other')) return undefined;
    }
    if (node.kind === 'let' && dependsOnLanes(node, axis, varying)) varying.add(node.id);
  }
  if (writes.size === 0 || gathers > vectors) return undefined;
  return { reads, writes };
}

const isPlainStore = ({ memory, combine, when }: Store, memories: ReadonlySet<string>): boolean =>
  memories.has(memory) && combine === 'assign' && when === undefined;

function dependsOnLanes({ expression }: Let, axis: string, varying: ReadonlySet<ScalarId>): boolean {
  if (expression.kind === 'apply') return expression.operands.some((id) => varying.has(id));
  if (expression.kind !== 'load' && expression.kind !== 'index') return false;
  return (
    laneMotion(expression.index, axis) !== 'uniform' || valuesOfIndex(expression.index).some((id) => varying.has(id))
  );
}
