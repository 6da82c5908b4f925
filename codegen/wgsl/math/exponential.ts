/**
 * The exponential, the exponential minus one, the hyperbolic tangent and the error function, after those of
 * `codegen/wasm/math`, which explains the formulas. Results below the smallest normal number are 0.
 */
import {
  erfExponentTail,
  erfMinusOneTail,
  exponentialTail,
  ln2High,
  ln2Low,
  minusOneTail,
  tanhOverW,
} from '../../common/polynomials.ts';
import { infinityBits, nanOf, oddOf } from './basic.ts';
import { floatLiteral, functionTemplate, type Writer } from './writer.ts';

/**
 * The bits of a number times 2^n hold n times 2^23 more than its own. Adding 1.5 * 2^23 to a small integer leaves it in
 * the low bits of the sum, the others being even: cheaper than a conversion, which WGSL guards against large numbers.
 */
const exponentBits = (w: Writer, n: string): string =>
  `(${w.bits(`${n} + ${floatLiteral(1.5 * 2 ** 23)}`)} << ${w.u(23)})`;

/** The last float32 whose exponential is finite, and the first whose exponential is a normal number. */
const lastFinite = 88.72283172607422;
const firstNormal = -87.33654022216797;

/** Names `x = n ln 2 + r`. */
const reduce = (w: Writer, x: string): string => `
  let n = round(${x} * ${floatLiteral(Math.LOG2E)});
  let r = fma(n, ${w.f(-ln2Low)}, fma(n, ${w.f(-ln2High)}, ${x}));`;

/** `e^x = 2^n e^r`, where `2^n` is added to the exponent. */
export const exponential = functionTemplate(
  'exponential',
  { x: 'f' },
  'f',
  (w) => `
    ${reduce(w, 'x')}
    ${w.polynomial('tail', 'r', exponentialTail)}
    let root = fma(r * r, tail, r) + 1.0;
    var bits = ${w.bits('root')} + ${exponentBits(w, 'n')};
    bits = select(bits, ${w.u(0)}, x < ${w.f(firstNormal)});
    bits = select(bits, ${w.special(infinityBits)}, x > ${w.f(lastFinite)});
    return ${w.call(nanOf, 'x', w.float('bits'))};`,
);

/** The builtin exponential, whose error is `3 + 2|x|` ULP and which need not heed NaN. */
export const builtinExponential = functionTemplate(
  'fast_exponential',
  { x: 'f' },
  'f',
  (w) => `return ${w.call(nanOf, 'x', 'exp(x)')};`,
);

/** `e^x - 1`, accurate near 0; -0 stays -0. With `s = 2^(n - 1)`, which is finite for n = 128 too. */
export const exponentialMinusOne = functionTemplate(
  'exponential_minus_one',
  { operand: 'f' },
  'f',
  (w) => `
    let x = clamp(operand, ${w.f(-18)}, ${w.f(89)});
    ${reduce(w, 'x')}
    ${w.polynomial('tail', 'r', minusOneTail)}
    let q = fma(r * r, tail, r);
    let s = ${w.float(`${exponentBits(w, 'n')} + ${w.mask('u', 126 << 23)}`)};
    let rest = s - 0.5;
    let result = fma(s, q + q, rest) + rest;
    let is_zero = operand == ${w.f(0)};
    return ${w.call(nanOf, 'operand', 'select(result, operand, is_zero)')};`,
);

/** From here on the hyperbolic tangent rounds to 1. */
const tanhSaturation = 9.02;

/** By `2x = n ln 2 + 2w`, `t = tanh(w)`: `(2^n - 1 + t (2^n + 1)) / (2^n + 1 + t (2^n - 1))`; -0 stays -0. */
export const tanh = functionTemplate(
  'tanh',
  { operand: 'f' },
  'f',
  (w) => `
    let x = min(abs(operand), ${w.f(tanhSaturation)});
    let n = round(x * ${floatLiteral(2 * Math.LOG2E)});
    let w = fma(n, ${w.f(-Math.LN2 / 2)}, x);
    let square = w * w;
    ${w.polynomial('t', 'square', tanhOverW)}
    t *= w;
    let power = ${w.float(`${exponentBits(w, 'n')} + ${w.mask('u', 127 << 23)}`)};
    let below = power - 1.0;
    let above = power + 1.0;
    return ${w.call(oddOf, 'operand', 'fma(t, above, below) / fma(t, below, above)')};`,
);

/** Below this the error function is its slope at 0 times x; terms that might be subnormal do not count. */
const linear = 2 ** -13;
const slopeAtZero = 2 / Math.sqrt(Math.PI);

/** From here on the error function rounds to 1. */
const erfSaturation = 3.95;

/** -0 stays -0. */
export const erf = functionTemplate(
  'erf',
  { operand: 'f' },
  'f',
  (w) => `
    let x = min(abs(operand), ${w.f(erfSaturation)});
    ${w.polynomial('q', 'x', erfExponentTail)}
    q = fma(x, q, x);
    let n = round(q * ${floatLiteral(Math.LOG2E)});
    let r = fma(n, ${w.f(Math.LN2)}, -q);
    ${w.polynomial('tail', 'r', erfMinusOneTail)}
    let minus_one = fma(r * r, tail, r);
    let power = ${w.float(`${w.mask('u', 127 << 23)} - ${exponentBits(w, 'n')}`)};
    let result = fma(-power, minus_one, 1.0 - power);
    let is_linear = x < ${w.f(linear)};
    return ${w.call(oddOf, 'operand', `select(result, x * ${floatLiteral(slopeAtZero)}, is_linear)`)};`,
);
