/**
 * Recognises transposes: nests of parallel loops that write along one axis, `across`, and read some arrays along
 * another, `down`.
 *
 *     parallel i < M { parallel j < N { %0 = load x[M*j + i]; ...; store y[N*i + j] = %1 } }    across j, down i
 */
import { dimBounds, equalDims } from '../../../base/dim.ts';
import type { Axis, IndexExpression, KernelNode, Let, Store } from '../../../ir/kernel.ts';
import { coefficientOf, valuesOfIndex } from '../../common/linear-index.ts';
import type { Unit } from '../../common/units.ts';
import type { ScheduleContext } from '../schedule.ts';
import { nestOf } from '../threads.ts';

export interface Transpose {
  readonly across: Axis;
  readonly down: Axis;
  /** The other axes, outermost first. */
  readonly others: readonly Axis[];
  /** Loads along `down`, which go through workgroup memory. */
  readonly turned: readonly Let[];
  readonly body: readonly (Let | Store)[];
}

/** Arrays that have tiles in workgroup memory at once. */
const mostTurned = 3;
/** With fewer elements along an axis, tiles would be mostly empty. */
const leastExtent = 8;

export function matchTranspose({ lets, nodes }: Unit, context: ScheduleContext): Transpose | undefined {
  const { axes, inside } = nestOf(nodes);
  if (axes.length < 2 || !inside.every(isPlain)) return undefined;
  const body = [...lets, ...inside] as (Let | Store)[];
  const stores = body.filter((node) => node.kind === 'store');
  if (stores.some(({ memory }) => context.scratchArrays.has(memory))) return undefined;
  const across = mostFrequent(stores.map(({ index }) => alongside(index, axes)));
  if (!across) return undefined;
  const isTurned = (node: Let | Store): node is Let => {
    if (node.kind !== 'let' || node.expression.kind !== 'load') return false;
    const { memory, index, when } = node.expression;
    if (when !== undefined || valuesOfIndex(index).length > 0 || context.written.has(memory)) return false;
    return !moves(index, across) && alongside(index, axes) !== undefined;
  };
  const candidates = body.filter(isTurned);
  const indices = candidates.map(({ expression }) =>
    expression.kind === 'load' ? alongside(expression.index, axes) : undefined,
  );
  const down = mostFrequent(indices);
  if (!down) return undefined;
  // Every element is written once: stores move with both axes.
  const isSingle = ({ index }: Store): boolean =>
    [across, down].every(({ name }) => !equalDims(coefficientOf(index, name) ?? 0, 0));
  if (!stores.every(isSingle)) return undefined;
  return {
    across,
    down,
    others: axes.filter((axis) => axis !== across && axis !== down),
    turned: candidates.filter((_, i) => indices[i] === down).slice(0, mostTurned),
    body,
  };
}

const isPlain = (node: KernelNode): node is Let | Store =>
  node.kind === 'let' || (node.kind === 'store' && node.combine === 'assign' && node.when === undefined);

const moves = (index: IndexExpression, { name }: Axis): boolean => equalDims(coefficientOf(index, name) ?? 0, 1);

/** The axis along which an index goes from element to element, if it is long enough for tiles. */
const alongside = (index: IndexExpression, axes: readonly Axis[]): Axis | undefined =>
  axes.find((axis) => dimBounds(axis.extent)[1] >= leastExtent && moves(index, axis));

function mostFrequent(axes: readonly (Axis | undefined)[]): Axis | undefined {
  const counts = new Map<Axis, number>();
  for (const axis of axes) if (axis) counts.set(axis, (counts.get(axis) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}
