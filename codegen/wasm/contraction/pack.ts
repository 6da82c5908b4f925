/**
 * Packing: evaluates a factor for some neighbours on its own axis and the whole depth, into memory where the register
 * tile reads it in order.
 *
 *     panel of width 8      [step][0..7]     element (step, c) at 8*step + c
 *
 * What the factor computes runs as vector code, along its own axis or along the depth (then turned by 4×4
 * transposes), whichever way its loads are contiguous.
 */
import { type Dim, isStatic, mulDims } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import type { Axis, IndexExpression, IndexTerm } from '../../../ir/kernel.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { addressExpression, addressOf } from '../addressing.ts';
import { Environment } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { NestEmitter, wholeSpan } from '../nest.ts';
import { planNodes } from '../plan.ts';
import type { Factor, Sum } from './match.ts';

export interface Panel {
  readonly factor: Factor;
  /** The factor's own axis. */
  readonly axis: Axis;
  readonly width: 4 | 8;
  /** Name of the scratch array. */
  readonly memory: string;
}

/** The axis that stands for the position in scratch memory. */
const placeAxis = '$place';

/**
 * Builds `pack(record, ...outer, first, place, count)`: fills the panel at element `place` of the scratch array with
 * `count` neighbours from `first` on. What is packed beyond `count` is unspecified but finite for width 8.
 */
export function buildPack(
  outer: FunctionBuilder,
  facts: KernelFacts,
  outerAxes: readonly Axis[],
  sum: Sum,
  panel: Panel,
): FunctionBuilder {
  const { reduced } = sum;
  const names = ['record', ...outerAxes.map(({ name }) => name), 'first', 'place', 'count'];
  const parameters = names.length;
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, names);
  const env = new Environment(f, facts);
  const emitter = new NestEmitter(env, planNodes([], new Set()));
  const [first, place, count] = [parameters - 3, parameters - 2, parameters - 1];
  const bindings = outerAxes.map((axis, i) => [axis.name, 1 + i] as const);
  for (const [name, local] of [...bindings, [placeAxis, place] as const]) {
    env.axes.set(name, { local, delta: 0, scope: f.root });
  }
  const body = isAlongDepth(panel, reduced)
    ? () => packAlongDepth(emitter, sum, panel, first, count)
    : () => packAlongAxis(emitter, sum, panel, first, count);
  body();
  return f;
}

/** Whether loads are contiguous along the depth and not along the factor's own axis. */
function isAlongDepth({ factor, axis }: Panel, reduced: readonly Axis[]): boolean {
  const last = reduced[reduced.length - 1].name;
  let votes = 0;
  for (const { expression } of factor.lets) {
    if (expression.kind !== 'load') continue;
    if (coefficientOf(expression.index, axis.name) === 1) votes--;
    else if (coefficientOf(expression.index, last) === 1) votes++;
  }
  return votes > 0;
}

/** The index of element `c` of step `(k1, k2, ...)` of the panel. */
function panelIndex(
  { width }: Panel,
  reduced: readonly Axis[],
  column: readonly IndexTerm[],
  offset: number,
): IndexExpression {
  const terms: IndexTerm[] = [{ coefficient: 1, factor: { kind: 'axis', axis: placeAxis } }, ...column];
  let stride: Dim = width;
  for (const { name, extent } of [...reduced].reverse()) {
    terms.push({ coefficient: stride, factor: { kind: 'axis', axis: name } });
    stride = mulDims(stride, extent);
  }
  return { offset, terms };
}

/** Loops over reduce axes from `level` on to `end`. */
function depthLoops(emitter: NestEmitter, reduced: readonly Axis[], end: number, body: () => void, level = 0): void {
  if (level === end) body();
  else {
    const { name, extent } = reduced[level];
    emitter.scalarLoop(name, extent, () => depthLoops(emitter, reduced, end, body, level + 1));
  }
}

function packAlongAxis(emitter: NestEmitter, { reduced }: Sum, panel: Panel, first: number, count: number): void {
  const { env } = emitter;
  const { f } = env;
  const { i32 } = f.module;
  const { factor, axis, width, memory } = panel;
  /** Neighbour `c` of the panel is position `first + c`: the store takes `first` off again. */
  const column: IndexTerm[] = [
    { coefficient: 1, factor: { kind: 'axis', axis: axis.name } },
    { coefficient: -1, factor: { kind: 'axis', axis: '$first' } },
  ];
  env.axes.set('$first', { local: first, delta: 0, scope: f.root });
  const store = (): void =>
    emitter.emit([
      { kind: 'store', memory, index: panelIndex(panel, reduced, column, 0), value: factor.value, combine: 'assign' },
    ]);
  const sweep = (lanes: () => void): void => depthLoops(emitter, reduced, reduced.length, lanes);
  const body = (): void => {
    emitter.emit(factor.lets);
    store();
  };
  const full = (): void =>
    env.withAxis(axis.name, { local: first, delta: 0, scope: f.scope }, () =>
      env.withLanes({ axis: axis.name, copies: width / 4 }, () => sweep(body)),
    );
  const some = (): void => {
    const end = f.let('i32', i32.add(f.get(first), f.get(count)));
    sweep(() => {
      const span = { start: () => f.get(first), limit: () => f.get(end), multiple: 1 };
      emitter.vectorLoop(axis.name, span, 1, body);
    });
  };
  if (isStatic(axis.extent) && axis.extent % width === 0) {
    full();
    return;
  }
  f.when(i32.ge_s(f.get(count), f.i32(width)), full, () => {
    if (width === 8) clear(emitter, panel, reduced);
    some();
  });
}

/** Zeroes a panel, so that what is not packed does not slow the arithmetic down. */
function clear({ env }: NestEmitter, { memory, width }: Panel, reduced: readonly Axis[]): void {
  const { f } = env;
  const bytes = reduced.reduce<Dim>((product, { extent }) => mulDims(product, extent), 4 * width);
  const start = addressOf(env, memory, 4, {
    offset: 0,
    terms: [{ coefficient: 1, factor: { kind: 'axis', axis: placeAxis } }],
  });
  f.statement(f.module.memory.fill(addressExpression(env, start), f.i32(0), f.size(bytes)));
}

function packAlongDepth(
  emitter: NestEmitter,
  { reduced, dtype }: Sum,
  panel: Panel,
  first: number,
  count: number,
): void {
  const { env } = emitter;
  const { f } = env;
  const { i32 } = f.module;
  const { factor, axis, width, memory } = panel;
  const last = reduced[reduced.length - 1];
  /** Neighbours beyond `count` repeat the last one. */
  const positions = Array.from({ length: width }, (_, c) => {
    const inside = i32.lt_s(f.i32(c), f.get(count));
    const offset = f.module.select(inside, f.i32(c), i32.sub(f.get(count), f.i32(1)));
    return f.let('i32', i32.add(f.get(first), offset));
  });
  depthLoops(emitter, reduced, reduced.length - 1, () => {
    emitter.vectorLoop(last.name, wholeSpan(env, last.extent), 1, () => {
      for (let group = 0; group < width; group += 4) {
        const columns = [0, 1, 2, 3].map((c) => {
          let local = -1;
          env.withAxis(axis.name, { local: positions[group + c], delta: 0, scope: f.root }, () => {
            emitter.emit(factor.lets);
            local = f.let('v128', env.read(factor.value));
          });
          return local;
        });
        const address = addressOf(env, memory, byteSize(dtype), panelIndex(panel, reduced, [], group));
        transposed(f, columns).forEach((row, step) => {
          const { v128 } = f.module;
          const at = address.offset + 4 * width * step;
          const store = v128.store(at, 4, addressExpression(env, address), f.get(row));
          const remaining = env.lanes?.remaining;
          if (remaining === undefined || step === 0) f.statement(store);
          else f.statement(f.module.if(i32.gt_s(f.get(remaining), f.i32(step)), store));
        });
      }
    });
  });
}

/** Four vectors as the columns of a 4×4 matrix, to its rows. */
function transposed(f: FunctionBuilder, columns: readonly number[]): number[] {
  const shuffle = (a: number, b: number, lanes: readonly number[]): number => {
    const bytes = lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
    const expression: Expression = f.module.i8x16.shuffle(f.get(a), f.get(b), bytes);
    return f.let('v128', expression);
  };
  const [a, b, c, d] = columns;
  const [low, lower] = [shuffle(a, b, [0, 4, 1, 5]), shuffle(c, d, [0, 4, 1, 5])];
  const [high, higher] = [shuffle(a, b, [2, 6, 3, 7]), shuffle(c, d, [2, 6, 3, 7])];
  return [
    shuffle(low, lower, [0, 1, 4, 5]),
    shuffle(low, lower, [2, 3, 6, 7]),
    shuffle(high, higher, [0, 1, 4, 5]),
    shuffle(high, higher, [2, 3, 6, 7]),
  ];
}
