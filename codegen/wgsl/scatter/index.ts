/**
 * The schedule for a scatter. The updates of each element are applied in their order, by one thread, so that the result
 * is that of the kernel whatever the order means: no atomics, the same bits every time. How threads share the work
 * depends on what is known of the places (`docs/webgpu.md`, Scatter):
 *
 *     few updates, windows apart     a thread for each element of the window goes through all updates
 *     many updates, windows apart    updates are put in order by their places; a thread for each element of each
 *                                    place goes through the updates of that place
 *     windows that overlap           one workgroup goes through the updates, its threads through the window
 */
import { ceilDivDims, type Dim, dimBounds, isStatic } from '../../../base/dim.ts';
import type { KernelNode } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { valuesOfIndex } from '../../common/linear-index.ts';
import type { Unit } from '../../common/units.ts';
import { Body } from '../body.ts';
import type { ScheduleContext, Stage } from '../schedule.ts';
import { usualWorkgroup } from '../schedule.ts';
import { planOrder } from '../sort/order.ts';
import { bindAxes, planThreads } from '../threads.ts';
import { planPlaces } from './apply.ts';
import { letsFor, matchScatter, type Scatter } from './match.ts';

/** So many updates a thread applies one after the other. */
const fewUpdates = 16;
/** With so many elements in the window, threads enough for more. */
const wideWindow = 1 << 15;
const manyUpdates = 1024;

export function planScatter(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const scatter = matchScatter(unit);
  if (!scatter) return undefined;
  if (!scatter.isApart) return [planOverlapping(scatter, context)];
  const most = dimBounds(scatter.count)[1];
  const isWide = likelyExtent(scatter.elements) >= wideWindow;
  if (most <= fewUpdates || (isWide && most <= manyUpdates)) return [planThreads(interchanged(scatter), context)];
  return planSorted(scatter, context);
}

/** The loops over the window outside, those over the updates inside. */
function interchanged({ updates, window, lets, inside, store }: Scatter): Unit {
  let nodes: readonly KernelNode[] = [...lets, ...inside, store];
  for (const axis of [...updates].reverse()) nodes = [{ kind: 'loop', mode: 'sequential', axis, body: nodes }];
  for (const axis of [...window].reverse()) nodes = [{ kind: 'loop', mode: 'parallel', axis, body: nodes }];
  return { lets: [], nodes };
}

/** The numbers of the places, put in order, and the updates of each place applied. */
function planSorted(scatter: Scatter, context: ScheduleContext): readonly Stage[] {
  const { count, store } = scatter;
  const buffer = context.kernel.buffers.find(({ name }) => name === store.memory);
  const places = buffer?.size ?? 0;
  const numbers = context.arrays.allocate('places', 'uint32', count);
  const bits = isStatic(places) ? Math.max(1, Math.ceil(Math.log2(places + 1))) : 32;
  const ordered = planOrder(numbers, count, bits, context);
  return [
    planNumbers(scatter, numbers, places, context),
    ...ordered.stages,
    planPlaces(scatter, ordered, places, context),
  ];
}

/** Writes for each update the place of the first element of its window, or one behind all for none. */
function planNumbers(scatter: Scatter, numbers: string, places: Dim, context: ScheduleContext): Stage {
  const { updates, window, count, lets, store } = scatter;
  return {
    workgroups: ceilDivDims(count, usualWorkgroup),
    workgroupSize: usualWorkgroup,
    use: { vectorReads: new Set(), vectorWrites: new Set(), scalarWrites: new Set() },
    emit: (shader) => {
      const body = new Body(shader, context.facts);
      body.line(`let update = i32(workgroup * ${usualWorkgroup}u + local);`);
      body.block(`if (update >= ${shader.size(count)})`, () => body.line('return;'));
      bindAxes(body, updates, 'update');
      body.nodes(letsFor(lets, [...valuesOfIndex(store.index), ...(store.when === undefined ? [] : [store.when])]));
      const inWindow = new Set(window.map(({ name }) => name));
      const terms = store.index.terms.filter(({ factor }) => factor.kind !== 'axis' || !inWindow.has(factor.axis));
      const place = body.index({ offset: store.index.offset, terms });
      const value =
        store.when === undefined ? place : `select(${shader.size(places)}, ${place}, ${body.value(store.when).text})`;
      body.line(body.array(numbers).store('update', `u32(${value})`));
      return body.text;
    },
  };
}

/** One workgroup applies update after update. */
function planOverlapping(scatter: Scatter, context: ScheduleContext): Stage {
  const { updates, window, elements, lets, inside, store } = scatter;
  return {
    workgroups: 1,
    workgroupSize: usualWorkgroup,
    use: { vectorReads: new Set(), vectorWrites: new Set(), scalarWrites: new Set([store.memory]) },
    emit: (shader) => {
      const body = new Body(shader, context.facts);
      const loops = (level: number): void => {
        if (level < updates.length) {
          body.counted(updates[level].name, updates[level].extent, () => loops(level + 1));
          return;
        }
        body.nodes(lets);
        body.block(
          `for (var element = i32(local); element < ${shader.size(elements)}; element += ${usualWorkgroup})`,
          () => {
            bindAxes(body, window, 'element');
            body.nodes(inside);
            body.store(store);
          },
        );
        // The next update may change the same elements.
        body.line('storageBarrier();');
      };
      loops(0);
      return body.text;
    },
  };
}
