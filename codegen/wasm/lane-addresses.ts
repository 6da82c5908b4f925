/**
 * How the addresses of a load or store move with the lanes of a vector loop and with its copies: side by side, by a
 * stride, or each lane by itself.
 *
 *     x[2*i + j], lanes along i   →   stride 2;   x[table[i]]   →   scattered
 */
import { addDims, type Dim, isStatic, mulDims } from '../../base/dim.ts';
import type { IndexExpression, IndexTerm } from '../../ir/kernel.ts';
import { coefficientOf, normalizeIndex } from '../common/linear-index.ts';
import { addressExpression, addressOf, factorValue, type LaneChoice, scaled } from './addressing.ts';
import type { Environment } from './environment.ts';
import type { Expression } from './math/emitter.ts';

/** How an index moves with the lanes. */
export interface Movement {
  /** The part that a pointer carries: everything uniform, and the vector axis where it is linear. */
  readonly carried: IndexExpression;
  /** Elements from one lane to the next, and from one copy to the next, when that is all there is. */
  readonly stride: Dim;
  readonly copyStride: Dim;
  /** Terms that must be computed for each lane. */
  readonly scattered: readonly IndexTerm[];
}

export function movementOf(env: Environment, index: IndexExpression): Movement {
  const { offset, terms } = normalizeIndex(index);
  const isScattered = (term: IndexTerm): boolean => term.factor.kind !== 'axis' && env.varies(term.factor);
  const carried = { offset, terms: terms.filter((term) => !isScattered(term)) };
  const strideOf = (axis: string | undefined): Dim => (axis === undefined ? 0 : (coefficientOf(carried, axis) ?? 0));
  const stride = strideOf(env.lanes?.axis);
  const copyAxis = env.lanes?.copyAxis;
  const copyStride = copyAxis === undefined ? mulDims(stride, 4) : strideOf(copyAxis);
  return { carried, stride, copyStride, scattered: terms.filter(isScattered) };
}

/** The address of each lane of a copy: `bases[l] + offsets[l]`. Lanes that do not count get the address of lane 0. */
export function laneAddresses(
  env: Environment,
  memory: string,
  bytes: number,
  movement: Movement,
  copy: number,
): { readonly offsets: readonly number[]; readonly bases: readonly (() => Expression)[] } {
  const { f } = env;
  const { i32 } = f.module;
  const address = addressOf(env, memory, bytes, movement.carried);
  const lanes = [0, 1, 2, 3];
  const { stride, copyStride } = movement;
  const strides = lanes.map((lane) => mulDims(addDims(mulDims(copyStride, copy), mulDims(stride, lane)), bytes));
  const inPlace = movement.scattered.length === 0 && strides.every((s): s is number => isStatic(s) && s >= 0);
  if (inPlace && !env.lanes?.remaining) {
    const local = address.extra === undefined ? address.pointer : f.let('i32', addressExpression(env, address));
    const bases = lanes.map(() => () => f.get(local));
    return { bases, offsets: strides.map((s) => address.offset + s) };
  }
  const locals: number[] = [];
  for (const lane of lanes) {
    const choice: LaneChoice = { copy, lane };
    let at = addressExpression(env, address);
    if (strides[lane] !== 0) at = i32.add(at, f.size(strides[lane]));
    for (const { coefficient, factor } of movement.scattered) {
      at = i32.add(at, scaled(env, factorValue(env, factor, choice), mulDims(coefficient, bytes)));
    }
    if (lane > 0 && env.lanes?.remaining !== undefined) {
      const counts = i32.gt_s(f.get(env.lanes.remaining), f.i32(4 * copy + lane));
      at = f.module.select(counts, at, f.get(locals[0]));
    }
    locals.push(f.let('i32', at));
  }
  return { bases: locals.map((local) => () => f.get(local)), offsets: lanes.map(() => address.offset) };
}

interface Place {
  readonly base: () => Expression;
  readonly offset: number;
}

/** The address of lane 0 of a copy. */
export function copyAddress(env: Environment, memory: string, bytes: number, movement: Movement, copy: number): Place {
  return shiftedAddress(env, memory, bytes, movement, mulDims(movement.copyStride, copy));
}

/** The address `shift` elements after lane 0 of copy 0. */
export function shiftedAddress(env: Environment, memory: string, bytes: number, movement: Movement, shift: Dim): Place {
  const { f } = env;
  const address = addressOf(env, memory, bytes, movement.carried);
  const inBytes = mulDims(shift, bytes);
  if (isStatic(inBytes) && inBytes >= 0) {
    return { base: () => addressExpression(env, address), offset: address.offset + inBytes };
  }
  return { base: () => f.module.i32.add(addressExpression(env, address), f.size(inBytes)), offset: address.offset };
}

/** Whether memory runs along the copies where the lanes jump: four vectors of it, turned, are four copies. */
export const isTransposed = (env: Environment, { stride, copyStride, scattered }: Movement): boolean =>
  env.lanes?.copyAxis !== undefined && scattered.length === 0 && copyStride === 1 && stride !== 0 && stride !== 1;
