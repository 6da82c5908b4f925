/**
 * Floats of 16 bits in lanes of float32: widened when they are loaded, rounded to the nearest, ties to even, when they
 * are stored. A float16 is widened by a product with 2^112, which also makes subnormal numbers normal. Its bits are
 * those of the float32 rounded to 10 bits of the fraction, with another bias; where it is subnormal, adding 0.5 makes
 * the adder round at its last bit (Fabian Giesen, https://gist.github.com/rygorous/2156668). A bfloat16 is the upper
 * half of a float32.
 *
 *     float16   0x3c01 in the lower half of a lane     1.0009765625
 */
import type { FunctionBuilder } from './function-builder.ts';
import type { Expression } from './math/emitter.ts';

type Half = 'float16' | 'bfloat16';

/** Numbers of 16-bit patterns, each extended to its lane by its sign. */
export function widenHalves(f: FunctionBuilder, dtype: Half, words: Expression): Expression {
  const { v128, i32x4, f32x4 } = f.module;
  if (dtype === 'bfloat16') return i32x4.shl(words, f.i32(16));
  // The sign, three bits of 0 and the magnitude: 112 too small in the exponent.
  const small = v128.and(i32x4.shl(words, f.i32(13)), f.splat('int32', ~0x70000000));
  const scaled = f.let('v128', f32x4.mul(small, f.splat('float32', 2 ** 112)), 'scaled');
  const isSpecial = f32x4.ge(f32x4.abs(f.get(scaled)), f.splat('float32', 65536));
  return v128.or(f.get(scaled), v128.and(isSpecial, f.splat('int32', 0x7f800000)));
}

/** The 16-bit patterns of the nearest numbers, in the lower halves of the lanes; the upper halves are 0. */
export function narrowToHalves(f: FunctionBuilder, dtype: Half, value: number): Expression {
  const { v128, i32x4, f32x4 } = f.module;
  if (dtype === 'bfloat16') return i32x4.shr_u(roundToHalf(f, dtype, value), f.i32(16));
  const magnitude = f.let('v128', f32x4.abs(f.get(value)), 'magnitude');
  const bounded = f.let('v128', i32x4.min_u(f.get(magnitude), f.splat('float32', 65536)), 'bounded');
  const rounded = i32x4.add(f.get(bounded), lastKeptBit(f, bounded));
  const normal = i32x4.shr_u(i32x4.add(rounded, f.splat('int32', 0xfff - (112 << 23))), f.i32(13));
  const subnormal = i32x4.sub(f32x4.add(f.get(bounded), f.splat('float32', 0.5)), f.splat('float32', 0.5));
  const isSubnormal = i32x4.lt_s(f.get(bounded), f.splat('float32', 2 ** -14));
  const bits = v128.bitselect(subnormal, normal, isSubnormal);
  const unordered = i32x4.shr_u(f32x4.ne(f.get(value), f.get(value)), f.i32(22));
  const sign = i32x4.shr_u(v128.xor(f.get(value), f.get(magnitude)), f.i32(16));
  return v128.or(v128.or(bits, unordered), sign);
}

/** The last bit of the fraction that a float16 keeps: to it a tie rounds. */
const lastKeptBit = (f: FunctionBuilder, value: number): Expression =>
  f.module.i32x4.shr_u(f.module.i32x4.shl(f.get(value), f.i32(18)), f.i32(31));

/** The nearest numbers that floats of 16 bits hold, as float32. */
export function roundToHalf(f: FunctionBuilder, dtype: Half, value: number): Expression {
  const { v128, i32x4, f32x4 } = f.module;
  if (dtype === 'bfloat16') {
    const last = i32x4.shr_u(i32x4.shl(f.get(value), f.i32(15)), f.i32(31));
    const rounded = i32x4.add(i32x4.add(f.get(value), f.splat('int32', 0x7fff)), last);
    const isUnordered = f32x4.ne(f.get(value), f.get(value));
    return v128.and(v128.or(rounded, isUnordered), f.splat('int32', -(2 ** 16)));
  }
  const magnitude = f.let('v128', f32x4.abs(f.get(value)), 'magnitude');
  const bounded = f.let('v128', i32x4.min_u(f.get(magnitude), f.splat('float32', 65536)), 'bounded');
  const rounded = i32x4.add(i32x4.add(f.get(bounded), f.splat('int32', 0xfff)), lastKeptBit(f, bounded));
  const normal = v128.and(rounded, f.splat('int32', -(2 ** 13)));
  const subnormal = f32x4.sub(f32x4.add(f.get(bounded), f.splat('float32', 0.5)), f.splat('float32', 0.5));
  const isSubnormal = i32x4.lt_s(f.get(bounded), f.splat('float32', 2 ** -14));
  const bits = f.let('v128', v128.bitselect(subnormal, normal, isSubnormal), 'bits');
  const overflow = v128.and(f32x4.ge(f.get(bits), f.splat('float32', 65536)), f.splat('int32', 0x7f800000));
  const unordered = f32x4.ne(f.get(value), f.get(value));
  const sign = v128.xor(f.get(value), f.get(magnitude));
  return v128.or(v128.or(f.get(bits), overflow), v128.or(unordered, sign));
}
