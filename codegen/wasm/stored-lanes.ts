/**
 * Elements as they are stored, in 8, 16 or 32 bits, and as lanes of 32 bits, in which they are computed: four
 * neighbours, one element for all lanes, four elements from anywhere, and back.
 *
 *     float16 at 0: 3c00 4000 4200 4400   ↔   float32x4 1 2 3 4
 */
import { byteSize, type DType, isHalf, isSigned } from '../../base/dtype.ts';
import type { FunctionBuilder } from './function-builder.ts';
import { narrowToHalves, widenHalves } from './half.ts';
import { callHelper, type Expression, type Helper } from './math/emitter.ts';

/** Stored elements in 32-bit lanes as compute lanes: masks for bools, float32 for floats of 16 bits. */
function laneValues(f: FunctionBuilder, dtype: DType, words: Expression): Expression {
  if (isHalf(dtype)) return widenHalves(f, dtype, words);
  return dtype === 'bool' ? f.module.i32x4.gt_s(words, f.splat('int32', 0)) : words;
}

/** Four stored elements, from one address, as compute lanes. */
export function loadVector(f: FunctionBuilder, dtype: DType, offset: number, base: Expression): Expression {
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
export function loadSplat(f: FunctionBuilder, dtype: DType, offset: number, base: Expression): Expression {
  const { v128, i8x16, i32x4 } = f.module;
  if (byteSize(dtype) === 4) return v128.load32_splat(offset, 4, base);
  if (dtype === 'bool') return i8x16.ne(v128.load8_splat(offset, 1, base), f.splat('int32', 0));
  return laneValues(f, dtype, i32x4.splat(loadWord(f, dtype, offset, base)));
}

/** Four stored elements from four addresses. */
export function loadLanes(
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

/** Compute lanes as what is stored of them: for floats of 16 bits their patterns. */
const storedLanes = (f: FunctionBuilder, dtype: DType, value: Expression): Expression =>
  isHalf(dtype) ? narrowToHalves(f, dtype, f.let('v128', value)) : value;

export function storeLane(
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

/** Four compute lanes as four neighbouring elements, from the first byte on; of masks, bytes of 0 or 1. */
export function pack(f: FunctionBuilder, dtype: DType, value: Expression): Expression {
  const size = byteSize(dtype);
  if (size === 4) return value;
  const lanes = storedLanes(f, dtype, value);
  const local = f.let('v128', dtype === 'bool' ? f.module.v128.and(lanes, f.splat('int32', 1)) : lanes);
  const low = [0, 4, 8, 12].flatMap((lane) => Array.from({ length: size }, (_, byte) => lane + byte));
  const bytes = Array.from({ length: 16 }, (_, i) => low[i % low.length]);
  return f.module.i8x16.shuffle(f.get(local), f.get(local), bytes);
}

/** Stores four packed elements. */
export function storePacked(
  f: FunctionBuilder,
  bytes: number,
  offset: number,
  base: Expression,
  packed: Expression,
): void {
  const { v128 } = f.module;
  if (bytes === 1) f.statement(v128.store32_lane(offset, 1, 0, base, packed));
  else if (bytes === 2) f.statement(v128.store64_lane(offset, 2, 0, base, packed));
  else f.statement(v128.store(offset, 4, base, packed));
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

/** Stores the first `count` of four packed elements; all of them where it is 4 or more. */
export function storeSome(
  f: FunctionBuilder,
  bytes: number,
  address: Expression,
  packed: Expression,
  count: Expression,
): void {
  // A helper without a result is declared with an i32 one that is dropped.
  f.statement(f.module.drop(callHelper(f, partialStores[bytes as ElementBytes], [address, packed, count])));
}
