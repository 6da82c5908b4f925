/**
 * Relaxed SIMD, which Binaryen's own namespace does not name: its functions for C take a module's number.
 */
import type { FunctionBuilder } from './function-builder.ts';
import type { Expression } from './math/emitter.ts';

interface RelaxedOperations {
  _BinaryenRelaxedMaddVecF32x4(): number;
  _BinaryenSIMDTernary(module: number, operation: number, a: Expression, b: Expression, c: Expression): Expression;
}

/** `a * b + c` of four float32, rounded once on engines that fuse. Only where `mayFuse`. */
export function relaxedMadd(
  { binaryen, module }: FunctionBuilder,
  a: Expression,
  b: Expression,
  c: Expression,
): Expression {
  const operations = binaryen as unknown as RelaxedOperations;
  const { ptr } = module as unknown as { readonly ptr: number };
  return operations._BinaryenSIMDTernary(ptr, operations._BinaryenRelaxedMaddVecF32x4(), a, b, c);
}
