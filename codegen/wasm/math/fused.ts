/**
 * Fused multiply-add of relaxed SIMD. The engine may round the product or not, the same way in all code on one machine:
 * code that uses it is for `fast` precision alone. Binaryen has these instructions in its C interface only.
 *
 *     fusedMulAdd(scope, 'f32x4', a, b, c)       // (f32x4.relaxed_madd a b c): a * b + c
 */
import type { Binaryen, Expression, Module, TernaryLanes } from './vector.ts';

interface FusedScope {
  readonly binaryen: Binaryen;
  readonly module: Module;
}

/** The part of Binaryen's C interface that its declarations leave out. */
interface CInterface {
  _BinaryenSIMDTernary(module: number, op: number, a: Expression, b: Expression, c: Expression): Expression;
  readonly RelaxedNmaddVecF32x4: number;
  readonly RelaxedNmaddVecF64x2: number;
}

type Fused = (scope: FusedScope, ...operands: Parameters<TernaryLanes>) => Expression;

/** `a * b + c`. */
export const fusedMulAdd: Fused = ({ binaryen, module }, lanes, a, b, c) => {
  const op = lanes === 'f32x4' ? binaryen.RelaxedMaddVecF32x4 : binaryen.RelaxedMaddVecF64x2;
  return ternary(binaryen, module, op, a, b, c);
};

/** `c - a * b`. */
export const fusedMulSubFrom: Fused = ({ binaryen, module }, lanes, a, b, c) => {
  const { RelaxedNmaddVecF32x4, RelaxedNmaddVecF64x2 } = binaryen as unknown as CInterface;
  return ternary(binaryen, module, lanes === 'f32x4' ? RelaxedNmaddVecF32x4 : RelaxedNmaddVecF64x2, a, b, c);
};

function ternary(binaryen: Binaryen, module: Module, op: number, a: Expression, b: Expression, c: Expression) {
  return (binaryen as unknown as CInterface)._BinaryenSIMDTernary(module.ptr, op, a, b, c);
}
