/**
 * How reductions and scatters combine two elements, and what they start from.
 *
 *     combineFunction('sum', 'int32')(2147483647, 1)     // -2147483648
 *     identityOf('max', 'float32')                       // -Infinity
 */
import { type DType, integerRange, isFloat, isSigned } from '../../base/dtype.ts';
import type { ReduceKind, ScatterKind } from '../opcodes.ts';
import { scalarFunction } from './scalar.ts';

/** Kinds that combine two elements; `argmax` and `argmin` also need positions. */
export type CombineKind = Exclude<ReduceKind, 'argmax' | 'argmin'>;

const opcodes = { sum: 'add', product: 'multiply', max: 'maximum', min: 'minimum', and: 'and', or: 'or' } as const;

/** The elementwise op that combines two elements. */
export const combineOpcode = (kind: CombineKind): (typeof opcodes)[CombineKind] => opcodes[kind];

export const combineFunction = (kind: CombineKind, dtype: DType): ((a: number, b: number) => number) => {
  const f = scalarFunction(opcodes[kind], dtype);
  return (a, b) => f(a, b, 0);
};

/** The element that changes nothing: what a reduction over no elements gives. */
export function identityOf(kind: CombineKind, dtype: DType): number {
  switch (kind) {
    case 'sum':
    case 'or':
      return 0;
    case 'product':
      return 1;
    case 'and':
      return dtype === 'bool' ? 1 : isSigned(dtype) ? -1 : integerRange(dtype)[1];
    case 'max':
      return isFloat(dtype) ? -Infinity : integerRange(dtype)[0];
    case 'min':
      return isFloat(dtype) ? Infinity : integerRange(dtype)[1];
  }
}

const scatterKinds = { add: 'sum', multiply: 'product', max: 'max', min: 'min' } as const;

/** What a scatter puts where there was `before` and an update comes. */
export function scatterFunction(kind: ScatterKind, dtype: DType): (before: number, update: number) => number {
  return kind === 'assign' ? (_, update) => update : combineFunction(scatterKinds[kind], dtype);
}
