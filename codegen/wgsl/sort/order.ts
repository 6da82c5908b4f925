/**
 * Puts numbers that a launch has computed in order, for schedules that group work by them: the numbers, and where each
 * of them stood. Equal ones stay in their order.
 *
 *     [7, 2, 7, 0]  →  numbers [0, 2, 7, 7], positions [3, 1, 0, 2]
 */
import { type Dim, dimBounds } from '../../../base/dim.ts';
import { internalError } from '../../../base/error.ts';
import type { IndexExpression, KernelNode, Loop } from '../../../ir/kernel.ts';
import type { ScheduleContext, Stage } from '../schedule.ts';
import { planRadix } from './radix.ts';
import { longestInWorkgroup } from './stages.ts';
import { planInWorkgroup } from './workgroup.ts';

export interface Ordered {
  readonly stages: readonly Stage[];
  /** Launch arrays: uint32 numbers in order, and int32 positions. */
  readonly numbers: string;
  readonly positions: string;
}

/**
 * @param numbers a launch array of uint32, whose contents are lost
 * @param bits how many bits the numbers have at most
 */
export function planOrder(numbers: string, length: Dim, bits: number, context: ScheduleContext): Ordered {
  const { arrays, scratch } = context;
  const sorted = arrays.allocate('sorted', 'uint32', length);
  const positions = arrays.allocate('positions', 'int32', length);
  const names = { numbers: sorted, positions };
  if (dimBounds(length)[1] <= longestInWorkgroup) {
    return { ...names, stages: [planShort(numbers, sorted, positions, length, context)] };
  }
  const rowArray = (name: string) => ({ start: arrays.get(name).start, size: length });
  const elements = rowArray(numbers);
  const stages = planRadix(
    {
      order: { dtype: 'uint32', direction: 'ascending', isTagged: true },
      rows: 1,
      length,
      count: length,
      bits: [0, bits],
      elements,
      values: rowArray(sorted),
      positions: rowArray(positions),
      room: [
        { keys: scratch.allocate(length), tags: scratch.allocate(length) },
        { keys: elements.start, tags: scratch.allocate(length) },
      ],
    },
    context,
  );
  return { ...names, stages };
}

/** One workgroup copies the numbers into its memory, sorts them, and copies them back. */
function planShort(from: string, sorted: string, positions: string, length: Dim, context: ScheduleContext): Stage {
  const index: IndexExpression = { offset: 0, terms: [{ coefficient: 1, factor: { kind: 'axis', axis: 'element' } }] };
  let id = Math.max(-1, ...context.facts.dtypes.keys());
  const copy = (source: string, dtype: 'uint32' | 'int32', target: string): Loop => {
    id++;
    const body: KernelNode[] = [
      { kind: 'let', id, dtype, expression: { kind: 'load', memory: source, index } },
      { kind: 'store', memory: target, index, value: id, combine: 'assign' },
    ];
    return { kind: 'loop', mode: 'parallel', axis: { name: 'element', extent: length }, body };
  };
  const scratchArrays = new Map([
    ['keys', { name: 'keys', dtype: 'uint32', size: length } as const],
    ['places', { name: 'places', dtype: 'int32', size: length } as const],
  ]);
  const stage = planInWorkgroup(
    {
      axes: [],
      rows: 1,
      lets: [],
      handed: [],
      phases: [
        { kind: 'loop', loop: copy(from, 'uint32', 'keys') },
        {
          kind: 'sort',
          sort: {
            kind: 'sort',
            keys: 'keys',
            length,
            direction: 'ascending',
            values: 'keys',
            positions: 'places',
            count: length,
          },
        },
        { kind: 'loop', loop: copy('keys', 'uint32', sorted) },
        { kind: 'loop', loop: copy('places', 'int32', positions) },
      ],
    },
    { ...context, scratchArrays },
  );
  if (!stage) throw internalError('numbers do not fit into a workgroup');
  return stage;
}
