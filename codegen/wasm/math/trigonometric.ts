/**
 * Sine and cosine.
 *
 * Both write `x = n pi/2 + r` with an integer `n` and |r| <= pi/4; n mod 4 says whether the result is the sine or the
 * cosine of r, and its sign. Up to 2^22 the reduction is done in float64 with pi/2 in two parts (Cody and Waite, the
 * first so short that its products with `n` are exact), which leaves `r` correctly rounded in practice. Lanes beyond
 * go one by one through the reduction of Payne and Hanek ("Radian reduction for trigonometric functions", 1983): the
 * product of the 24-bit significand with just those bits of 2/pi that matter, in integers, exact for every float32.
 *
 * The polynomials are minimax fits of the relative error (Remez exchange).
 */
import { quarterCosine, quarterSineTail } from '../../common/polynomials.ts';
import { roundingShift64, signBit } from './basic.ts';
import {
  type Expression,
  type FunctionScope,
  type Helper,
  type Module,
  polynomial,
  type Vector,
  VectorEmitter,
} from './emitter.ts';

/** pi/2 to 30 bits, and the rest as a float64. */
const halfPiHigh = 1.570796325802803;
const halfPiLow = 9.920935796805404e-10;

/** The largest magnitude that the float64 reduction takes. */
const largestModerate = 2 ** 22;

/** The same for float64: sin(r) / r to 2^-37.7, cos(r) to 2^-34.2. */
const sineOverR64 = [
  0.9999999999956385, -0.16666666631355298, 0.008333328758791676, -0.00019839194898890877, 2.7172769139229443e-6,
];
const cosine64 = [
  0.9999999999521265, -0.49999999612358115, 0.04166661643998793, -0.0013886610159720742, 2.4379091595308098e-5,
];

/** sin(x + quarterTurns * pi/2). */
function sineShifted(e: VectorEmitter, operand: Vector, quarterTurns: 0 | 1): Vector {
  const { f32, i32 } = e;
  const x = e.let(operand);
  const size = e.let(e.andNot(x, i32.constant(signBit)));
  const low = reduceHalf(e, e.promoteLow(size));
  const high = reduceHalf(e, e.promoteHigh(size));
  const r = e.let(e.demote(low.r, high.r));
  const n = e.narrow(low.shifted, high.shifted);
  const quadrant = e.let(quarterTurns === 0 ? n : i32.add(n, i32.constant(quarterTurns)));
  const z = e.let(f32.mul(r, r));
  const sine = f32.mulAdd(f32.mul(r, z), polynomial(f32, z, quarterSineTail), r);
  const cosine = polynomial(f32, z, quarterCosine);
  const isOdd = i32.shrSigned(i32.shl(quadrant, 31), 31);
  const turned = i32.shl(quadrant, 30);
  // The sine is odd, the cosine even; without its sign a zero has no sign to lose on the way.
  const sign = e.and(quarterTurns === 0 ? e.xor(turned, x) : turned, i32.constant(signBit));
  const usual = e.let(e.xor(e.select(isOdd, cosine, sine), sign));
  const isLarge = f32.gt(size, f32.constant(largestModerate));
  return e.callIfAny(isLarge, quarterTurns === 0 ? sineLanes : cosineLanes, [x, usual], usual);
}

/** -0 stays -0; infinities give NaN. */
export function sine(e: VectorEmitter, x: Vector): Vector {
  return sineShifted(e, x, 0);
}

/** Infinities give NaN. */
export function cosine(e: VectorEmitter, x: Vector): Vector {
  return sineShifted(e, x, 1);
}

/** For two float64 lanes, `n` in the low bits of `shifted`, and `r`. */
function reduceHalf(e: VectorEmitter, half: Vector): { shifted: Vector; r: Vector } {
  const { f64 } = e;
  const x = e.let(half);
  const shifted = e.let(f64.mulAdd(x, f64.constant(2 / Math.PI), f64.constant(roundingShift64)));
  const n = e.let(f64.sub(shifted, f64.constant(roundingShift64)));
  const high = f64.mulAdd(n, f64.constant(-halfPiHigh), x);
  return { shifted, r: f64.mulAdd(n, f64.constant(-halfPiLow), high) };
}

/** Keeps the lanes of moderate size as they are and computes the large ones one by one. */
function largeLanes(name: string, oneLane: Helper): Helper {
  return {
    name,
    parameters: ['v128', 'v128'],
    result: 'v128',
    build(scope) {
      const e = new VectorEmitter(scope);
      const x = scope.vector(0);
      const isLarge = e.f32.gt(e.f32.abs(x), e.f32.constant(largestModerate));
      return e.select(isLarge, e.callEachLane(oneLane, x), scope.vector(1)).take();
    },
  };
}

const sineLanes = largeLanes('math.sine_lanes', {
  name: 'math.sine_large',
  parameters: ['f32'],
  result: 'f32',
  build: (scope) => sineOfLarge(scope, 0),
});

const cosineLanes = largeLanes('math.cosine_lanes', {
  name: 'math.cosine_large',
  parameters: ['f32'],
  result: 'f32',
  build: (scope) => sineOfLarge(scope, 1),
});

/**
 * The binary digits of 2/pi, three zeros in front: bit 0 of this string has the weight 2^2. A float32 beyond 2^22 is
 * `m 2^e` with 24 bits of `m` and -1 <= e <= 104. Times 2/pi, modulo 4, it depends on the bits from bit `e + 1` on; 96
 * of them give it to 2^-62. The distance to the next integer is never below 2^-29.9 (at 16367173 * 2^72, found by
 * trying all of them), so that the reduced argument has a relative error below 2^-32.
 */
const twoOverPi = [0x145f306dc9c882a5n, 0x3f84eafa3ea69bb8n, 0x1b6c52b327887208n, 0x3fca2c757bd778acn];

/** The scalar function for |x| > 2^22: a float64 polynomial of the exactly reduced argument. */
function sineOfLarge(scope: FunctionScope, quarterTurns: 0 | 1): Expression {
  const { module } = scope;
  const { i32, i64, f32, f64 } = module;
  const long = (value: bigint) => i64.const(BigInt.asIntN(64, value));
  const bits = scope.letScalar('i32', i32.reinterpret(scope.parameter(0)));
  const magnitude = scope.letScalar('i32', i32.and(bits(), i32.const(0x7fffffff)));
  const significand = scope.letScalar(
    'i64',
    i64.extend_u(i32.or(i32.and(bits(), i32.const(0x7fffff)), i32.const(0x800000))),
  );
  const begin = scope.letScalar('i32', i32.sub(i32.shr_u(magnitude(), i32.const(23)), i32.const(149)));
  const shift = scope.letScalar('i64', i64.extend_u(i32.and(begin(), i32.const(63))));
  // The three words from the one that holds the first bit, then 128 bits from that bit on.
  const isSecond = () => i32.ge_u(begin(), i32.const(64));
  const word = (index: number) => module.select(isSecond(), long(twoOverPi[index + 1]), long(twoOverPi[index]));
  const middle = scope.letScalar('i64', word(1));
  const joined = (first: Expression, second: Expression) =>
    i64.or(i64.shl(first, shift()), i64.shr_u(i64.shr_u(second, i64.const(1n)), i64.sub(i64.const(63n), shift())));
  const upper = joined(word(0), middle());
  const lower = i64.shr_u(joined(middle(), word(2)), i64.const(32n));
  // x 2/pi modulo 4, in units of 2^-62, with the sign of x.
  const product = i64.add(i64.mul(significand(), upper), i64.shr_u(i64.mul(significand(), lower), i64.const(32n)));
  const positive = scope.letScalar('i64', product);
  const turns = scope.letScalar(
    'i64',
    module.select(i32.lt_s(bits(), i32.const(0)), i64.sub(i64.const(0n), positive()), positive()),
  );
  const rounded = i64.shr_u(i64.add(turns(), i64.const(1n << 61n)), i64.const(62n));
  const quadrant = scope.letScalar('i32', i32.add(i32.wrap(rounded), i32.const(quarterTurns)));
  const fraction = i64.shr_s(i64.shl(turns(), i64.const(2n)), i64.const(2n));
  const r = scope.letScalar('f64', f64.mul(f64.convert_s.i64(fraction), f64.const((Math.PI / 2) * 2 ** -62)));
  const z = scope.letScalar('f64', f64.mul(r(), r()));
  const sine = f64.mul(r(), scalarPolynomial(module, z, sineOverR64));
  const chosen = scope.letScalar(
    'f64',
    module.select(i32.and(quadrant(), i32.const(1)), scalarPolynomial(module, z, cosine64), sine),
  );
  const signed = module.select(i32.and(quadrant(), i32.const(2)), f64.neg(chosen()), chosen());
  const inDomain = i32.lt_u(magnitude(), i32.const(0x7f800000));
  return module.select(inDomain, f32.demote(signed), f32.const(Number.NaN));
}

function scalarPolynomial(module: Module, x: () => Expression, coefficients: readonly number[]): Expression {
  const { f64 } = module;
  let sum = f64.const(coefficients[coefficients.length - 1]);
  for (let i = coefficients.length - 2; i >= 0; i--) sum = f64.add(f64.mul(sum, x()), f64.const(coefficients[i]));
  return sum;
}
