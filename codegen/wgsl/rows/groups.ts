/**
 * How the sweeps of a row go over their positions. Sweeps of equal extents go alike, so that a thread meets the same
 * positions in each: what it wrote in one sweep it reads in the next, and what fits stays in its registers.
 *
 *     extent 768, 64 threads a row     three vectors of four a thread, held between the sweeps
 *     extent N, 256 threads            each 256th element, or vector where N is a multiple of four
 */
import {
  ceilDivDims,
  type Dim,
  dimBounds,
  dimProduct,
  equalDims,
  floorDivDims,
  isStatic,
  modDims,
  mulDims,
} from '../../../base/dim.ts';
import type { Let, ScalarId } from '../../../ir/kernel.ts';
import { coefficientOf, valuesOfIndex } from '../../common/linear-index.ts';
import { axesOf, definitionsOf, walk } from '../../common/walk.ts';
import { isScalar } from '../accumulators.ts';
import { laneMotion } from '../lanes.ts';
import { groupOf, keyInSweep, type Ownership, type Sweep } from './sweeps.ts';
import type { Team } from './team.ts';

export interface SweepGroup {
  readonly key: string;
  /** Positions. */
  readonly total: Dim;
  /** Neighbouring positions that a thread does at once. */
  readonly lanes: 1 | 4;
  /** Where whole vectors end, and whether there are positions behind: less than a vector. */
  readonly end: Dim;
  readonly hasTail: boolean;
  /** Steps of a thread, where they are few: what it computes there can stay with it. */
  readonly held?: number;
  /** Loads that several of the sweeps do, as `memory key`. */
  readonly kept: ReadonlySet<string>;
}

/** Steps, and words of all that is kept, up to which a thread holds its elements. */
const mostHeldSteps = 8;
const mostHeldWords = 64;

/** Whether a sweep, or what is inside, does what four lanes can not. */
function allowsLanes({ axes, body }: Sweep, scratch: ReadonlySet<string>): boolean {
  const [last] = axes.slice(-1);
  const varying = new Set<ScalarId>();
  for (const inner of walk(body)) {
    if (axesOf(inner).some(({ name }) => name === last.name) || inner.kind === 'sort') return false;
    if (inner.kind === 'reduce' && inner.accumulators.some(isScalar)) return false;
    if (inner.kind === 'store') {
      if (inner.combine !== 'assign' || inner.when !== undefined) return false;
      if (!scratch.has(inner.memory) && laneMotion(inner.index, last.name) !== 'vector') return false;
      if (valuesOfIndex(inner.index).some((id) => varying.has(id))) return false;
    }
    // Whatever is defined inside may differ from lane to lane.
    for (const id of definitionsOf(inner)) varying.add(id);
  }
  return true;
}

/**
 * Whether the last vector may go beyond the end. What lies there is padding, which may be read and written where the
 * sweep fills the buffer, but must not be an index.
 */
function allowsPadding({ axes, body }: Sweep, sizes: ReadonlyMap<string, Dim>): boolean {
  const [{ name, extent }] = axes;
  return [...walk(body)].every((node) => {
    if (node.kind === 'store') {
      const size = sizes.get(node.memory);
      const { offset, terms } = node.index;
      return size === undefined || (equalDims(size, extent) && equalDims(offset, 0) && terms.length === 1);
    }
    if (node.kind !== 'let' || node.expression.kind !== 'load') return true;
    const { index } = node.expression;
    return valuesOfIndex(index).length === 0 && laneMotion(index, name) !== 'other';
  });
}

/** Whether vectors are read or written somewhere. */
const hasVectors = ({ axes, body }: Sweep): boolean =>
  [...walk(body)].some((node) => {
    const [{ name }] = axes.slice(-1);
    if (node.kind === 'store') return laneMotion(node.index, name) === 'vector';
    return node.kind === 'let' && node.expression.kind === 'load' && isVectorLoad(node, name);
  });

const isVectorLoad = ({ expression }: Let, axis: string): boolean =>
  expression.kind === 'load' && laneMotion(expression.index, axis) === 'vector';

/**
 * The groups of a row's sweeps by key.
 * @param sizes where there is one row, which may begin where memory begins, the sizes of buffers
 */
export function groupSweeps(
  sweeps: readonly Sweep[],
  teamFor: (steps: Dim) => Team,
  { atPosition, own }: Ownership,
  written: ReadonlySet<string>,
  scratch: ReadonlySet<string>,
  sizes?: ReadonlyMap<string, Dim>,
): { readonly team: Team; readonly groups: ReadonlyMap<string, SweepGroup> } {
  const byKey = new Map<string, Sweep[]>();
  for (const sweep of sweeps) byKey.set(groupOf(sweep), [...(byKey.get(groupOf(sweep)) ?? []), sweep]);
  const shapes = [...byKey].map(([key, members]) => {
    const extents = members[0].axes.map(({ extent }) => extent);
    const isRagged = !equalDims(modDims(extents[extents.length - 1], 4), 0);
    const isAligned =
      !isRagged ||
      (sizes !== undefined && members.every((one) => one.axes.length === 1 && !one.scan && allowsPadding(one, sizes)));
    const isFast = isAligned && teamFor(1024).layout === 'rows';
    const lanes = isFast && members.every((one) => allowsLanes(one, scratch)) && members.some(hasVectors) ? 4 : 1;
    return { key, members, total: dimProduct(extents), lanes: lanes as 1 | 4, isRagged };
  });
  const teams = shapes.map(({ total, lanes }) => teamFor(lanes === 4 ? ceilDivDims(total, 4) : total));
  const team = teams.reduce((a, b) => (b.size > a.size ? b : a), teams[0] ?? teamFor(1));
  const groups = new Map<string, SweepGroup>();
  for (const { key, members, total, lanes, isRagged } of shapes) {
    const hasTail = isRagged && lanes === 4;
    const steps = isStatic(total) ? Math.ceil(total / lanes / team.size) : Infinity;
    const kept = keptLoads(members, { own, atPosition }, written);
    const arrays = [...atPosition.values()].filter((group) => group === key).length;
    const words = steps * lanes;
    const isHeld =
      !members[0].scan && !hasTail && members.length > 1 && steps <= mostHeldSteps && arrays * words <= mostHeldWords;
    const mostKept = isHeld ? Math.max(0, Math.floor(mostHeldWords / words) - arrays) : 0;
    groups.set(key, {
      key,
      total,
      lanes,
      end: hasTail ? mulDims(floorDivDims(total, 4), 4) : total,
      hasTail,
      ...(isHeld && { held: steps }),
      kept: new Set([...kept].slice(0, mostKept)),
    });
  }
  return { team, groups };
}

/** Loads of a sweep that stay as they are until the next one. */
export function keptKey(node: Let, sweep: Sweep): string | undefined {
  if (node.expression.kind !== 'load') return undefined;
  const { memory, index, when } = node.expression;
  if (when !== undefined || valuesOfIndex(index).length > 0) return undefined;
  const [last] = sweep.axes.slice(-1);
  const along = coefficientOf(index, last.name);
  if (along !== undefined && equalDims(along, 0)) return undefined;
  return `${memory} ${keyInSweep(index, sweep)}`;
}

function keptLoads(
  sweeps: readonly Sweep[],
  { own, atPosition }: Ownership,
  written: ReadonlySet<string>,
): ReadonlySet<string> {
  const seen = new Set<string>();
  const kept = new Set<string>();
  for (const sweep of sweeps) {
    const here = new Set<string>();
    for (const node of sweep.body) {
      if (node.kind !== 'let' || node.expression.kind !== 'load') continue;
      const { memory } = node.expression;
      const key = keptKey(node, sweep);
      if (key === undefined || atPosition.has(memory) || (written.has(memory) && !own.has(memory))) continue;
      here.add(key);
    }
    for (const key of here) {
      if (seen.has(key)) kept.add(key);
      seen.add(key);
    }
  }
  return kept;
}

/** Whether a thread of the team may do more than so many steps of a sweep. */
export const mayExceed = (
  { total, lanes }: Pick<SweepGroup, 'total' | 'lanes'>,
  { size }: Team,
  steps: number,
): boolean => dimBounds(total)[1] > steps * lanes * size;
