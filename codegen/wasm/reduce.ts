/**
 * The sweep of a reduction: loops over its axes, the last one across the lanes of two vectors or eight elements a
 * round, with the partial sums flushed where `SumOrder` says.
 */
import { dimBounds, isStatic } from '../../base/dim.ts';
import { type Axis, type Reduce, reductionBlock, reductionLanes } from '../../ir/kernel.ts';
import { walk } from '../common/walk.ts';
import type { AccumulatorCode, Sweep } from './accumulator-state.ts';
import { beginAccumulator } from './accumulators.ts';
import type { AxisBinding } from './environment.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';

/** Bodies with more nodes than this are not repeated eight times. */
const repeatedNodes = 24;

export function emitReduce(emitter: NestEmitter, node: Reduce): void {
  const { env, plan } = emitter;
  const last = node.axes[node.axes.length - 1];
  const across = !env.lanes && plan.isVector(node);
  const sweep: Sweep = {
    across,
    copies: across ? 1 : (env.lanes?.copies ?? 1),
    flushes: node.axes.length > 1 || dimBounds(last.extent)[1] > reductionBlock,
  };
  const codes = node.accumulators.map((accumulator) => beginAccumulator(emitter, accumulator, node.order, sweep));
  const nest = (level: number): void => {
    const axis = node.axes[level];
    if (level < node.axes.length - 1) {
      emitter.scalarLoop(axis.name, axis.extent, () => nest(level + 1));
      return;
    }
    const round = new Round(emitter, node, last, sweep, codes);
    if (across) sweepAcross(round);
    else if (round.slots === 1) sweepPlain(round);
    else if ([...walk(node.body)].length <= repeatedNodes) sweepUnrolled(round);
    else sweepRotating(round);
    for (const code of codes) code.flush();
  };
  nest(0);
  for (const code of codes) code.finish();
}

/** One execution of the body, for two vectors of the last axis or for one element of it. */
export class Round {
  readonly emitter: NestEmitter;
  readonly node: Reduce;
  readonly axis: Axis;
  readonly sweep: Sweep;
  readonly codes: readonly AccumulatorCode[];
  readonly slots: number;
  /** The extent where it is known. */
  readonly count: number | undefined;

  constructor(emitter: NestEmitter, node: Reduce, axis: Axis, sweep: Sweep, codes: readonly AccumulatorCode[]) {
    this.emitter = emitter;
    this.node = node;
    this.axis = axis;
    this.sweep = sweep;
    this.codes = codes;
    this.slots = Math.max(...codes.map((code) => code.slots));
    this.count = isStatic(axis.extent) ? axis.extent : undefined;
  }

  get f() {
    return this.emitter.env.f;
  }

  /** Whether partial sums are closed within the last axis. */
  get isBlocked(): boolean {
    return this.sweep.flushes && dimBounds(this.axis.extent)[1] > reductionBlock;
  }

  extent(): Expression {
    return this.f.size(this.axis.extent);
  }

  /** One element, into a slot. The scope of the position is the current one unless told. */
  along(binding: Omit<AxisBinding, 'scope'> & Partial<AxisBinding>, slot: number): void {
    const { f } = this;
    const { env } = this.emitter;
    const { i32, i32x4 } = f.module;
    env.withAxis(this.axis.name, { scope: f.scope, ...binding }, () => {
      this.emitter.emit(this.node.body);
      const { local, delta } = binding;
      const at = (): Expression => (local === undefined ? f.size(delta) : i32.add(f.get(local), f.size(delta)));
      for (let copy = 0; copy < this.sweep.copies; copy++) {
        for (const code of this.codes) code.step({ slot, copy, from: copy, position: () => i32x4.splat(at()) });
      }
    });
  }

  /** Eight elements across two vectors; or, in the end, the vector for one slot, of which some lanes count. */
  across(counter: number, only?: { readonly slot: number; readonly remaining?: number }): void {
    const { f } = this;
    const { env } = this.emitter;
    const { i32x4 } = f.module;
    const remaining = only?.remaining;
    const lanes = { axis: this.axis.name, copies: only ? 1 : 2, ...(remaining !== undefined && { remaining }) };
    const step = only ? undefined : reductionLanes;
    const binding = { local: counter, delta: 0, scope: f.scope, ...(step !== undefined && { step }) };
    env.withAxis(this.axis.name, binding, () =>
      env.withLanes(lanes, () => {
        this.emitter.emit(this.node.body);
        const mask = remaining === undefined ? undefined : f.let('v128', countedLanes(this, remaining));
        for (let from = 0; from < lanes.copies; from++) {
          const position = (): Expression =>
            i32x4.add(i32x4.splat(f.get(counter)), f.lanes([4 * from, 4 * from + 1, 4 * from + 2, 4 * from + 3]));
          const slot = only ? only.slot : from;
          for (const code of this.codes) {
            code.step({ slot, copy: 0, from, position, ...(mask !== undefined && { mask: () => f.get(mask) }) });
          }
        }
      }),
    );
  }
}

function countedLanes({ f }: Round, remaining: number): Expression {
  return f.module.i32x4.lt_s(f.lanes([0, 1, 2, 3]), f.module.i32x4.splat(f.get(remaining)));
}

/** Closes inner partials where the position on the last axis is a multiple of the block. */
function flushAtBlockEnd(round: Round, position: Expression): void {
  const { f } = round;
  const atEnd = f.module.i32.eqz(f.module.i32.and(position, f.i32(reductionBlock - 1)));
  f.when(atEnd, () => {
    for (const code of round.codes) code.flush();
  });
}

function sweepAcross(round: Round): void {
  const { f, count } = round;
  const { i32 } = f.module;
  const counter = f.let('i32', f.i32(0), round.axis.name);
  if (count === undefined || count >= reductionLanes) {
    const full = count === undefined ? f.let('i32', i32.and(round.extent(), f.i32(-reductionLanes))) : undefined;
    const limit = (): Expression => (full === undefined ? f.i32(count! - (count! % reductionLanes)) : f.get(full));
    const nonEmpty = count !== undefined;
    const groups = (until: () => Expression, certain: boolean): void =>
      f.loop({ counter, step: reductionLanes, limit: until, nonEmpty: certain }, () => round.across(counter));
    if (!round.isBlocked) groups(limit, nonEmpty);
    else {
      f.loop({ counter, step: 0, limit, nonEmpty }, () => {
        const next = f.let('i32', i32.add(f.get(counter), f.i32(reductionBlock)));
        const end = f.let(
          'i32',
          f.least(() => f.get(next), limit),
        );
        groups(() => f.get(end), true);
        flushAtBlockEnd(round, f.get(counter));
      });
    }
  }
  for (const slot of [0, 1]) {
    if (count !== undefined) {
      const rest = (count % reductionLanes) - 4 * slot;
      if (rest <= 0) continue;
      f.group(() => round.across(counter, { slot, ...(rest < 4 && { remaining: f.let('i32', f.i32(rest)) }) }));
      f.set(counter, i32.add(f.get(counter), f.i32(4)));
    } else {
      f.when(i32.lt_s(f.get(counter), round.extent()), () => {
        const remaining = f.let('i32', i32.sub(round.extent(), f.get(counter)));
        round.across(counter, { slot, remaining });
        f.set(counter, i32.add(f.get(counter), f.i32(4)));
      });
    }
  }
}

/** No eight partial sums to keep: one element a round. */
function sweepPlain(round: Round): void {
  const { f } = round;
  if (round.count !== undefined && round.count <= 4) {
    for (let at = 0; at < round.count; at++) round.along({ delta: at }, 0);
    return;
  }
  const counter = f.newLocal('i32', round.axis.name);
  const nonEmpty = round.count !== undefined;
  f.loop({ counter, start: f.i32(0), step: 1, limit: () => round.extent(), nonEmpty }, () =>
    round.along({ local: counter, delta: 0, step: 1, fromZero: true }, 0),
  );
}

/** Eight elements a round, one after the other, each into its slot; leaves the loop in the middle at the end. */
function sweepUnrolled(round: Round): void {
  const { f, count } = round;
  const { i32 } = f.module;
  if (count !== undefined && count <= reductionLanes) {
    for (let at = 0; at < count; at++) round.along({ delta: at }, at);
    return;
  }
  const even = count !== undefined && count % reductionLanes === 0;
  const counter = f.newLocal('i32', round.axis.name);
  const shape = { counter, start: f.i32(0), step: reductionLanes, limit: () => round.extent() };
  f.loop({ ...shape, nonEmpty: count !== undefined }, (done) => {
    for (let slot = 0; slot < reductionLanes; slot++) {
      if (slot > 0 && !even) {
        f.statement(f.module.br_if(done, i32.ge_s(i32.add(f.get(counter), f.i32(slot)), round.extent())));
      }
      round.along({ local: counter, delta: slot, step: reductionLanes, fromZero: true }, slot);
    }
    if (round.isBlocked) flushAtBlockEnd(round, i32.add(f.get(counter), f.i32(reductionLanes)));
  });
}

/** One element a round into slot 0, after which the slots move one down; in the end they are where they were. */
function sweepRotating(round: Round): void {
  const { f, count } = round;
  const { i32 } = f.module;
  const counter = f.newLocal('i32', round.axis.name);
  const rotate = (): void => {
    for (const code of round.codes) code.rotate();
  };
  const shape = { counter, start: f.i32(0), step: 1, limit: () => round.extent() };
  f.loop({ ...shape, nonEmpty: count !== undefined && count > 0 }, () => {
    round.along({ local: counter, delta: 0, step: 1, fromZero: true }, 0);
    rotate();
    if (round.isBlocked) flushAtBlockEnd(round, i32.add(f.get(counter), f.i32(1)));
  });
  const end = f.let('i32', i32.and(i32.add(round.extent(), f.i32(reductionLanes - 1)), f.i32(-reductionLanes)));
  f.loop({ counter, start: round.extent(), step: 1, limit: () => f.get(end) }, rotate);
}
