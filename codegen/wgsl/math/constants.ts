/**
 * Numbers as text. WGSL has no literals for NaN and infinities, and refuses constant expressions that give them; -0 is a
 * literal, but Tint takes it for 0. They are bits in private variables, which are no constants to it.
 */
import type { DType } from '../../../base/dtype.ts';
import { laneKind } from './convert.ts';
import type { Writer } from './writer.ts';

const special = {
  nan_bits: '0x7fc00000u',
  infinity_bits: '0x7f800000u',
  negative_infinity_bits: '0xff800000u',
  negative_zero_bits: '0x80000000u',
} as const;

function specialName(value: number): keyof typeof special | undefined {
  if (Number.isNaN(value)) return 'nan_bits';
  if (Object.is(value, -0)) return 'negative_zero_bits';
  if (Number.isFinite(value)) return undefined;
  return value > 0 ? 'infinity_bits' : 'negative_infinity_bits';
}

/** The text of a number of a dtype, in four lanes where the writer has four. */
export function constantOf(w: Writer, dtype: DType, value: number): string {
  const kind = laneKind(dtype);
  if (kind === 'b') return w.b(value !== 0);
  if (kind === 'i') return w.i(value);
  if (kind === 'u') return w.u(value);
  const rounded = Math.fround(value);
  const name = specialName(rounded);
  if (name === undefined) return w.f(rounded);
  w.context.helper(name, `var<private> ${name}: u32 = ${special[name]};`);
  const scalar = `bitcast<f32>(${name})`;
  return w.lanes === 1 ? scalar : `vec4f(${scalar})`;
}
