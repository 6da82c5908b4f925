/**
 * Loads and stores. A vector access is contiguous (one instruction a vector), a splat (one element for all lanes) or
 * lane by lane (strided and gathered). Loads may run up to 16 bytes past a buffer, stores never; in the last vectors
 * of a loop only `remaining` lanes count, and the others touch nothing that lane 0 does not.
 */
import { addDims, mulDims } from '../../base/dim.ts';
import { byteSize, computeDType, type DType } from '../../base/dtype.ts';
import { combineOpcode, type ScalarExpression, type Store } from '../../ir/kernel.ts';
import { addressExpression, addressOf } from './addressing.ts';
import type { Environment } from './environment.ts';
import type { FunctionBuilder } from './function-builder.ts';
import {
  copyAddress,
  isTransposed,
  laneAddresses,
  type Movement,
  movementOf,
  shiftedAddress,
} from './lane-addresses.ts';
import type { Expression } from './math/emitter.ts';
import { applyOperator, combine, requireComputed } from './operators.ts';
import { bytesOfLanes, transposed } from './shuffles.ts';
import { loadLanes, loadSplat, loadVector, pack, storeLane, storePacked, storeSome } from './stored-lanes.ts';

type Load = Extract<ScalarExpression, { kind: 'load' }>;

/** Storage lanes as lanes of the compute type. */
function converted(f: FunctionBuilder, from: DType, to: DType, value: Expression): Expression {
  if (from === to) return value;
  const local = f.let('v128', value);
  return applyOperator(f, { opcode: 'convert', from, dtype: to, operands: [local], known: [], amountIsUniform: true });
}

/** Whether a load has different numbers in different lanes. */
export const loadVaries = (env: Environment, { index, when }: Load): boolean =>
  env.indexVaries(index) || (when !== undefined && env.value(when).varying);

/** Loads into locals: one for a uniform value, one for each copy of the vector loop otherwise. */
export function emitLoad(env: Environment, load: Load, dtype: DType, name: string): number[] {
  const { f } = env;
  const stored = f.layout.dtypeOf(load.memory);
  requireComputed(stored, `load from ${load.memory}`);
  const computed = computeDType(stored);
  const copies = loadVaries(env, load) ? (env.lanes?.copies ?? 1) : 1;
  const locals: number[] = [];
  if (copies > 1 && load.when === undefined) {
    const movement = movementOf(env, load.index);
    if (isTransposed(env, movement)) {
      const transposed = loadTransposed(env, load, stored, movement);
      return computed === dtype
        ? transposed
        : transposed.map((local) => f.let('v128', converted(f, computed, dtype, f.get(local))));
    }
  }
  for (let copy = 0; copy < copies; copy++) {
    const local =
      load.when === undefined ? loadAlways(env, load, stored, copy, name) : loadWhen(env, load, stored, copy, name);
    locals.push(computed === dtype ? local : f.let('v128', converted(f, computed, dtype, f.get(local))));
  }
  return locals;
}

function loadAlways(env: Environment, load: Load, stored: DType, copy: number, name: string): number {
  return env.f.let('v128', plainLoad(env, load, stored, copy)(), name);
}

/** A load without its predicate; the address is computed now, the elements where the result is used. */
function plainLoad(env: Environment, { memory, index }: Load, stored: DType, copy: number): () => Expression {
  const { f } = env;
  const bytes = byteSize(stored);
  const movement = movementOf(env, index);
  if (bytes === 4 && movement.stride === 2 && movement.scattered.length === 0 && !env.lanes?.remaining) {
    return everyOther(env, memory, movement, copy);
  }
  if (movement.stride === -1 && movement.scattered.length === 0 && !env.lanes?.remaining) {
    return backwards(env, memory, stored, movement, copy);
  }
  if (movement.scattered.length > 0 || (movement.stride !== 0 && movement.stride !== 1)) {
    const { offsets, bases } = laneAddresses(env, memory, bytes, movement, copy);
    const addresses = bases.map((base) => base());
    return () => loadLanes(f, stored, offsets, addresses);
  }
  const { base, offset } = copyAddress(env, memory, bytes, movement, copy);
  const address = base();
  return () => (movement.stride === 0 ? loadSplat(f, stored, offset, address) : loadVector(f, stored, offset, address));
}

function loadTransposed(env: Environment, { memory }: Load, stored: DType, movement: Movement): number[] {
  const { f } = env;
  const rows = [0, 1, 2, 3].map((lane) => {
    const shift = mulDims(movement.stride, lane);
    const { base, offset } = shiftedAddress(env, memory, byteSize(stored), movement, shift);
    return f.let('v128', loadVector(f, stored, offset, base()));
  });
  return transposed(f, rows);
}

/** Every other of eight neighbours, the last of which may lie behind the buffer. */
function everyOther(env: Environment, memory: string, movement: Movement, copy: number): () => Expression {
  const { f } = env;
  const { base, offset } = copyAddress(env, memory, 4, movement, copy);
  const half = (part: number): Expression => f.module.v128.load(offset + 16 * part, 4, base());
  const [low, high] = [half(0), half(1)];
  return () => f.module.i8x16.shuffle(low, high, bytesOfLanes([0, 2, 4, 6]));
}

/** Four neighbours, the last of which is lane 0. */
function backwards(
  env: Environment,
  memory: string,
  stored: DType,
  movement: Movement,
  copy: number,
): () => Expression {
  const { f } = env;
  const first = addDims(mulDims(movement.copyStride, copy), -3);
  const { base, offset } = shiftedAddress(env, memory, byteSize(stored), movement, first);
  const address = base();
  return () => {
    const vector = f.let('v128', loadVector(f, stored, offset, address));
    return f.module.i8x16.shuffle(f.get(vector), f.get(vector), bytesOfLanes([3, 2, 1, 0]));
  };
}

/** A predicated load. All lanes true: a plain load. Else lanes that are false read the buffer's start instead. */
function loadWhen(env: Environment, load: Load, stored: DType, copy: number, name: string): number {
  const { f } = env;
  const { i32, i32x4, v128 } = f.module;
  const { memory, index, when, otherwise = 0 } = load;
  const bytes = byteSize(stored);
  const predicate = env.value(when!);
  const mask = predicate.locals[copy % predicate.locals.length];
  const outside = (): Expression => f.splat(computeDType(stored), otherwise);
  const result = f.let('v128', outside(), name);
  const set = (value: Expression): void => f.set(result, value);
  if (!predicate.varying) {
    const plain = plainLoad(env, load, stored, copy);
    f.when(i32x4.extract_lane(f.get(mask), 0), () => set(plain()));
    return result;
  }
  const movement = movementOf(env, index);
  const bits = f.let('i32', i32x4.bitmask(countingMask(env, f.get(mask), copy)));
  const { offsets, bases } = laneAddresses(env, memory, bytes, movement, copy);
  const byLanes = (): void => {
    const safe = bases.map((base, lane) => {
      const holds = i32.and(f.get(bits), f.i32(1 << lane));
      const shifted = offsets[lane] === 0 ? base() : i32.add(base(), f.i32(offsets[lane]));
      return f.module.select(holds, shifted, f.base(memory));
    });
    const loaded = loadLanes(f, stored, [0, 0, 0, 0], safe);
    set(v128.bitselect(loaded, outside(), f.get(mask)));
  };
  if (movement.scattered.length > 0 || movement.stride !== 1) {
    f.when(f.get(bits), byLanes);
    return result;
  }
  const place = copyAddress(env, memory, bytes, movement, copy);
  const base = place.base();
  f.when(
    i32.eq(f.get(bits), f.i32(15)),
    () => set(loadVector(f, stored, place.offset, base)),
    () => f.when(f.get(bits), byLanes),
  );
  return result;
}

/** A mask without the lanes that do not count. */
function countingMask(env: Environment, mask: Expression, copy: number): Expression {
  const { f } = env;
  const { i32x4, v128 } = f.module;
  const remaining = env.lanes?.remaining;
  if (remaining === undefined) return mask;
  const positions = f.lanes([4 * copy, 4 * copy + 1, 4 * copy + 2, 4 * copy + 3]);
  return v128.and(mask, i32x4.lt_s(positions, i32x4.splat(f.get(remaining))));
}

/** Stores the value of each lane that counts. */
export function emitStore(env: Environment, store: Store): void {
  const { f } = env;
  const stored = f.layout.dtypeOf(store.memory);
  requireComputed(stored, `store to ${store.memory}`);
  const movement = movementOf(env, store.index);
  const value = env.value(store.value);
  const computed = computeDType(stored);
  const named = value.locals.map((local) =>
    value.dtype === computed ? local : f.let('v128', converted(f, value.dtype, computed, f.get(local))),
  );
  const at = (copy: number): number => named[copy % named.length];
  const moves = movement.scattered.length > 0 || movement.stride !== 0 || movement.copyStride !== 0;
  if (!env.lanes || !moves) {
    storeSingle(env, store, stored, movement, at(0));
    return;
  }
  if (store.when === undefined && isTransposed(env, movement)) {
    storeTransposed(env, store, stored, movement, [0, 1, 2, 3].map(at));
    return;
  }
  for (let copy = 0; copy < env.lanes.copies; copy++) {
    if (movement.scattered.length === 0 && movement.stride === 1 && store.when === undefined) {
      storeVector(env, store, stored, movement, at(copy), copy);
    } else storeLanes(env, store, stored, movement, at(copy), copy);
  }
}

function merged(f: FunctionBuilder, store: Store, dtype: DType, value: number, old: () => Expression): Expression {
  if (store.combine === 'assign') return f.get(value);
  return combine(f, combineOpcode[store.combine], computeDType(dtype), old(), f.get(value));
}

function storeSingle(env: Environment, store: Store, stored: DType, movement: Movement, value: number): void {
  const { f } = env;
  const address = addressOf(env, store.memory, byteSize(stored), movement.carried);
  const base = (): Expression => addressExpression(env, address);
  const write = (): void => {
    const result = merged(f, store, stored, value, () => loadSplat(f, stored, address.offset, base()));
    storeLane(f, stored, 0, address.offset, base(), result);
  };
  if (store.when === undefined) write();
  else f.when(f.module.i32x4.extract_lane(env.read(store.when), 0), write);
}

function storeVector(
  env: Environment,
  store: Store,
  stored: DType,
  movement: Movement,
  value: number,
  copy: number,
): void {
  const { f } = env;
  const bytes = byteSize(stored);
  const { base, offset } = copyAddress(env, store.memory, bytes, movement, copy);
  const result = merged(f, store, stored, value, () => loadVector(f, stored, offset, base()));
  const packed = pack(f, stored, result);
  const remaining = env.lanes?.remaining;
  if (remaining !== undefined) {
    const shifted = offset === 0 ? base() : f.module.i32.add(base(), f.i32(offset));
    const count = copy === 0 ? f.get(remaining) : f.module.i32.sub(f.get(remaining), f.i32(4 * copy));
    storeSome(f, bytes, shifted, packed, count);
  } else storePacked(f, bytes, offset, base(), packed);
}

/** Stores four copies whose elements lie side by side in memory where those of a vector do not. */
function storeTransposed(
  env: Environment,
  store: Store,
  stored: DType,
  movement: Movement,
  values: readonly number[],
): void {
  const { f } = env;
  const bytes = byteSize(stored);
  transposed(f, values).forEach((value, lane) => {
    const shift = mulDims(movement.stride, lane);
    const { base, offset } = shiftedAddress(env, store.memory, bytes, movement, shift);
    const result = merged(f, store, stored, value, () => loadVector(f, stored, offset, base()));
    storePacked(f, bytes, offset, base(), pack(f, stored, result));
  });
}

function storeLanes(
  env: Environment,
  store: Store,
  stored: DType,
  movement: Movement,
  value: number,
  copy: number,
): void {
  const { f } = env;
  const { i32, i32x4 } = f.module;
  const { offsets, bases } = laneAddresses(env, store.memory, byteSize(stored), movement, copy);
  const remaining = env.lanes?.remaining;
  const predicate = store.when === undefined ? undefined : env.value(store.when);
  const bits = predicate && f.let('i32', i32x4.bitmask(f.get(predicate.locals[copy % predicate.locals.length])));
  for (let lane = 0; lane < 4; lane++) {
    const write = (): void => {
      const old = (): Expression => loadSplat(f, stored, offsets[lane], bases[lane]());
      storeLane(f, stored, lane, offsets[lane], bases[lane](), merged(f, store, stored, value, old));
    };
    const conditions: Expression[] = [];
    if (remaining !== undefined) conditions.push(i32.gt_s(f.get(remaining), f.i32(4 * copy + lane)));
    if (bits !== undefined) conditions.push(i32.and(i32.shr_u(f.get(bits), f.i32(lane)), f.i32(1)));
    if (conditions.length === 0) write();
    else f.when(conditions.length === 1 ? conditions[0] : i32.and(conditions[0], conditions[1]), write);
  }
}
