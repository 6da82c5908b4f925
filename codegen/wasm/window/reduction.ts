/**
 * The schedule of reductions of windows. A tile computes the image behind some lines of one plane, which then lies in
 * the first cache, and runs over the positions with all taps written out, several vectors at a time.
 *
 *     tile:  image;  for each line: for each 16 columns: tap after tap, then the epilogue → results
 *
 * Where lines are short, all of them run as one into a strip, and the epilogue follows line by line.
 */
import { ceilDivDims } from '../../../base/dim.ts';
import type { IndexExpression, IndexTerm, KernelNode } from '../../../ir/kernel.ts';
import type { Unit } from '../../common/units.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { define } from '../accumulator-state.ts';
import { beginAccumulator } from '../accumulators.ts';
import type { NamedHelper } from '../contraction/block.ts';
import { type BuiltContraction, digitsOf } from '../contraction/emit.ts';
import { Environment } from '../environment.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import { NestEmitter, type Span } from '../nest.ts';
import { planNodes } from '../plan.ts';
import { countOf } from './directions.ts';
import { buildStage, Image, slack } from './image.ts';
import type { WindowReduction } from './match-reduction.ts';

/** Elements of the image of a tile, which should stay in the first cache. */
const imageTarget = 1 << 13;
/** Instructions a tile should take, about. */
const tileCost = 1 << 16;
/** Lines with fewer columns run as one. */
const shortLine = 32;

/** Positions of a round where lines run as one. */
const roundLanes = 16;

const lineAxis = '$line';
const positionAxis = '$position';
const term = (coefficient: number, axis: string): IndexTerm => ({ coefficient, factor: { kind: 'axis', axis } });

/** Builds the functions of a reduction of windows; `prefix` makes their names unique in the module. */
export function buildWindowReduction(
  f: FunctionBuilder,
  facts: KernelFacts,
  unit: Unit,
  window: WindowReduction,
  prefix: string,
): BuiltContraction {
  const { lines, columns } = window.image;
  const all = lines.position?.extent ?? 1;
  const width = columns.position!.extent;
  const whole = new Image(window.image, `${prefix}image`);
  const perLine = (whole.part / whole.rows) * lines.stride;
  const held = Math.max(1, Math.min(all, Math.ceil(imageTarget / perLine)));
  const image = new Image(window.image, `${prefix}image`, held);
  return new ReductionSchedule(f, facts, unit, window, image, prefix, { all, held, width }).build();
}

class ReductionSchedule {
  readonly f: FunctionBuilder;
  readonly env: Environment;
  readonly emitter: NestEmitter;
  readonly facts: KernelFacts;
  readonly unit: Unit;
  readonly window: WindowReduction;
  readonly image: Image;
  readonly prefix: string;
  /** Lines there are and lines of a tile; columns of a line. */
  readonly all: number;
  readonly held: number;
  readonly width: number;

  constructor(
    f: FunctionBuilder,
    facts: KernelFacts,
    unit: Unit,
    window: WindowReduction,
    image: Image,
    prefix: string,
    { all, held, width }: { readonly all: number; readonly held: number; readonly width: number },
  ) {
    this.f = f;
    this.facts = facts;
    this.unit = unit;
    this.window = window;
    this.image = image;
    this.prefix = prefix;
    this.all = all;
    this.held = held;
    this.width = width;
    if (!window.inPlace) f.layout.addScratch(image.memory, 'float32', image.part + slack + roundLanes);
    if (this.#isJoint) f.layout.addScratch(this.#strip, 'float32', held * image.pitch + roundLanes);
    const written = new Set([...facts.written, image.memory, this.#strip]);
    this.env = new Environment(f, { ...facts, written });
    this.emitter = new NestEmitter(this.env, planNodes([], new Set()));
  }

  get #strip(): string {
    return `${this.prefix}strip`;
  }

  get #isJoint(): boolean {
    const { inPlace, dependsOnPosition } = this.window;
    return this.held > 1 && this.width < shortLine && !dependsOnPosition && !inPlace;
  }

  build(): BuiltContraction {
    const { f, facts, window, image, prefix } = this;
    const { i32 } = f.module;
    const bands = Math.ceil(this.all / this.held);
    const planes = countOf(window.planes);
    const cost =
      countOf(window.reduce.axes.map((axis) => ({ ...axis, extent: Number(axis.extent) }))) * this.held * this.width;
    const rounds = bands > 1 ? 1 : Math.max(1, Math.min(Math.floor(tileCost / cost), Math.floor(planes / 16)));
    const helpers: NamedHelper[] = window.inPlace ? [] : [[`${prefix}stage`, buildStage(f, facts, image)]];
    this.emitter.emit(this.unit.lets);
    const tile = f.newLocal('i32', 'tile');
    f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => {
      if (bands > 1) {
        const digits = digitsOf(f, tile);
        const band = digits.next(bands);
        this.#plane(digits.rest, f.let('i32', i32.mul(f.get(band), f.i32(this.held)), 'first'));
        return;
      }
      const plane = f.let('i32', i32.mul(f.get(tile), f.i32(rounds)), 'plane');
      const later = f.let('i32', i32.add(f.get(plane), f.i32(rounds)));
      const end = f.let(
        'i32',
        f.least(
          () => f.get(later),
          () => f.i32(planes),
        ),
      );
      f.loop({ counter: plane, step: 1, limit: () => f.get(end), nonEmpty: true }, () =>
        this.#plane(plane, f.let('i32', f.i32(0))),
      );
    });
    const tiles = bands > 1 ? bands * planes : ceilDivDims(planes, rounds);
    return { builder: f, phases: [{ tiles, group: 1 }], helpers };
  }

  /** The lines of a plane from `first` on, as many as a tile has. */
  #plane(plane: number, first: number): void {
    const { f, env, window, image } = this;
    const { i32 } = f.module;
    const digits = digitsOf(f, plane);
    for (const { name, extent } of [...window.planes].reverse()) {
      env.axes.set(name, { local: digits.next(extent), delta: 0, scope: f.scope });
    }
    if (!window.inPlace) {
      const axes = image.source.axes.map(({ name }) => f.get(env.axis(name).local!));
      const operands = [f.get(0), ...axes, f.i32(0), f.get(first)];
      f.statement(f.module.call(`${this.prefix}stage`, operands, f.binaryen.none));
    }
    const rest = f.let('i32', i32.sub(f.i32(this.all), f.get(first)));
    const count = f.least(
      () => f.get(rest),
      () => f.i32(this.held),
    );
    const lines = f.let('i32', count, 'lines');
    if (this.#isJoint) this.#sumsOfAll(lines);
    const line = f.newLocal('i32', 'line');
    f.loop({ counter: line, start: f.i32(0), step: 1, limit: () => f.get(lines), nonEmpty: true }, () => {
      const absolute = f.let('i32', i32.add(f.get(first), f.get(line)));
      const { position } = image.source.lines;
      const inLine = (): void => {
        env.withAxis(lineAxis, { local: line, delta: 0, scope: f.scope, step: 1, fromZero: true }, () => this.#line());
      };
      if (position) env.withAxis(position.name, { local: absolute, delta: 0, scope: f.scope }, inLine);
      else inLine();
    });
  }

  /** All sums of some lines, into the strip. */
  #sumsOfAll(lines: number): void {
    const { f, emitter, image, window } = this;
    const { i32 } = f.module;
    const all = i32.sub(i32.mul(f.get(lines), f.i32(image.pitch)), f.i32(image.pitch - this.width));
    const length = f.let('i32', all);
    // What is beyond the last position is computed and stored behind it.
    const rounded = f.let('i32', i32.and(i32.add(f.get(length), f.i32(roundLanes - 1)), f.i32(-roundLanes)));
    const span: Span = { start: () => f.i32(0), limit: () => f.get(rounded), multiple: roundLanes };
    emitter.vectorLoop(positionAxis, span, roundLanes / 4, () => {
      this.#taps([term(1, positionAxis)]);
      const { result: value } = window.accumulator;
      emitter.emit([
        {
          kind: 'store',
          memory: this.#strip,
          index: { offset: 0, terms: [term(1, positionAxis)] },
          value,
          combine: 'assign',
        },
      ]);
    });
  }

  /** The positions of a line: sums, unless the strip has them, and epilogue. */
  #line(): void {
    const { f, emitter, image, window } = this;
    const { name } = image.source.columns.position!;
    const span = { start: () => f.i32(0), limit: () => f.i32(this.width), count: this.width, multiple: this.width };
    const copies = this.#isJoint ? 2 : this.width % 16 === 0 || this.width >= 64 ? 4 : 2;
    const places = [term(image.pitch, lineAxis), term(1, name)];
    emitter.vectorLoop(name, span, copies, () => {
      for (const node of window.body) {
        if (node.kind !== 'reduce') emitter.emit([node]);
        else if (!this.#isJoint) this.#taps(places);
        else this.#fromStrip(places);
      }
    });
  }

  #fromStrip(terms: readonly IndexTerm[]): void {
    const { result: id, dtype } = this.window.accumulator;
    const expression = { kind: 'load', memory: this.#strip, index: { offset: 0, terms } } as const;
    this.emitter.emitLet({ kind: 'let', id, dtype, expression });
  }

  /** The reduction at some positions: tap after tap in order, which is one block. */
  #taps(position: readonly IndexTerm[]): void {
    const { f, env, emitter, window } = this;
    const { accumulator, reduce } = window;
    const copies = env.lanes!.copies;
    const sums = Array.from({ length: copies }, () => f.let('v128', f.splat('float32', 0), 'sum'));
    const code =
      accumulator.kind === 'sum'
        ? undefined
        : beginAccumulator(emitter, accumulator, reduce.order, { across: false, copies, flushes: false });
    const taps = new Map<string, number>();
    const step = (): void => {
      this.#element(position, taps);
      for (let copy = 0; copy < copies; copy++) {
        if (code) code.step({ slot: 0, copy, from: copy, position: () => f.splat('int32', 0) });
        else f.set(sums[copy], this.#added(sums[copy], copy));
      }
    };
    const nest = (level: number): void => {
      if (level === reduce.axes.length) {
        f.group(step);
        return;
      }
      const { name, extent } = reduce.axes[level];
      for (let tap = 0; tap < Number(extent); tap++) {
        taps.set(name, tap);
        env.withAxis(name, { delta: tap, scope: f.scope }, () => nest(level + 1));
      }
    };
    nest(0);
    if (code) code.finish();
    else define(emitter, accumulator.result, accumulator.dtype, sums);
  }

  /** What one tap adds at some positions; a product that is the element itself is left to the addition. */
  #element(position: readonly IndexTerm[], taps: ReadonlyMap<string, number>): void {
    const { emitter, image, window } = this;
    const { accumulator, lets } = window;
    const index: IndexExpression = { offset: image.tapOffset(taps), terms: position };
    const { value: id, dtype } = image.source;
    if (window.inPlace) emitter.emit(window.inPlace);
    else emitter.emitLet({ kind: 'let', id, dtype, expression: { kind: 'load', memory: image.memory, index } });
    const rest: KernelNode[] = lets.filter((node) => !this.#factors || node.id !== accumulator.value);
    emitter.emit(rest);
  }

  /** The factors of the element, if it is a product. */
  get #factors(): readonly [number, number] | undefined {
    const { accumulator, lets } = this.window;
    const expression = lets.find(({ id }) => id === accumulator.value)?.expression;
    if (accumulator.kind !== 'sum' || expression?.kind !== 'apply' || expression.opcode !== 'multiply')
      return undefined;
    return [expression.operands[0], expression.operands[1]];
  }

  #added(sum: number, copy: number): number {
    const { f, env, window } = this;
    const factors = this.#factors;
    if (!factors) return f.module.f32x4.add(f.get(sum), env.read(window.accumulator.value, copy));
    return f.mulAdd('f32x4', env.read(factors[0], copy), env.read(factors[1], copy), f.get(sum));
  }
}
