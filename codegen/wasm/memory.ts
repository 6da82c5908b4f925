/**
 * Loads and stores. A vector access is contiguous (one instruction a vector), a splat (one element for all lanes) or
 * lane by lane (strided and gathered). Loads may run up to 16 bytes past a buffer, stores never; in the last vectors
 * of a loop only `remaining` lanes count, and the others touch nothing that lane 0 does not.
 */
import { addDims, type Dim, isStatic, mulDims } from '../../base/dim.ts';
import { byteSize, computeDType, type DType, isHalf, isSigned } from '../../base/dtype.ts';
import type { IndexExpression, IndexTerm, ScalarExpression, Store } from '../../ir/kernel.ts';
import { coefficientOf, normalizeIndex } from '../common/linear-index.ts';
import { addressExpression, addressOf, factorValue, type LaneChoice, scaled } from './addressing.ts';
import type { Environment } from './environment.ts';
import type { FunctionBuilder } from './function-builder.ts';
import { narrowToHalves, widenHalves } from './half.ts';
import { callHelper, type Expression, type Helper } from './math/emitter.ts';
import { applyOperator, combine, requireComputed } from './operators.ts';

type Load = Extract<ScalarExpression, { kind: 'load' }>;

/** Stored elements in 32-bit lanes as compute lanes: masks for bools, float32 for floats of 16 bits. */
function laneValues(f: FunctionBuilder, dtype: DType, words: Expression): Expression {
  if (isHalf(dtype)) return widenHalves(f, dtype, words);
  return dtype === 'bool' ? f.module.i32x4.gt_s(words, f.splat('int32', 0)) : words;
}

/** Four stored elements, from one address, as compute lanes. */
function loadVector(f: FunctionBuilder, dtype: DType, offset: number, base: Expression): Expression {
  const { v128, i16x8, i32x4 } = f.module;
  const bytes = byteSize(dtype);
  const suffix = isSigned(dtype) ? 's' : 'u';
  if (bytes === 4) return v128.load(offset, 4, base);
  if (bytes === 2) return laneValues(f, dtype, v128[`load16x4_${suffix}`](offset, 2, base));
  const halves = i16x8[`extend_low_i8x16_${suffix}`](v128.load32_zero(offset, 1, base));
  return laneValues(f, dtype, i32x4[`extend_low_i16x8_${suffix}`](halves));
}

/** A stored element of fewer than 32 bits as a word. */
function loadWord(f: FunctionBuilder, dtype: DType, offset: number, base: Expression): Expression {
  const { i32 } = f.module;
  const suffix = isSigned(dtype) ? 's' : 'u';
  return byteSize(dtype) === 2 ? i32[`load16_${suffix}`](offset, 2, base) : i32[`load8_${suffix}`](offset, 1, base);
}

/** One stored element in all lanes. */
function loadSplat(f: FunctionBuilder, dtype: DType, offset: number, base: Expression): Expression {
  const { v128, i8x16, i32x4 } = f.module;
  if (byteSize(dtype) === 4) return v128.load32_splat(offset, 4, base);
  if (dtype === 'bool') return i8x16.ne(v128.load8_splat(offset, 1, base), f.splat('int32', 0));
  return laneValues(f, dtype, i32x4.splat(loadWord(f, dtype, offset, base)));
}

/** Four stored elements from four addresses. */
function loadLanes(
  f: FunctionBuilder,
  dtype: DType,
  offsets: readonly number[],
  bases: readonly Expression[],
): Expression {
  const { v128, i32x4 } = f.module;
  if (byteSize(dtype) === 4) {
    let vector = v128.load32_zero(offsets[0], 4, bases[0]);
    for (let l = 1; l < 4; l++) vector = v128.load32_lane(offsets[l], 4, l, bases[l], vector);
    return vector;
  }
  const word = (l: number): Expression => loadWord(f, dtype, offsets[l], bases[l]);
  let words = i32x4.splat(word(0));
  for (let l = 1; l < 4; l++) words = i32x4.replace_lane(words, l, word(l));
  return laneValues(f, dtype, words);
}

/** Storage lanes as lanes of the compute type. */
function converted(f: FunctionBuilder, from: DType, to: DType, value: Expression): Expression {
  if (from === to) return value;
  const local = f.let('v128', value);
  return applyOperator(f, { opcode: 'convert', from, dtype: to, operands: [local], known: [], amountIsUniform: true });
}

/** How an index moves with the lanes. */
interface Movement {
  /** The part that a pointer carries: everything uniform, and the vector axis where it is linear. */
  readonly carried: IndexExpression;
  /** Elements from one lane to the next, and from one copy to the next, when that is all there is. */
  readonly stride: Dim;
  readonly copyStride: Dim;
  /** Terms that must be computed for each lane. */
  readonly scattered: readonly IndexTerm[];
}

function movementOf(env: Environment, index: IndexExpression): Movement {
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
function laneAddresses(
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
  if (movement.scattered.length > 0 || (movement.stride !== 0 && movement.stride !== 1)) {
    const { offsets, bases } = laneAddresses(env, memory, bytes, movement, copy);
    const addresses = bases.map((base) => base());
    return () => loadLanes(f, stored, offsets, addresses);
  }
  const { base, offset } = copyAddress(env, memory, bytes, movement, copy);
  const address = base();
  return () => (movement.stride === 0 ? loadSplat(f, stored, offset, address) : loadVector(f, stored, offset, address));
}

interface Place {
  readonly base: () => Expression;
  readonly offset: number;
}

/** The address of lane 0 of a copy. */
function copyAddress(env: Environment, memory: string, bytes: number, movement: Movement, copy: number): Place {
  return shiftedAddress(env, memory, bytes, movement, mulDims(movement.copyStride, copy));
}

/** The address `shift` elements after lane 0 of copy 0. */
function shiftedAddress(env: Environment, memory: string, bytes: number, movement: Movement, shift: Dim): Place {
  const { f } = env;
  const address = addressOf(env, memory, bytes, movement.carried);
  const inBytes = mulDims(shift, bytes);
  if (isStatic(inBytes) && inBytes >= 0) {
    return { base: () => addressExpression(env, address), offset: address.offset + inBytes };
  }
  return { base: () => f.module.i32.add(addressExpression(env, address), f.size(inBytes)), offset: address.offset };
}

/** Whether memory runs along the copies where the lanes jump: four vectors of it, turned, are four copies. */
const isTransposed = (env: Environment, { stride, copyStride, scattered }: Movement): boolean =>
  env.lanes?.copyAxis !== undefined && scattered.length === 0 && copyStride === 1 && stride !== 0 && stride !== 1;

function loadTransposed(env: Environment, { memory }: Load, stored: DType, movement: Movement): number[] {
  const { f } = env;
  const rows = [0, 1, 2, 3].map((lane) => {
    const shift = mulDims(movement.stride, lane);
    const { base, offset } = shiftedAddress(env, memory, byteSize(stored), movement, shift);
    return f.let('v128', loadVector(f, stored, offset, base()));
  });
  return transposed(f, rows);
}

/** The columns of four rows of 32-bit lanes. */
function transposed(f: FunctionBuilder, [a, b, c, d]: readonly number[]): number[] {
  const shuffled = (left: number, right: number, words: readonly number[]): number =>
    f.let('v128', f.module.i8x16.shuffle(f.get(left), f.get(right), bytesOfWords(words)));
  const [low, high] = [
    [0, 4, 1, 5],
    [2, 6, 3, 7],
  ];
  const [ab, cd] = [shuffled(a, b, low), shuffled(c, d, low)];
  const [abHigh, cdHigh] = [shuffled(a, b, high), shuffled(c, d, high)];
  return [
    shuffled(ab, cd, [0, 1, 4, 5]),
    shuffled(ab, cd, [2, 3, 6, 7]),
    shuffled(abHigh, cdHigh, [0, 1, 4, 5]),
    shuffled(abHigh, cdHigh, [2, 3, 6, 7]),
  ];
}

const bytesOfWords = (words: readonly number[]): number[] =>
  words.flatMap((word) => [4 * word, 4 * word + 1, 4 * word + 2, 4 * word + 3]);

/** Every other of eight neighbours, the last of which may lie behind the buffer. */
function everyOther(env: Environment, memory: string, { carried }: Movement, copy: number): () => Expression {
  const { f } = env;
  const address = addressOf(env, memory, 4, carried);
  const half = (part: number): Expression =>
    f.module.v128.load(address.offset + 32 * copy + 16 * part, 4, addressExpression(env, address));
  const [low, high] = [half(0), half(1)];
  const words = [0, 2, 4, 6].flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
  return () => f.module.i8x16.shuffle(low, high, words);
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

const combineOpcode = { add: 'add', multiply: 'multiply', max: 'maximum', min: 'minimum' } as const;

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

function storeLane(
  f: FunctionBuilder,
  dtype: DType,
  lane: number,
  offset: number,
  base: Expression,
  value: Expression,
): void {
  const { v128, i32, i32x4 } = f.module;
  const bytes = byteSize(dtype);
  const word = (): Expression => i32x4.extract_lane(storedLanes(f, dtype, value), lane);
  if (bytes === 4) f.statement(v128.store32_lane(offset, 4, lane, base, value));
  else if (bytes === 2) f.statement(i32.store16(offset, 2, base, word()));
  else f.statement(i32.store8(offset, 1, base, dtype === 'bool' ? i32.and(word(), f.i32(1)) : word()));
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
    f.statement(callStatement(f, partialStores[bytes as ElementBytes], [shifted, packed, count]));
  } else storePacked(f, bytes, offset, base(), packed);
}

/** Stores four packed elements. */
function storePacked(f: FunctionBuilder, bytes: number, offset: number, base: Expression, packed: Expression): void {
  const { v128 } = f.module;
  if (bytes === 1) f.statement(v128.store32_lane(offset, 1, 0, base, packed));
  else if (bytes === 2) f.statement(v128.store64_lane(offset, 2, 0, base, packed));
  else f.statement(v128.store(offset, 4, base, packed));
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

/** Compute lanes as what is stored of them: for floats of 16 bits their patterns. */
const storedLanes = (f: FunctionBuilder, dtype: DType, value: Expression): Expression =>
  isHalf(dtype) ? narrowToHalves(f, dtype, f.let('v128', value)) : value;

/** Four compute lanes as four neighbouring elements, from the first byte on; of masks, bytes of 0 or 1. */
function pack(f: FunctionBuilder, dtype: DType, value: Expression): Expression {
  const size = byteSize(dtype);
  if (size === 4) return value;
  const lanes = storedLanes(f, dtype, value);
  const local = f.let('v128', dtype === 'bool' ? f.module.v128.and(lanes, f.splat('int32', 1)) : lanes);
  const low = [0, 4, 8, 12].flatMap((lane) => Array.from({ length: size }, (_, byte) => lane + byte));
  const bytes = Array.from({ length: 16 }, (_, i) => low[i % low.length]);
  return f.module.i8x16.shuffle(f.get(local), f.get(local), bytes);
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

/** A helper without a result is declared with an i32 one that is dropped. */
function callStatement(f: FunctionBuilder, helper: Helper, operands: readonly Expression[]): Expression {
  return f.module.drop(callHelper(f, helper, operands));
}

type ElementBytes = 1 | 2 | 4;

/** Stores of one, two and four neighbouring elements by the bytes of an element. */
const laneStores = {
  1: ['store8_lane', 'store16_lane', 'store32_lane'],
  2: ['store16_lane', 'store32_lane', 'store64_lane'],
  4: ['store32_lane', 'store64_lane', undefined],
} as const;

/**
 * `store_words(address, vector, count)`: the first `count` lanes, all if count is 4 or more. `store_halves` and
 * `store_bytes`: the same for four packed elements of two bytes and of one.
 */
const partialStore = (name: string, elementBytes: ElementBytes): Helper => ({
  name,
  parameters: ['i32', 'v128', 'i32'],
  result: 'i32',
  build: (s) => {
    const { binaryen, module } = s;
    const { i32, v128, local } = module;
    const [address, value, count] = [0, 1, 2].map((i) => () => local.get(i, i === 1 ? binaryen.v128 : binaryen.i32));
    const [storeOne, storeTwo, storeFour] = laneStores[elementBytes];
    const one = (element: 0 | 2): Expression =>
      v128[storeOne](elementBytes * element, elementBytes, element, address(), value());
    const two = v128[storeTwo](0, elementBytes, 0, address(), value());
    const four = storeFour
      ? v128[storeFour](0, elementBytes, 0, address(), value())
      : v128.store(0, 4, address(), value());
    const isOdd = (): Expression => i32.and(count(), i32.const(1));
    const pair = module.block(null, [two, module.if(isOdd(), one(2))]);
    const some = module.if(i32.and(count(), i32.const(2)), pair, module.if(isOdd(), one(0)));
    s.statement(module.if(i32.ge_s(count(), i32.const(4)), four, some));
    return i32.const(0);
  },
});

const partialStores: { readonly [B in ElementBytes]: Helper } = {
  1: partialStore('store_bytes', 1),
  2: partialStore('store_halves', 2),
  4: partialStore('store_words', 4),
};
