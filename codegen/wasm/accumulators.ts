/**
 * Accumulators of reductions. A reduction sweeps its last axis in one of two ways:
 *
 *     across   the axis runs across the lanes: slot 0 holds elements 0-3 of each eight, slot 1 elements 4-7
 *     along    the lanes belong to an outer axis (or all hold the same): slot k holds element k of each eight
 *
 * The additions of a float sum are those of `SumOrder` in ir/kernel.ts either way; kinds whose order does not matter
 * use as few slots as they like.
 */
import type { DType } from '../../base/dtype.ts';
import type { ClosedAccumulator, Reduce, TupleAccumulator } from '../../ir/kernel.ts';
import { contractionBlock, reductionLanes } from '../../ir/kernel.ts';
import type { FunctionBuilder } from './function-builder.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';
import { combine } from './operators.ts';

/** How the sweep runs. */
export interface Sweep {
  readonly across: boolean;
  /** Vectors of the outer lanes; 1 when the sweep is across. */
  readonly copies: number;
  /** Partial sums are flushed more than once. */
  readonly flushes: boolean;
}

/** Where one step goes: `slot` of copy `copy`, from the values of copy `from`, counting only lanes of the mask. */
export interface Target {
  readonly slot: number;
  readonly copy: number;
  readonly from: number;
  readonly mask?: () => Expression;
  /** The position on the last axis, as int32 lanes. */
  readonly position: () => Expression;
}

export interface AccumulatorCode {
  /** Slots of an along sweep: 8, or 1 when order does not matter. */
  readonly slots: number;
  step(target: Target): void;
  /** Adds inner partials to outer ones. */
  flush(): void;
  /** Moves every slot one down, the first to the end. */
  rotate(): void;
  /** Defines the results. */
  finish(): void;
}

const opcodes = { sum: 'add', product: 'multiply', max: 'maximum', min: 'minimum', and: 'and', or: 'or' } as const;

function identityOf(kind: keyof typeof opcodes, dtype: DType): number {
  if (kind === 'sum') return 0;
  if (kind === 'product') return 1;
  if (kind === 'or') return 0;
  if (kind === 'and') return dtype === 'bool' ? 1 : -1;
  if (dtype === 'bool') return kind === 'max' ? 0 : 1;
  if (dtype === 'float32') return kind === 'max' ? -Infinity : Infinity;
  if (dtype === 'uint32') return kind === 'max' ? 0 : -1;
  return kind === 'max' ? -(2 ** 31) : 2 ** 31 - 1;
}

/** Lanes 0 1 2 3 as lanes `distance` apart. */
function swapped(f: FunctionBuilder, local: number, distance: 1 | 2): Expression {
  const words = distance === 2 ? [2, 3, 0, 1] : [1, 0, 3, 2];
  const bytes = words.flatMap((w) => [4 * w, 4 * w + 1, 4 * w + 2, 4 * w + 3]);
  return f.module.i8x16.shuffle(f.get(local), f.get(local), bytes);
}

/** The code of an accumulator, its locals set to the identity. */
export function beginAccumulator(
  emitter: NestEmitter,
  accumulator: Reduce['accumulators'][number],
  order: Reduce['order'],
  sweep: Sweep,
): AccumulatorCode {
  if (accumulator.kind === 'tuple') return tuple(emitter, accumulator, sweep);
  if (accumulator.kind === 'argmax' || accumulator.kind === 'argmin') return extremum(emitter, accumulator, sweep);
  const kind = accumulator.kind;
  const ordered = accumulator.dtype === 'float32' && (kind === 'sum' || kind === 'product');
  if (accumulator.dtype === 'float32' && (kind === 'max' || kind === 'min')) {
    return floatExtremum(emitter, accumulator, kind, sweep);
  }
  if (ordered && order === 'blocks') return blocks(emitter, accumulator, kind, sweep);
  return lanes(emitter, accumulator, kind, sweep, ordered);
}

const grid = (f: FunctionBuilder, slots: number, copies: number, value: () => Expression): number[][] =>
  Array.from({ length: slots }, () => Array.from({ length: copies }, () => f.let('v128', value(), 'partial')));

function define(emitter: NestEmitter, id: number, dtype: DType, locals: readonly number[]): void {
  const { env } = emitter;
  env.values.set(id, { dtype, locals, varying: env.lanes !== undefined, depth: env.f.scope.depth });
}

function rotateGrid(f: FunctionBuilder, slots: number[][]): void {
  for (let copy = 0; copy < slots[0].length; copy++) {
    const first = f.let('v128', f.get(slots[0][copy]));
    for (let slot = 0; slot + 1 < slots.length; slot++) f.set(slots[slot][copy], f.get(slots[slot + 1][copy]));
    f.set(slots[slots.length - 1][copy], f.get(first));
  }
}

/** Sums, products, extrema, conjunctions: `inner` partials, and `outer` ones where inner ones are flushed. */
function lanes(
  emitter: NestEmitter,
  accumulator: ClosedAccumulator,
  kind: keyof typeof opcodes,
  sweep: Sweep,
  ordered: boolean,
): AccumulatorCode {
  const { env } = emitter;
  const { f } = env;
  const { dtype } = accumulator;
  const identity = (): Expression => f.splat(dtype, identityOf(kind, dtype));
  const slots = sweep.across ? 2 : ordered ? reductionLanes : 1;
  const inner = grid(f, slots, sweep.copies, identity);
  const outer = ordered && sweep.flushes ? grid(f, slots, sweep.copies, identity) : undefined;
  const join = (left: Expression, right: Expression): Expression => combine(f, opcodes[kind], dtype, left, right);
  const flush = (): void => {
    outer?.forEach((row, slot) => {
      row.forEach((local, copy) => {
        f.set(local, join(f.get(local), f.get(inner[slot][copy])));
        f.set(inner[slot][copy], identity());
      });
    });
  };
  return {
    slots: ordered ? reductionLanes : 1,
    step: ({ slot, copy, from, mask }) => {
      const local = inner[slots === 1 ? 0 : slot][copy];
      const value = env.read(accumulator.value, from);
      const counted = mask ? f.module.v128.bitselect(value, identity(), mask()) : value;
      f.set(local, join(f.get(local), counted));
    },
    flush,
    rotate: () => slots > 1 && rotateGrid(f, inner),
    finish: () => {
      const final = outer ?? inner;
      const results = final[0].map((_, copy) => {
        const get = (slot: number): Expression => f.get(final[slot][copy]);
        if (sweep.across) {
          const four = f.let('v128', join(get(0), get(1)));
          const two = f.let('v128', join(f.get(four), swapped(f, four, 2)));
          return f.let('v128', join(f.get(two), swapped(f, two, 1)));
        }
        if (slots === 1) return final[0][copy];
        const pairs = [0, 1, 2, 3].map((l) => join(get(l), get(l + 4)));
        return f.let('v128', join(join(pairs[0], pairs[2]), join(pairs[1], pairs[3])));
      });
      define(emitter, accumulator.result, dtype, results);
    },
  };
}

/**
 * Float sums and products in order, in blocks. A partial "starts with the first" element: it starts at -0 (a product
 * at 1), to which adding gives the element itself, bit for bit.
 */
function blocks(
  emitter: NestEmitter,
  accumulator: ClosedAccumulator,
  kind: 'sum' | 'product',
  sweep: Sweep,
): AccumulatorCode {
  const { env } = emitter;
  const { f } = env;
  const { i32, f32, f32x4 } = f.module;
  const start = kind === 'sum' ? -0 : 1;
  const neutral = (): Expression => f.splat('float32', start);
  const partial = grid(f, 1, sweep.copies, neutral)[0];
  const result = grid(f, 1, sweep.copies, neutral)[0];
  const count = f.let('i32', f.i32(0));
  const join = (left: Expression, right: Expression): Expression => combine(f, opcodes[kind], 'float32', left, right);
  const close = (): void => {
    result.forEach((local, copy) => {
      f.set(local, join(f.get(local), f.get(partial[copy])));
      f.set(partial[copy], neutral());
    });
  };
  /** After `elements` more: closes the block when it is full. */
  const advance = (elements: number): void => {
    f.set(count, i32.add(f.get(count), f.i32(elements)));
    f.when(i32.eqz(i32.and(f.get(count), f.i32(contractionBlock - 1))), close);
  };
  return {
    slots: 1,
    step: ({ copy, from, mask }) => {
      const value = env.read(accumulator.value, from);
      if (!sweep.across) {
        f.set(partial[copy], join(f.get(partial[copy]), value));
        if (copy === sweep.copies - 1) advance(1);
        return;
      }
      const counted = f.let('v128', mask ? f.module.v128.bitselect(value, neutral(), mask()) : value);
      let sum = f32x4.extract_lane(f.get(partial[0]), 0);
      for (let lane = 0; lane < 4; lane++) {
        const element = f32x4.extract_lane(f.get(counted), lane);
        sum = kind === 'sum' ? f32.add(sum, element) : f32.mul(sum, element);
      }
      f.set(partial[0], f32x4.splat(sum));
      advance(4);
    },
    flush: () => {},
    rotate: () => {},
    finish: () => {
      close();
      if (kind === 'sum') {
        const empty = (): Expression => i32.eqz(f.get(count));
        for (const local of result) f.set(local, f.module.select(empty(), f.splat('float32', 0), f.get(local)));
      }
      define(emitter, accumulator.result, 'float32', result);
    },
  };
}

/**
 * Float maximum and minimum. One `max` that heeds NaN and -0 is about six instructions on x86; three simple sums in
 * their stead are four: the extremum without regard to either (`pmax`), whether there was a NaN, and the sign bits of
 * all elements, which decide the sign of a result that is zero.
 */
function floatExtremum(
  emitter: NestEmitter,
  accumulator: ClosedAccumulator,
  kind: 'max' | 'min',
  sweep: Sweep,
): AccumulatorCode {
  const { f } = emitter.env;
  const { f32x4, v128 } = f.module;
  const identity = (): Expression => f.splat('float32', identityOf(kind, 'float32'));
  const slots = sweep.across ? 2 : 1;
  const best = grid(f, slots, sweep.copies, identity);
  const nan = grid(f, slots, sweep.copies, () => f.splat('int32', 0));
  const signs = grid(f, slots, sweep.copies, () => f.splat('int32', kind === 'max' ? -1 : 0));
  const extreme = kind === 'max' ? f32x4.pmax : f32x4.pmin;
  const joinSigns = kind === 'max' ? v128.and : v128.or;
  const merge = (target: readonly number[], source: readonly number[]): void => {
    [extreme, v128.or, joinSigns].forEach((join, i) => {
      f.set(target[i], join(f.get(target[i]), f.get(source[i])));
    });
  };
  return {
    slots: 1,
    step: ({ slot, copy, from, mask }) => {
      const row = slots === 1 ? 0 : slot;
      const read = emitter.env.read(accumulator.value, from);
      const value = f.let('v128', mask ? v128.bitselect(read, identity(), mask()) : read);
      f.set(best[row][copy], extreme(f.get(best[row][copy]), f.get(value)));
      f.set(nan[row][copy], v128.or(f.get(nan[row][copy]), f32x4.ne(f.get(value), f.get(value))));
      f.set(signs[row][copy], joinSigns(f.get(signs[row][copy]), f.get(value)));
    },
    flush: () => {},
    rotate: () => {},
    finish: () => {
      const results = best[0].map((_, copy) => {
        const parts = [best, nan, signs].map((state) => state[0][copy]);
        if (sweep.across) {
          merge(
            parts,
            [best, nan, signs].map((state) => state[1][copy]),
          );
          for (const distance of [2, 1] as const) {
            merge(
              parts,
              parts.map((part) => f.let('v128', swapped(f, part, distance))),
            );
          }
        }
        const [extremum, anyNaN, sign] = parts.map((part) => () => f.get(part));
        const zero = v128.and(sign(), f.splat('int32', -(2 ** 31)));
        const signed = v128.bitselect(zero, extremum(), f32x4.eq(extremum(), f.splat('float32', 0)));
        return f.let('v128', v128.bitselect(f.splat('float32', Number.NaN), signed, anyNaN()));
      });
      define(emitter, accumulator.result, 'float32', results);
    },
  };
}

/** Position of the first extremum; the first NaN where there is one. */
function extremum(emitter: NestEmitter, accumulator: ClosedAccumulator, sweep: Sweep): AccumulatorCode {
  const { env } = emitter;
  const { f } = env;
  const { f32x4, i32x4, v128 } = f.module;
  const greatest = accumulator.kind === 'argmax';
  const dtype = env.dtypeOf(accumulator.value);
  const float = dtype === 'float32';
  const worst = (): Expression => f.splat(dtype, identityOf(greatest ? 'max' : 'min', dtype));
  const slots = sweep.across ? 2 : 1;
  const best = grid(f, slots, sweep.copies, worst);
  const where = best.map((row, slot) =>
    row.map(() =>
      f.let(
        'v128',
        sweep.across ? f.lanes([4 * slot, 4 * slot + 1, 4 * slot + 2, 4 * slot + 3]) : f.lanes([0, 0, 0, 0]),
      ),
    ),
  );
  const beats = (a: number, b: number): Expression => {
    if (float) return f32x4[greatest ? 'gt' : 'lt'](f.get(a), f.get(b));
    const suffix = dtype === 'int32' ? '_s' : '_u';
    const op = greatest ? (`gt${suffix}` as const) : (`lt${suffix}` as const);
    return i32x4[op](f.get(a), f.get(b));
  };
  const isNan = (a: number): Expression => f32x4.ne(f.get(a), f.get(a));
  const wins = (a: number, b: number): Expression =>
    float ? v128.or(beats(a, b), v128.andnot(isNan(a), isNan(b))) : beats(a, b);
  const ties = (a: number, b: number): Expression =>
    float ? v128.or(f32x4.eq(f.get(a), f.get(b)), v128.and(isNan(a), isNan(b))) : i32x4.eq(f.get(a), f.get(b));
  /** Takes `b` into `a` where it wins, or ties and comes first. */
  const merge = (a: number, aAt: number, b: number, bAt: number): void => {
    const earlier = v128.and(ties(b, a), i32x4.lt_s(f.get(bAt), f.get(aAt)));
    const take = f.let('v128', v128.or(wins(b, a), earlier));
    f.set(a, v128.bitselect(f.get(b), f.get(a), f.get(take)));
    f.set(aAt, v128.bitselect(f.get(bAt), f.get(aAt), f.get(take)));
  };
  return {
    slots: 1,
    step: ({ slot, copy, from, mask, position }) => {
      const row = slots === 1 ? 0 : slot;
      const read = env.read(accumulator.value, from);
      const value = f.let('v128', mask ? v128.bitselect(read, worst(), mask()) : read);
      const take = f.let('v128', wins(value, best[row][copy]));
      f.set(best[row][copy], v128.bitselect(f.get(value), f.get(best[row][copy]), f.get(take)));
      f.set(where[row][copy], v128.bitselect(position(), f.get(where[row][copy]), f.get(take)));
    },
    flush: () => {},
    rotate: () => {},
    finish: () => {
      if (sweep.across) {
        merge(best[0][0], where[0][0], best[1][0], where[1][0]);
        for (const distance of [2, 1] as const) {
          const other = f.let('v128', swapped(f, best[0][0], distance));
          merge(best[0][0], where[0][0], other, f.let('v128', swapped(f, where[0][0], distance)));
        }
      }
      define(emitter, accumulator.result, 'int32', where[0]);
    },
  };
}

/** Tuples in eight lanes, combined pairwise at the end like the outer partials of a sum. */
function tuple(emitter: NestEmitter, accumulator: TupleAccumulator, sweep: Sweep): AccumulatorCode {
  const { env } = emitter;
  const { f } = env;
  const slots = sweep.across ? 2 : reductionLanes;
  const { dtypes, identity } = accumulator;
  const states = dtypes.map((dtype, i) => grid(f, slots, sweep.copies, () => f.splat(dtype, identity[i])));
  const varying = sweep.across || env.lanes !== undefined;
  /** The combination of two tuples, each given as locals. */
  const join = (left: readonly number[], right: readonly number[]): number[] => {
    const depth = f.scope.depth;
    const bind = (ids: readonly number[], locals: readonly number[]): void =>
      ids.forEach((id, i) => {
        env.values.set(id, { dtype: dtypes[i], locals: [locals[i]], varying, depth });
      });
    bind(accumulator.left, left);
    bind(accumulator.right, right);
    for (const node of accumulator.body) env.values.delete(node.id);
    const lanesBefore = env.lanes;
    if (lanesBefore) env.lanes = { ...lanesBefore, copies: 1 };
    for (const node of accumulator.body) emitter.emitLet(node);
    env.lanes = lanesBefore;
    const results = accumulator.combined.map((id) => f.let('v128', env.read(id)));
    for (const node of accumulator.body) env.values.delete(node.id);
    return results;
  };
  const stateOf = (slot: number, copy: number): number[] => states.map((state) => state[slot][copy]);
  return {
    slots: reductionLanes,
    step: ({ slot, copy, from, mask }) => {
      const current = stateOf(slot, copy);
      const next = join(
        current,
        accumulator.values.map((id) => f.let('v128', env.read(id, from))),
      );
      next.forEach((local, i) => {
        const value = f.get(local);
        f.set(current[i], mask ? f.module.v128.bitselect(value, f.get(current[i]), mask()) : value);
      });
    },
    flush: () => {},
    rotate: () => {
      for (const state of states) rotateGrid(f, state);
    },
    finish: () => {
      const results = Array.from({ length: sweep.copies }, (_, copy) => {
        if (sweep.across) {
          const four = join(stateOf(0, copy), stateOf(1, copy));
          const two = join(
            four,
            four.map((local) => f.let('v128', swapped(f, local, 2))),
          );
          return join(
            two,
            two.map((local) => f.let('v128', swapped(f, local, 1))),
          );
        }
        const pairs = [0, 1, 2, 3].map((l) => join(stateOf(l, copy), stateOf(l + 4, copy)));
        return join(join(pairs[0], pairs[2]), join(pairs[1], pairs[3]));
      });
      accumulator.results.forEach((id, i) => {
        define(
          emitter,
          id,
          dtypes[i],
          results.map((copy) => copy[i]),
        );
      });
    },
  };
}
