/**
 * Scalar factors of arrays: what products of matrices pass on to their operands or results.
 *
 *     multiply(%x, broadcast_in_dim(%s: f32[]))      scalar %s, array %x
 */
import type { OpOf, Value } from '../../ir/types.ts';
import type { Rewriter } from '../rewrite.ts';
import { broadcastTo } from '../rewrite-emit.ts';

/** A scalar that an array is multiplied by, and the array; `undefined` where no operand is a repeated scalar. */
export function scalarFactorOf(
  rewriter: Rewriter,
  { operands }: OpOf<'multiply'>,
): { readonly scalar: Value; readonly array: Value } | undefined {
  for (const [at, operand] of operands.entries()) {
    const scalar = rewriter.definedBy(operand, 'broadcast_in_dim')?.operands[0];
    if (scalar?.type.shape.length === 0) return { scalar, array: operands[1 - at] };
  }
  return undefined;
}

/** An array times a scalar. */
export const scaleBy = (rewriter: Rewriter, array: Value, scalar: Value): Value =>
  rewriter.op('multiply', [array, broadcastTo(rewriter, scalar, array.type.shape, [])]);
