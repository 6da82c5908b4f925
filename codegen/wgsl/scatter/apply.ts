/**
 * Applies updates that have been put in order by their places: a thread has one element of the window and one update.
 * If that update is the first of its place, the thread applies it and those that follow at the same place.
 *
 *     numbers    3  3  3  8  9  9  ∞         place 3 has the updates 4, 7, 12, in this order
 *     positions  4  7 12  0  1  2 13         the last has no place
 */
import { ceilDivDims, type Dim, equalDims, modDims, mulDims } from '../../../base/dim.ts';
import { computeDType, isHalf } from '../../../base/dtype.ts';
import { combineOpcode, type Store } from '../../../ir/kernel.ts';
import { Body, type Lanes } from '../body.ts';
import { laneMotion } from '../lanes.ts';
import { applyText } from '../math/index.ts';
import { canAccessVector, loadText, loadVectorText, mathContext, storeText, storeVectorText } from '../memory.ts';
import { type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import type { DeclaredBuffer, Shader } from '../shader.ts';
import type { Ordered } from '../sort/order.ts';
import { typeText } from '../storage.ts';
import { bindAxes } from '../threads.ts';
import { letsFor, type Scatter } from './match.ts';

export function planPlaces(scatter: Scatter, ordered: Ordered, places: Dim, context: ScheduleContext): Stage {
  const { window, count, store } = scatter;
  const lanes = lanesOf(scatter);
  const extents = window.map(({ extent }, at) =>
    lanes === 4 && at === window.length - 1 ? ceilDivDims(extent, 4) : extent,
  );
  const elements = extents.reduce<Dim>(mulDims, 1);
  const total = mulDims(count, elements);
  const touched = new Set([store.memory]);
  const none = new Set<string>();
  const vectorReads = lanes === 4 ? vectorReadsOf(scatter) : none;
  return {
    workgroups: ceilDivDims(total, usualWorkgroup),
    workgroupSize: usualWorkgroup,
    use: { vectorReads, vectorWrites: lanes === 4 ? touched : none, scalarWrites: lanes === 4 ? none : touched },
    emit: (shader) => {
      const last = window[window.length - 1];
      const body = new Body(shader, context.facts, lanes === 4 ? { axis: last.name } : undefined);
      const [numbers, positions] = [ordered.numbers, ordered.positions].map((name) => body.array(name));
      body.line(`let thread = i32(workgroup * ${usualWorkgroup}u + local);`);
      body.block(`if (thread >= ${shader.size(total)})`, () => body.line('return;'));
      body.line(`let first = thread${elements === 1 ? '' : ` / ${shader.size(elements)}`};`);
      if (window.length > 0) {
        body.line(`let element = thread % ${shader.size(elements)};`);
        bindAxes(body, window, 'element', lanes);
      }
      body.line(`let number = ${numbers.load('first')};`);
      const isNone = `number >= u32(${shader.size(places)})`;
      body.line('// Only the first update of a place goes on.');
      body.block(`if (${isNone} || (first > 0 && ${numbers.load('max(first - 1, 0)')} == number))`, () =>
        body.line('return;'),
      );
      const offset = body.index({
        offset: 0,
        terms: store.index.terms.filter(
          ({ factor }) => factor.kind === 'axis' && window.some(({ name }) => name === factor.axis),
        ),
      });
      body.line(`let place = i32(number)${window.length > 0 ? ` + ${offset}` : ''};`);
      const next = numbers.load(`min(next, ${shader.size(count)} - 1)`);
      applyAll(body, shader, scatter, lanes, next, positions.load('next'));
      return body.text;
    },
  };
}

/** Four elements at once, where a window is made of whole vectors. */
function lanesOf({ window, store }: Scatter): Lanes {
  const last = window[window.length - 1];
  if (!last || !equalDims(modDims(last.extent, 4), 0)) return 1;
  return laneMotion(store.index, last.name) === 'vector' ? 4 : 1;
}

/** Buffers that updates read four elements at once. */
function vectorReadsOf({ window, inside }: Scatter): ReadonlySet<string> {
  const last = window[window.length - 1];
  const found = new Set<string>();
  for (const { expression } of inside) {
    if (expression.kind !== 'load' || laneMotion(expression.index, last.name) !== 'vector') continue;
    found.add(expression.memory);
  }
  return found;
}

function applyAll(body: Body, shader: Shader, scatter: Scatter, lanes: Lanes, number: string, position: string): void {
  const { updates, count, lets, inside, store } = scatter;
  const buffer = shader.buffer(store.memory);
  body.line(`var total = ${loadAt(shader, buffer, 'place', lanes)};`);
  const size = shader.size(count);
  body.block(`for (var next = first; next < ${size} && ${number} == number; next++)`, () => {
    body.line(`let update = ${position};`);
    bindAxes(body, updates, 'update');
    body.nodes(letsFor([...lets, ...inside], [store.value]));
    body.line(`total = ${combined(shader, store, buffer, lanes, body.textOf(store.value, lanes))};`);
  });
  body.line(storeAt(shader, buffer, 'place', 'total', lanes));
}

/** The element after an update, rounded to what it is stored as. */
function combined(
  shader: Shader,
  { combine }: Store,
  { storage }: DeclaredBuffer,
  lanes: Lanes,
  value: string,
): string {
  if (combine === 'assign') return value;
  const opcode = combineOpcode[combine];
  const { dtype } = storage;
  const context = mathContext(shader, lanes);
  const text = applyText(context, { opcode, dtype: computeDType(dtype), from: computeDType(dtype) }, ['total', value]);
  if (!isHalf(dtype)) return text;
  const rounding = dtype === 'float16' ? 'round_float16' : 'round_bfloat16';
  return applyText(context, { opcode: rounding, dtype: 'float32', from: 'float32' }, [`(${text})`]);
}

function loadAt(shader: Shader, buffer: DeclaredBuffer, index: string, lanes: Lanes): string {
  if (lanes === 1) return loadText(shader, buffer, index);
  if (canAccessVector(buffer)) return loadVectorText(shader, buffer, index);
  const elements = [0, 1, 2, 3].map((lane) => loadText(shader, buffer, `${index} + ${lane}`));
  return `${typeText(buffer.storage.dtype, 4)}(${elements.join(', ')})`;
}

function storeAt(shader: Shader, buffer: DeclaredBuffer, index: string, value: string, lanes: Lanes): string {
  if (lanes === 1) return storeText(shader, buffer, index, value);
  if (canAccessVector(buffer)) return storeVectorText(shader, buffer, index, value);
  return [0, 1, 2, 3].map((lane) => storeText(shader, buffer, `${index} + ${lane}`, `${value}[${lane}]`)).join('\n');
}
