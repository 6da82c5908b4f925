/**
 * Multiply and add, with the fused instructions of relaxed SIMD where a scope says so: code of `fast` precision alone,
 * for they leave other last bits. Binaryen has these instructions in its C interface only.
 *
 *     mulAdd(scope, 'f32x4', a, b, c)       // a * b + c: (f32x4.relaxed_madd a b c), or (f32x4.add (f32x4.mul a b) c)
 */
import type { Binaryen, Expression, Module } from './vector.ts';

interface FusedScope {
  readonly binaryen: Binaryen;
  readonly module: Module;
  readonly isFused?: boolean;
}

/** The part of Binaryen's C interface that its declarations leave out. */
interface CInterface {
  _BinaryenSIMDTernary(module: number, op: number, a: Expression, b: Expression, c: Expression): Expression;
  readonly RelaxedNmaddVecF32x4: number;
  readonly RelaxedNmaddVecF64x2: number;
}

type MulAdd = (scope: FusedScope, lanes: 'f32x4' | 'f64x2', a: Expression, b: Expression, c: Expression) => Expression;

/** `a * b + c`, fused where the scope is. */
export const mulAdd: MulAdd = ({ binaryen, module, isFused }, lanes, a, b, c) => {
  if (!isFused) return module[lanes].add(module[lanes].mul(a, b), c);
  const op = lanes === 'f32x4' ? binaryen.RelaxedMaddVecF32x4 : binaryen.RelaxedMaddVecF64x2;
  return ternary(binaryen, module, op, a, b, c);
};

/** `c - a * b`, likewise. */
export const mulSubFrom: MulAdd = ({ binaryen, module, isFused }, lanes, a, b, c) => {
  if (!isFused) return module[lanes].sub(c, module[lanes].mul(a, b));
  const { RelaxedNmaddVecF32x4, RelaxedNmaddVecF64x2 } = binaryen as unknown as CInterface;
  return ternary(binaryen, module, lanes === 'f32x4' ? RelaxedNmaddVecF32x4 : RelaxedNmaddVecF64x2, a, b, c);
};

function ternary(binaryen: Binaryen, module: Module, op: number, a: Expression, b: Expression, c: Expression) {
  return (binaryen as unknown as CInterface)._BinaryenSIMDTernary(module.ptr, op, a, b, c);
}
