/**
 * Sequential loops that a team can do at once: running sums, products and extrema. What does not depend on the carried
 * value is computed for all positions first, what depends on the combined one after it.
 *
 *     sequential s < N carrying (%1 = %0 then %6) {
 *       %5 = load x[s]            first
 *       %6 = add %1, %5           the combination: associative
 *       store y[s] = %6           then
 *     }
 */
import type { ClosedAccumulator, KernelNode, Loop, ScalarId } from '../../../ir/kernel.ts';
import { indexKey, normalizeIndex } from '../../common/linear-index.ts';
import { freeValues } from '../../common/walk.ts';

export interface Scan {
  /** What is combined at each position. */
  readonly combination: ClosedAccumulator;
  readonly initial: ScalarId;
  readonly next: ScalarId;
  readonly first: readonly KernelNode[];
  readonly then: readonly KernelNode[];
}

const kinds = { add: 'sum', multiply: 'product', maximum: 'max', minimum: 'min' } as const;
type Combining = keyof typeof kinds;
const isCombining = (opcode: string): opcode is Combining => opcode in kinds;

/** A sequential loop as a scan, or `undefined` where its iterations must follow one another. */
export function scanOf({ mode, carried = [], body }: Loop): Scan | undefined {
  if (mode !== 'sequential' || carried.length !== 1) return undefined;
  const [{ id, dtype, initial, next }] = carried;
  const at = body.findIndex((node) => node.kind === 'let' && node.id === next);
  const node = body[at];
  if (node?.kind !== 'let' || node.expression.kind !== 'apply' || dtype === 'bool') return undefined;
  const { opcode, operands } = node.expression;
  if (!isCombining(opcode) || operands.length !== 2) return undefined;
  const value = operands[0] === id ? operands[1] : operands[0];
  if (!operands.includes(id) || value === id) return undefined;
  const later = new Set<ScalarId>([next]);
  const first: KernelNode[] = [];
  const then: KernelNode[] = [];
  for (const other of body) {
    if (other === node) continue;
    if (other.kind !== 'let' && other.kind !== 'store') return undefined;
    const needs = freeValues(other);
    if (needs.has(id)) return undefined;
    const isLater = other.kind === 'store' || [...needs].some((need) => later.has(need));
    if (isLater && other.kind === 'let') later.add(other.id);
    (isLater ? then : first).push(other);
  }
  if (later.has(value) || !isInPlace(body)) return undefined;
  return { combination: { kind: kinds[opcode], result: id, dtype, value }, initial, next, first, then };
}

/** Whether what is stored is read at the place alone where it is stored, before. */
function isInPlace(body: readonly KernelNode[]): boolean {
  const stored = new Map<string, string>();
  for (const node of body) {
    if (node.kind !== 'store') continue;
    const key = indexKey(normalizeIndex(node.index));
    if (stored.has(node.memory) || node.combine !== 'assign') return false;
    stored.set(node.memory, key);
  }
  let hasStored = false;
  for (const node of body) {
    if (node.kind === 'store') hasStored = true;
    if (node.kind !== 'let' || node.expression.kind !== 'load') continue;
    const key = stored.get(node.expression.memory);
    if (key !== undefined && (hasStored || key !== indexKey(normalizeIndex(node.expression.index)))) return false;
  }
  return true;
}
