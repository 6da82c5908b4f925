/**
 * Accumulators of extrema of floats and of their positions, whose trouble is NaN and the sign of zero.
 */
import { isSigned } from '../../base/dtype.ts';
import type { ClosedAccumulator } from '../../ir/kernel.ts';
import { type AccumulatorCode, define, grid, identityOf, type Sweep, swapped } from './accumulator-state.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';

/**
 * Float maximum and minimum. One `max` that heeds NaN and -0 is about six instructions on x86; three simple sums in
 * their stead are four: the extremum without regard to either (`pmax`), whether there was a NaN, and the sign bits of
 * all elements, which decide the sign of a result that is zero.
 */
export function floatExtremum(
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
    state: { inner: [...best, ...nan, ...signs], outer: [] },
    absorb: (other) => {
      for (let slot = 0; slot < slots; slot++) {
        const theirs = [0, 1, 2].map((part) => other[part * slots + slot]);
        merge(
          [best, nan, signs].map((state) => state[slot][0]),
          theirs,
        );
      }
    },
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
export function extremumPosition(emitter: NestEmitter, accumulator: ClosedAccumulator, sweep: Sweep): AccumulatorCode {
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
    const suffix = isSigned(dtype) ? '_s' : '_u';
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
    state: { inner: [...best, ...where], outer: [] },
    absorb: (other) => {
      for (let slot = 0; slot < slots; slot++) merge(best[slot][0], where[slot][0], other[slot], other[slots + slot]);
    },
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
