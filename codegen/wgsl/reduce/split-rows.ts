/**
 * A reduction over rows that are reduced themselves, such as the mean of the losses of a batch: one stage does the rows,
 * all at once, the next one combines what they come to.
 *
 *     reduce i < B { reduce j < N {...} -> max; reduce j < N {...} -> sum; ... } -> total; store y[0] = total / B
 *
 *     stage 1     a team for each i; its state to scratch[i]
 *     stage 2     a workgroup combines B states, and stores
 */
import { ceilDivDims, dimProduct } from '../../../base/dim.ts';
import type { Axis, KernelNode, Loop, Reduce } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import type { Unit } from '../../common/units.ts';
import { stateOf } from '../accumulators.ts';
import { declareMember, declareRow, layoutRows, matchRows, rowStage, useOf } from '../rows/plan.ts';
import { RowBody } from '../rows/row-body.ts';
import { likelySweep, sweepOf, sweepsOf } from '../rows/sweeps.ts';
import { rowTeam, teamsOfGroup } from '../rows/team.ts';
import { type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import type { Shader } from '../shader.ts';
import { nestOf } from '../threads.ts';
import { Partials } from './partials.ts';

/** With so many rows outside of the reduction, or so few positions in all, one stage is enough. */
const enoughRows = 256;
const leastPositions = 2 ** 14;

const likelyCount = (axes: readonly Axis[]): number =>
  axes.reduce((count, { extent }) => count * likelyExtent(extent), 1);

export function planRowsOfReduction(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const { axes, inside } = nestOf(unit.nodes);
  const reduces = inside.filter((node): node is Reduce => node.kind === 'reduce' && !sweepOf(node));
  const [reduce] = reduces;
  if (reduces.length !== 1 || !inside.every(({ kind }) => kind === 'let' || kind === 'store' || kind === 'reduce'))
    return undefined;
  const at = inside.indexOf(reduce);
  const before = inside.slice(0, at);
  if (!before.every(({ kind }) => kind === 'let') || inside.slice(at + 1).some(({ kind }) => kind === 'reduce'))
    return undefined;
  const positions = Math.max(0, ...[...sweepsOf(reduce.body)].map(likelySweep)) * likelyCount(reduce.axes);
  if (likelyCount(axes) >= enoughRows || positions < leastPositions) return undefined;
  const inner: Unit = { lets: unit.lets, nodes: [nested([...axes, ...reduce.axes], [...before, ...reduce.body])] };
  const rows = matchRows(inner, context);
  if (!rows || rows.axes.length !== axes.length + reduce.axes.length) return undefined;
  const [count, strips] = [axes, reduce.axes].map((list) => dimProduct(list.map(({ extent }) => extent)));
  const partials = new Partials(reduce, count, strips, context.scratch);
  const leave = (body: RowBody, row: string): void => {
    const states = reduce.accumulators.map((accumulator) => {
      const state = stateOf(body, accumulator, reduce, 1);
      return { state, names: state.element() };
    });
    const { member, exists } = body.place;
    body.block(`if (${[`${member} == 0`, ...(exists ? [exists] : [])].join(' && ')})`, () => {
      const size = body.shader.size(strips);
      if (axes.length === 0) partials.store(body, states, '0', row);
      else partials.store(body, states, `${row} / ${size}`, `(${row} % ${size})`);
    });
  };
  return [rowStage(rows, context, leave), lastStage()];

  function lastStage(): Stage {
    const after = inside.filter((node) => node !== reduce);
    const layout = layoutRows(axes, after, [], context, () => rowTeam(strips));
    const perGroup = teamsOfGroup(layout.layout.team);
    return {
      workgroups: ceilDivDims(count, perGroup),
      workgroupSize: usualWorkgroup,
      use: useOf({ inside: after, layout: layout.layout }),
      emit: (shader: Shader): string => {
        const body = new RowBody(shader, context.facts, layout.layout);
        body.nodes(unit.lets);
        const names = declareMember(body, layout.layout.team);
        const { row, exists } = declareRow(body, axes, perGroup, 'i32(workgroup)', names.team);
        body.begin({ ...names, ...(exists && { exists }) });
        for (const node of inside) {
          if (node === reduce) partials.combine(body, row);
          else body.node(node);
        }
        return body.text;
      },
    };
  }
}

/** Parallel loops over axes, one inside the other. */
function nested([axis, ...others]: readonly Axis[], body: readonly KernelNode[]): Loop {
  return { kind: 'loop', mode: 'parallel', axis, body: others.length === 0 ? body : [nested(others, body)] };
}
