/**
 * Keys: unsigned 32-bit integers whose order is that of the numbers they stand for, so that numbers of every dtype are
 * sorted by their bytes. For a float the sign bit says whether to flip it alone or all bits; -0 is made 0 first, and
 * all bits of a NaN are set, which makes it the greatest. For the descending order all bits are flipped once more.
 *
 *     float32  -1.5  0xbfc00000 → 0x403fffff        1.5  0x3fc00000 → 0xbfc00000
 *     int32    -2    0xfffffffe → 0x7ffffffe
 */
import { byteSize, type DType, isFloat, isSigned } from '../../../base/dtype.ts';
import type { SortDirection } from '../../../ir/opcodes.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';

/** How rows of a dtype are ordered. */
export interface KeyOrder {
  readonly dtype: DType;
  readonly direction: SortDirection;
}

const signBit = -(2 ** 31);

/** Whether four keys are made at once. */
export const hasVectorKeys = ({ dtype }: KeyOrder): boolean => byteSize(dtype) === 4;

/** The key of the element at an address. */
export function loadKey(f: FunctionBuilder, { dtype, direction }: KeyOrder, address: Expression): Expression {
  const { i32, f32 } = f.module;
  const flipped = (key: Expression): Expression => (direction === 'descending' ? i32.xor(key, f.i32(-1)) : key);
  if (dtype === 'float32') {
    const x = f.let('f32', f32.add(f32.load(0, 4, address), f32.const(0)));
    const bits = f.let('i32', i32.reinterpret(f.get(x)));
    const mask = i32.or(i32.shr_s(f.get(bits), f.i32(31)), f.i32(signBit));
    const unordered = i32.sub(f.i32(0), f32.ne(f.get(x), f.get(x)));
    return flipped(i32.or(i32.xor(f.get(bits), mask), unordered));
  }
  const bits = loadBits(f, dtype, address);
  return flipped(isSigned(dtype) && dtype !== 'bool' ? i32.xor(bits, f.i32(signBit)) : bits);
}

function loadBits(f: FunctionBuilder, dtype: DType, address: Expression): Expression {
  const { i32 } = f.module;
  const bytes = byteSize(dtype);
  if (bytes === 4) return i32.load(0, 4, address);
  if (bytes === 2) return isSigned(dtype) ? i32.load16_s(0, 2, address) : i32.load16_u(0, 2, address);
  return isSigned(dtype) && dtype !== 'bool' ? i32.load8_s(0, 1, address) : i32.load8_u(0, 1, address);
}

/** Four keys of four elements of 32 bits. */
export function vectorKeys(f: FunctionBuilder, { dtype, direction }: KeyOrder, elements: Expression): Expression {
  const { i32x4, f32x4, v128 } = f.module;
  const flipped = (keys: Expression): Expression => (direction === 'descending' ? v128.not(keys) : keys);
  if (dtype === 'uint32') return flipped(elements);
  if (dtype === 'int32') return flipped(v128.xor(elements, f.splat('int32', signBit)));
  const x = f.let('v128', f32x4.add(elements, f.splat('float32', 0)));
  const mask = v128.or(i32x4.shr_s(f.get(x), f.i32(31)), f.splat('int32', signBit));
  return flipped(v128.or(v128.xor(f.get(x), mask), f32x4.ne(f.get(x), f.get(x))));
}

/** The element that a key stands for, as its bits in 32; of a zero the sign is lost. */
export function bitsOfKey(f: FunctionBuilder, { dtype, direction }: KeyOrder, key: Expression): Expression {
  const { i32 } = f.module;
  const plain = direction === 'descending' ? i32.xor(key, f.i32(-1)) : key;
  if (!isFloat(dtype)) return isSigned(dtype) && dtype !== 'bool' ? i32.xor(plain, f.i32(signBit)) : plain;
  const bits = f.let('i32', plain);
  const mask = i32.or(i32.xor(i32.shr_s(f.get(bits), f.i32(31)), f.i32(-1)), f.i32(signBit));
  return i32.xor(f.get(bits), mask);
}

/** Copies an element from one address to another. */
export function copyElement(f: FunctionBuilder, dtype: DType, to: Expression, from: Expression): Expression {
  return storeBits(f, dtype, to, loadBits(f, dtype, from));
}

export function storeBits(f: FunctionBuilder, dtype: DType, to: Expression, bits: Expression): Expression {
  const { i32 } = f.module;
  const bytes = byteSize(dtype);
  if (bytes === 4) return i32.store(0, 4, to, bits);
  return bytes === 2 ? i32.store16(0, 2, to, bits) : i32.store8(0, 1, to, bits);
}
