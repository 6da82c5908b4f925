/**
 * Packing: evaluates a factor for some neighbours on its own axis and the whole depth, into memory where the register
 * tile reads it in order.
 *
 *     panel of width 8      [step][0..7]     element (step, c) at 8*step + c
 *
 * What the factor computes runs as vector code, along its own axis or along the depth (then turned by 4×4
 * transposes), whichever way its loads are contiguous.
 */
import { addDims, ceilDivDims, type Dim, isStatic, mulDims } from '../../../base/dim.ts';
import { byteSize } from '../../../base/dtype.ts';
import type { Axis, IndexExpression, IndexTerm } from '../../../ir/kernel.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { Factor, Sum } from '../../common/products.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { addressExpression, addressOf } from '../addressing.ts';
import { Environment, type Value } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import { NestEmitter, wholeSpan } from '../nest.ts';
import { planNodes } from '../plan.ts';
import { shuffled, transposed } from '../shuffles.ts';

export interface Panel {
  readonly factor: Factor;
  /** The factor's own axis. */
  readonly axis: Axis;
  /** Neighbours from one panel to the next: those of a register tile. */
  readonly tile: number;
  /** Neighbours that a panel holds: the next multiple of four. */
  readonly width: number;
  /** Name of the scratch array. */
  readonly memory: string;
  /** Whether what is packed beyond the last neighbour must be finite, so that it does not slow the arithmetic down. */
  readonly clears: boolean;
  /** Whether an element holds two steps, as 16-bit integers; of one axis of the depth. */
  readonly inPairs?: boolean;
}

/** The axis that stands for the position in scratch memory. */
const placeAxis = '$place';
/** Neighbours that are read side by side: a cache line. */
const lineElements = 16;
/** Steps that are packed for all panels before the next ones: as many rows of a matrix are read at once. */
const stepsAtOnce = 8;

/**
 * Builds `pack(record, ...outer, first, place, count)`: fills panels, from element `place` of the scratch array on,
 * with `count` neighbours from `first` on. What the last panel holds beyond them is unspecified.
 */
export function buildPack(
  outer: FunctionBuilder,
  facts: KernelFacts,
  outerAxes: readonly Axis[],
  sum: Sum,
  panel: Panel,
): FunctionBuilder {
  const names = ['record', ...outerAxes.map(({ name }) => name), 'first', 'place', 'count'];
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, names);
  const env = new Environment(f, facts);
  outerAxes.forEach(({ name }, i) => {
    env.axes.set(name, { local: 1 + i, delta: 0, scope: f.root });
  });
  new Packing(new NestEmitter(env, planNodes([], new Set())), sum, panel, names.length).build();
  return f;
}

class Packing {
  readonly emitter: NestEmitter;
  readonly env: Environment;
  readonly f: FunctionBuilder;
  readonly sum: Sum;
  readonly panel: Panel;
  /** Locals: the first neighbour and the end of all. */
  readonly first: number;
  readonly end: number;
  readonly place: number;
  /** Locals of the panel in work: its first neighbour, and its place less that. */
  readonly at: number;
  readonly shift: number;

  constructor(emitter: NestEmitter, sum: Sum, panel: Panel, parameters: number) {
    const { f } = emitter.env;
    this.emitter = emitter;
    this.env = emitter.env;
    this.f = f;
    this.sum = sum;
    this.panel = panel;
    this.first = parameters - 3;
    this.place = parameters - 2;
    this.end = f.let('i32', f.module.i32.add(f.get(this.first), f.get(parameters - 1)), 'end');
    this.at = f.newLocal('i32', panel.axis.name);
    this.shift = f.newLocal('i32', 'shift');
  }

  build(): void {
    const { f, sum, panel } = this;
    const { i32 } = f.module;
    const { reduced } = sum;
    if (isAlongDepth(panel, reduced)) {
      this.#restart();
      this.#panels(1, 1, () => this.#transposed());
      return;
    }
    if (reduced.length > 1) {
      this.#restart();
      this.#alongAxis((body) => depthLoops(this.emitter, reduced, reduced.length, () => body(1)));
      return;
    }
    const [{ extent }] = reduced;
    const from = f.newLocal('i32', 'from');
    const nonEmpty = isStatic(extent) && extent > 0;
    const step = Math.min(stepsAtOnce, isStatic(extent) ? Math.max(extent, 1) : stepsAtOnce);
    f.loop({ counter: from, start: f.i32(0), step, limit: () => f.size(extent), nonEmpty }, () => {
      const to = f.let('i32', i32.add(f.get(from), f.i32(step)), 'to');
      if (!isStatic(extent) || extent % step !== 0) {
        f.set(
          to,
          f.least(
            () => f.get(to),
            () => f.size(extent),
          ),
        );
      }
      this.#restart();
      this.#alongAxis((body) => this.#sweep(reduced[0], from, to, body), from);
    });
  }

  /** Runs a body for the steps from `from` to `to`, or for pairs of them and for the last one. */
  #sweep({ name, extent }: Axis, from: number, to: number, body: (steps: 1 | 2) => void): void {
    const { env, f, panel } = this;
    const { i32 } = f.module;
    const counter = f.newLocal('i32', name);
    const round = (steps: 1 | 2): void =>
      env.withAxis(name, { local: counter, delta: 0, scope: f.scope, step: steps }, () => body(steps));
    const start = f.get(from);
    if (!panel.inPairs) {
      f.loop({ counter, start, step: 1, limit: () => f.get(to), nonEmpty: true }, () => round(1));
      return;
    }
    f.loop({ counter, start, step: 2, limit: () => i32.sub(f.get(to), f.i32(1)) }, () => round(2));
    if (isStatic(extent) && extent % 2 === 0) return;
    f.when(i32.lt_s(f.get(counter), f.get(to)), () =>
      env.withAxis(name, { local: counter, delta: 0, scope: f.scope }, () => body(1)),
    );
  }

  /** Elements of a neighbour. */
  get depth(): Dim {
    return this.panel.inPairs ? ceilDivDims(this.sum.depth, 2) : this.sum.depth;
  }

  #restart(): void {
    this.f.set(this.at, this.f.get(this.first));
    this.f.set(this.shift, this.f.module.i32.sub(this.f.get(this.place), this.f.get(this.first)));
  }

  /** What is added to `shift` from one panel to the next. */
  get nextPanel(): Dim {
    const { panel } = this;
    return addDims(mulDims(this.depth, panel.width), -panel.tile);
  }

  /** A local with the place of the panel in work. */
  #here(): number {
    return this.f.let('i32', this.f.module.i32.add(this.f.get(this.shift), this.f.get(this.at)), 'place');
  }

  /** Panels, `count` at a time, as long as `neighbours` more are there. */
  #panels(count: number, neighbours: number, body: () => void): void {
    const { f, panel } = this;
    const { i32 } = f.module;
    const last = f.let('i32', i32.sub(f.get(this.end), f.i32(neighbours - 1)), 'last');
    f.loop({ counter: this.at, step: count * panel.tile, limit: () => f.get(last) }, () => {
      body();
      f.set(this.shift, i32.add(f.get(this.shift), f.size(mulDims(this.nextPanel, count))));
    });
  }

  /**
   * Panels with the factor's own axis across the lanes.
   * @param sweep runs a body for steps of the depth
   * @param from a local that is 0 where those steps are the first ones
   */
  #alongAxis(sweep: (body: (steps: 1 | 2) => void) => void, from?: number): void {
    const { emitter, env, f, panel } = this;
    const { i32 } = f.module;
    const { axis, tile, width } = panel;
    const copies = width / 4;
    /** `number` whole panels, side by side in each step. */
    const whole = (number: number): void => {
      const scope = f.scope;
      sweep((steps) => {
        for (let p = 0; p < number; p++) {
          const delta = mulDims(this.nextPanel, p);
          env.withAxis(placeAxis, { local: this.shift, delta, scope }, () =>
            env.withAxis(axis.name, { local: this.at, delta: p * tile, scope }, () =>
              env.withLanes({ axis: axis.name, copies }, () => this.#element(steps)),
            ),
          );
        }
      });
    };
    const most = Math.floor(lineElements / tile);
    if (most > 1) this.#panels(most, (most - 1) * tile + width, () => whole(most));
    this.#panels(1, width, () => whole(1));
    if (tile === width && isStatic(axis.extent) && axis.extent % tile === 0) return;
    this.#panels(1, 1, () => {
      if (panel.clears) {
        if (from === undefined) this.#clear();
        else f.when(i32.eqz(f.get(from)), () => this.#clear());
      }
      const end = f.let('i32', i32.add(f.get(this.at), f.i32(tile)));
      f.set(
        end,
        f.least(
          () => f.get(end),
          () => f.get(this.end),
        ),
      );
      const scope = f.scope;
      env.withAxis(placeAxis, { local: this.shift, delta: 0, scope }, () =>
        sweep((steps) => {
          const span = { start: () => f.get(this.at), limit: () => f.get(end), multiple: 1 };
          emitter.vectorLoop(axis.name, span, 1, () => this.#element(steps));
        }),
      );
    });
  }

  /** Computes the factor and stores it, or two steps of it as one element. */
  #element(steps: 1 | 2): void {
    const { emitter, panel, sum } = this;
    const { factor, axis, memory } = panel;
    if (panel.inPairs) this.#pair(steps);
    else emitter.emit(factor.lets);
    const index = panelIndex(panel, sum.reduced, [{ coefficient: 1, factor: { kind: 'axis', axis: axis.name } }], 0);
    emitter.emit([{ kind: 'store', memory, index, value: factor.value, combine: 'assign' }]);
  }

  /** Names the factor's value at a step in the low halves of the lanes, that of the next step in the high ones. */
  #pair(steps: 1 | 2): void {
    const { emitter, env, f, panel, sum } = this;
    const { i32x4, v128 } = f.module;
    const { factor } = panel;
    const [{ name }] = sum.reduced;
    const halves = Array.from({ length: steps }, (_, delta) => {
      let value: Value | undefined;
      env.withAxis(name, { ...env.axis(name), delta }, () => {
        emitter.emit(factor.lets);
        value = env.value(factor.value);
      });
      return value!;
    });
    const [low, high] = halves;
    const locals = low.locals.map((local, copy) => {
      const half = v128.and(f.get(local), f.splat('int32', 0xffff));
      return f.let('v128', high ? v128.or(half, i32x4.shl(f.get(high.locals[copy]), f.i32(16))) : half);
    });
    env.values.set(factor.value, { ...low, locals, depth: f.scope.depth });
  }

  /** Zeroes a panel. */
  #clear(): void {
    const { env, f, panel } = this;
    const bytes = mulDims(this.depth, 4 * panel.width);
    env.withAxis(placeAxis, { local: this.#here(), delta: 0, scope: f.scope }, () => {
      const start = addressOf(env, panel.memory, 4, {
        offset: 0,
        terms: [{ coefficient: 1, factor: { kind: 'axis', axis: placeAxis } }],
      });
      f.statement(f.module.memory.fill(addressExpression(env, start), f.i32(0), f.size(bytes)));
    });
  }

  /** The panel in work, with the last axis of the depth across the lanes. */
  #transposed(): void {
    const { emitter, env, f, panel, sum } = this;
    const { i32 } = f.module;
    const { factor, axis, width, memory } = panel;
    const { reduced, dtype } = sum;
    const last = reduced[reduced.length - 1];
    const scope = f.scope;
    /** Neighbours beyond the end repeat the last one. */
    const highest = f.let('i32', i32.sub(f.get(this.end), f.i32(1)));
    const positions = Array.from({ length: width }, (_, c) => {
      const position = f.let('i32', i32.add(f.get(this.at), f.i32(c)));
      f.set(
        position,
        f.least(
          () => f.get(position),
          () => f.get(highest),
        ),
      );
      return position;
    });
    env.withAxis(placeAxis, { local: this.#here(), delta: 0, scope }, () =>
      depthLoops(emitter, reduced, reduced.length - 1, () => {
        emitter.vectorLoop(last.name, wholeSpan(env, last.extent), 1, () => {
          for (let group = 0; group < width; group += 4) {
            const columns = [0, 1, 2, 3].map((c) => {
              let local = -1;
              env.withAxis(axis.name, { local: positions[group + c], delta: 0, scope }, () => {
                emitter.emit(factor.lets);
                local = f.let('v128', env.read(factor.value));
              });
              return local;
            });
            const address = addressOf(env, memory, byteSize(dtype), panelIndex(panel, reduced, [], group));
            const remaining = env.lanes?.remaining;
            const rows = panel.inPairs ? pairsOf(f, columns, remaining) : transposed(f, columns);
            rows.forEach((row, at) => {
              const { v128 } = f.module;
              const place = address.offset + 4 * width * at;
              const store = v128.store(place, 4, addressExpression(env, address), f.get(row));
              const step = panel.inPairs ? 2 * at : at;
              if (remaining === undefined || step === 0) f.statement(store);
              else f.statement(f.module.if(i32.gt_s(f.get(remaining), f.i32(step)), store));
            });
          }
        });
      }),
    );
  }
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
  { width, inPairs }: Panel,
  reduced: readonly Axis[],
  column: readonly IndexTerm[],
  offset: number,
): IndexExpression {
  const terms: IndexTerm[] = [{ coefficient: 1, factor: { kind: 'axis', axis: placeAxis } }, ...column];
  // Pairs begin at even steps.
  let stride: Dim = inPairs ? width / 2 : width;
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

/**
 * Four vectors of small integers as the columns of a 4×4 matrix, to its rows in pairs; lanes that do not count are 0.
 */
function pairsOf(f: FunctionBuilder, columns: readonly number[], remaining: number | undefined): number[] {
  const { i16x8, i32x4, v128 } = f.module;
  const counted = (local: number): Expression => {
    if (remaining === undefined) return f.get(local);
    return v128.and(f.get(local), i32x4.lt_s(f.lanes([0, 1, 2, 3]), i32x4.splat(f.get(remaining))));
  };
  const narrow = (a: number, b: number): number => f.let('v128', i16x8.narrow_i32x4_s(counted(a), counted(b)));
  const [low, high] = [narrow(columns[0], columns[1]), narrow(columns[2], columns[3])];
  return [shuffled(f, low, high, [0, 2, 4, 6]), shuffled(f, low, high, [1, 3, 5, 7])];
}
