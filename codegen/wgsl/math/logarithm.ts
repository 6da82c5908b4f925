/**
 * The natural logarithm and the logarithm of one plus the operand, after those of `codegen/wasm/math`, which explains
 * the formulas. The builtin `log` is no substitute: between 0.5 and 2 its error is 2^-21, whatever the result.
 */
import { ln2High, ln2Low, logTail, sqrtHalfBits } from '../../common/polynomials.ts';
import { infinityBits, magnitudeMask, nanOf, quietNan, signBit } from './basic.ts';
import { floatLiteral, functionTemplate, type Writer } from './writer.ts';

/** `k ln 2 + log(1 + f)`, 1 + f between sqrt(1/2) and sqrt(2). */
const assemble = functionTemplate(
  'log_of_parts',
  { k: 'f', f: 'f' },
  'f',
  (w) => `
    let s = f / (f + 2.0);
    let z = s * s;
    ${w.polynomial('tail', 'z', logTail)}
    let half_square = f * f * 0.5;
    let correction = fma(s, fma(z, tail, half_square), k * ${floatLiteral(ln2Low)});
    return fma(k, ${w.f(ln2High)}, f - (half_square - correction));`,
);

/**
 * Names `size` (float bits, positive) as `2^k (1 + f)`. A subnormal number is its bits times 2^-149, which needs no
 * arithmetic on subnormal numbers.
 */
export const splitNumber = (w: Writer, size: string): string => `
  let is_subnormal = ${size} < ${w.mask('u', 0x800000)};
  let normal = select(${size}, ${w.bits(`${w.F}(${size})`)}, is_subnormal);
  let scaled = ${w.signedBits('normal')} - ${w.mask('i', sqrtHalfBits)};
  let k = ${w.F}(scaled >> ${w.u(23)}) - select(${w.f(0)}, ${w.f(149)}, is_subnormal);
  let f = ${w.float(`(scaled & ${w.mask('i', 0x7fffff)}) + ${w.mask('i', sqrtHalfBits)}`)} - 1.0;`;

/** -inf at zeros of either sign, NaN below. */
export const log = functionTemplate(
  'log',
  { x: 'f' },
  'f',
  (w) => `
    let bits = ${w.bits('x')};
    ${splitNumber(w, 'bits')}
    var result = ${w.bits(w.call(assemble, 'k', 'f'))};
    result = select(result, ${w.special(quietNan)}, bits > ${w.mask('u', infinityBits)});
    result = select(result, ${w.special(infinityBits)}, bits == ${w.mask('u', infinityBits)});
    result = select(result, ${w.special(signBit + infinityBits)}, (bits & ${w.mask('u', magnitudeMask)}) == ${w.u(0)});
    return ${w.float('result')};`,
);

/**
 * `log(1 + x)`, accurate near 0; -0 stays -0. The exponent `k` comes from the rounded `1 + x`, but `f` from `x`
 * itself: `f = x 2^-k + (2^-k - 1)`. Where 1 + x is not positive, or so large that it is x, it is what counts.
 */
export const logPlusOne = functionTemplate(
  'log_plus_one',
  { x: 'f' },
  'f',
  (w) => `
    let sum = 1.0 + x;
    let bits = ${w.bits('sum')};
    let scaled = (${w.signedBits('sum')} - ${w.mask('i', sqrtHalfBits)}) >> ${w.u(23)};
    let power = ${w.float(`(${w.i(127)} - scaled) << ${w.u(23)}`)};
    let usual = ${w.call(assemble, `${w.F}(scaled)`, 'fma(x, power, power - 1.0)')};
    var result = select(usual, x, x == ${w.f(0)});
    let is_extreme = bits - ${w.u(1)} >= ${w.mask('u', 0x717fffff)};
    if (${w.any('is_extreme')}) {
      result = select(result, ${w.call(log, 'sum')}, is_extreme);
    }
    return ${w.call(nanOf, 'x', 'result')};`,
);
