/**
 * Accumulators of reductions. A reduction sweeps its last axis in one of two ways:
 *
 *     across   the axis runs across the lanes: slot 0 holds elements 0-3 of each eight, slot 1 elements 4-7
 *     along    the lanes belong to an outer axis (or all hold the same): slot k holds element k of each eight
 *
 * The additions of a float sum are those of `SumOrder` in ir/kernel.ts either way; kinds whose order does not matter
 * use as few slots as they like.
 */
import { isNarrowInteger } from '../../base/dtype.ts';
import type { ClosedAccumulator, Reduce, TupleAccumulator } from '../../ir/kernel.ts';
import { contractionBlock, reductionLanes } from '../../ir/kernel.ts';
import { type AccumulatorCode, define, grid, identityOf, opcodes, type Sweep, swapped } from './accumulator-state.ts';
import { extremumPosition, floatExtremum } from './extremum.ts';
import type { FunctionBuilder } from './function-builder.ts';
import type { Expression } from './math/emitter.ts';
import type { NestEmitter } from './nest.ts';
import { combine, wrapLanes } from './operators.ts';

/** The code of an accumulator, its locals set to the identity. */
export function beginAccumulator(
  emitter: NestEmitter,
  accumulator: Reduce['accumulators'][number],
  order: Reduce['order'],
  sweep: Sweep,
): AccumulatorCode {
  if (accumulator.kind === 'tuple') return tuple(emitter, accumulator, sweep);
  if (accumulator.kind === 'argmax' || accumulator.kind === 'argmin')
    return extremumPosition(emitter, accumulator, sweep);
  const kind = accumulator.kind;
  const ordered = accumulator.dtype === 'float32' && (kind === 'sum' || kind === 'product');
  if (accumulator.dtype === 'float32' && (kind === 'max' || kind === 'min')) {
    return floatExtremum(emitter, accumulator, kind, sweep);
  }
  if (ordered && order === 'blocks') return blocks(emitter, accumulator, kind, sweep);
  return lanes(emitter, accumulator, kind, sweep, ordered);
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
  /** Lanes of narrow integers are 32 bits wide: their sums are brought into range once, at the end. */
  const laneDType = isNarrowInteger(dtype) ? 'int32' : dtype;
  const join = (left: Expression, right: Expression): Expression => combine(f, opcodes[kind], laneDType, left, right);
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
    state: { inner, outer: outer ?? [] },
    absorb: (other) => {
      (outer ?? inner).forEach((row, slot) => {
        f.set(row[0], join(f.get(row[0]), f.get(other[slot])));
      });
    },
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
      const mayLeave = isNarrowInteger(dtype) && (kind === 'sum' || kind === 'product');
      const wrapped = mayLeave ? results.map((local) => f.let('v128', wrapLanes(f, dtype, f.get(local)))) : results;
      define(emitter, accumulator.result, dtype, wrapped);
    },
  };
}

/** Float sums and products in order, in blocks. A masked lane counts as the identity, which changes no bit of a sum. */
function blocks(
  emitter: NestEmitter,
  accumulator: ClosedAccumulator,
  kind: 'sum' | 'product',
  sweep: Sweep,
): AccumulatorCode {
  const { env } = emitter;
  const { f } = env;
  const { i32, f32, f32x4 } = f.module;
  const neutral = (): Expression => f.splat('float32', kind === 'sum' ? 0 : 1);
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
      define(emitter, accumulator.result, 'float32', result);
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
