/**
 * Integer functions on scalars, for what 128-bit SIMD has no instruction for. None traps: division by zero gives all
 * ones, the remainder by zero the dividend, the least int32 by -1 itself.
 */
import type { FunctionScope, Helper } from './math/emitter.ts';

type Build = Helper['build'];

const pair = (name: string, build: Build): Helper => ({ name, parameters: ['i32', 'i32'], result: 'i32', build });

const isZero = (s: FunctionScope): number => s.module.i32.eqz(s.parameter(1));

/** The divisor, or 1 where dividing would trap. */
function safeDivisor(s: FunctionScope, signed: boolean): number {
  const { i32 } = s.module;
  const one = i32.const(1);
  if (!signed) return s.module.select(isZero(s), one, s.parameter(1));
  const overflows = i32.and(i32.eq(s.parameter(0), i32.const(-(2 ** 31))), i32.eq(s.parameter(1), i32.const(-1)));
  return s.module.select(i32.or(isZero(s), overflows), one, s.parameter(1));
}

const divide =
  (signed: boolean): Build =>
  (s) => {
    const { i32 } = s.module;
    const quotient = i32[signed ? 'div_s' : 'div_u'](s.parameter(0), safeDivisor(s, signed));
    return s.module.select(isZero(s), i32.const(-1), quotient);
  };

const remainder =
  (signed: boolean): Build =>
  (s) => {
    const { i32 } = s.module;
    const safe = s.module.select(isZero(s), i32.const(1), s.parameter(1));
    return s.module.select(isZero(s), s.parameter(0), i32[signed ? 'rem_s' : 'rem_u'](s.parameter(0), safe));
  };

/** By squaring, modulo 2^32. A negative exponent gives 0, for the bases 1 and -1 their power. */
const power =
  (signed: boolean): Build =>
  (s) => {
    const { binaryen, module } = s;
    const { i32, local } = module;
    const [result, square, rest] = [0, 1, 2].map(() => s.newLocal(binaryen.i32));
    const get = (index: number): number => local.get(index, binaryen.i32);
    s.statement(local.set(result, i32.const(1)));
    s.statement(local.set(square, s.parameter(0)));
    s.statement(local.set(rest, s.parameter(1)));
    const round = s.block(() => {
      s.statement(module.if(i32.and(get(rest), i32.const(1)), local.set(result, i32.mul(get(result), get(square)))));
      s.statement(local.set(square, i32.mul(get(square), get(square))));
      s.statement(local.set(rest, i32.shr_u(get(rest), i32.const(1))));
      s.statement(module.br('next'));
    });
    const body = module.if(get(rest), round);
    s.statement(module.loop('next', body));
    if (!signed) return get(result);
    const alternating = module.select(i32.and(s.parameter(1), i32.const(1)), i32.const(-1), i32.const(1));
    const ofUnit = module.select(
      i32.eq(s.parameter(0), i32.const(1)),
      i32.const(1),
      module.select(i32.eq(s.parameter(0), i32.const(-1)), alternating, i32.const(0)),
    );
    return module.select(i32.lt_s(s.parameter(1), i32.const(0)), ofUnit, get(result));
  };

const shift =
  (name: 'shl' | 'shr_s' | 'shr_u'): Build =>
  (s) => {
    const { i32 } = s.module;
    const inDomain = i32.lt_u(s.parameter(1), i32.const(32));
    if (name === 'shr_s') return i32.shr_s(s.parameter(0), s.module.select(inDomain, s.parameter(1), i32.const(31)));
    return s.module.select(inDomain, i32[name](s.parameter(0), s.parameter(1)), i32.const(0));
  };

export const integerHelpers = {
  divide_signed: pair('divide_signed', divide(true)),
  divide_unsigned: pair('divide_unsigned', divide(false)),
  remainder_signed: pair('remainder_signed', remainder(true)),
  remainder_unsigned: pair('remainder_unsigned', remainder(false)),
  power_signed: pair('power_signed', power(true)),
  power_unsigned: pair('power_unsigned', power(false)),
  shl: pair('shift_left', shift('shl')),
  shr_s: pair('shift_right_arithmetic', shift('shr_s')),
  shr_u: pair('shift_right_logical', shift('shr_u')),
} as const;
