/**
 * Numbers as text. WGSL has no literals for NaN and infinities, and refuses constant expressions that give them; -0 is a
 * literal, but Tint takes it for 0. They are bits that are no constants to it.
 */
import type { DType } from '../../../base/dtype.ts';
import { infinityBits, quietNan, signBit } from './basic.ts';
import { laneKind } from './convert.ts';
import type { Writer } from './writer.ts';

/** The bits of a float32 that has no literal. */
function specialBits(value: number): number | undefined {
  if (Number.isNaN(value)) return quietNan;
  if (Object.is(value, -0)) return signBit;
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? infinityBits : signBit + infinityBits;
}

/** The text of a number of a dtype, in four lanes where the writer has four. */
export function constantOf(w: Writer, dtype: DType, value: number): string {
  const kind = laneKind(dtype);
  if (kind === 'b') return w.b(value !== 0);
  if (kind === 'i') return w.i(value);
  if (kind === 'u') return w.u(value);
  const rounded = Math.fround(value);
  const bits = specialBits(rounded);
  return bits === undefined ? w.f(rounded) : w.float(w.special(bits));
}
