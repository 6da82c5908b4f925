/**
 * The remainder of a truncating division, exactly C `fmod`: `x - q y` with `q = x / y` rounded towards zero. The
 * result is exact and has the sign of x.
 *
 * In float64, as long as |q| < 2^28: the quotient of two 24-bit numbers is an integer or at least a relative 2^-52
 * away from the next, so that its truncation is right, and `q y` and the difference are exact. Lanes with larger
 * quotients are reduced one by one, 28 bits of the quotient at a time.
 */
import { signBit } from './basic.ts';
import { type Expression, type FunctionScope, type Helper, type Vector, VectorEmitter } from './emitter.ts';

/** Quotients below this are exact in one step. */
const largestQuotient = 2 ** 28;

/** Larger than any float32, and finite: stands for an infinite divisor, so that 0 times it is 0. */
const beyondFloat32 = 2 ** 200;

/** For two float64 lanes the quotient and the remainder by |y|. */
function remainderHalf(e: VectorEmitter, dividend: Vector, divisor: Vector): { quotient: Vector; rest: Vector } {
  const { f64 } = e;
  const x = e.let(dividend);
  const y = e.let(f64.pmin(divisor, f64.constant(beyondFloat32)));
  const quotient = e.let(f64.trunc(f64.div(x, y)));
  return { quotient, rest: f64.sub(x, f64.mul(quotient, y)) };
}

/** `fmod(x, y)`: NaN where y is 0 or x is infinite; x where y is infinite; a zero has the sign of x. */
export function remainder(e: VectorEmitter, dividend: Vector, divisor: Vector): Vector {
  const { f32, f64, i32 } = e;
  const x = e.let(dividend);
  const y = e.let(f32.abs(divisor));
  const low = remainderHalf(e, e.promoteLow(x), e.promoteLow(y));
  const high = remainderHalf(e, e.promoteHigh(x), e.promoteHigh(y));
  const rest = e.demote(low.rest, high.rest);
  const usual = e.let(e.or(rest, e.and(x, i32.constant(signBit))));
  const isLarge = (quotient: Vector) => f64.ge(f64.abs(quotient), f64.constant(largestQuotient));
  return e.callIfAny(e.or(isLarge(low.quotient), isLarge(high.quotient)), remainderLanes, [x, y], usual);
}

const remainderLanes: Helper = {
  name: 'math.remainder_lanes',
  parameters: ['v128', 'v128'],
  result: 'v128',
  build: (scope) => new VectorEmitter(scope).callEachLane(remainderScalar, scope.vector(0), scope.vector(1)).take(),
};

const remainderScalar: Helper = {
  name: 'math.remainder',
  parameters: ['f32', 'f32'],
  result: 'f32',
  build: remainderOfLane,
};

/** The scalar function; its second parameter is not negative. */
function remainderOfLane(scope: FunctionScope): Expression {
  const { binaryen, module } = scope;
  const { f32, f64, i32 } = module;
  const x = scope.letScalar('f64', f64.promote(f32.abs(scope.parameter(0))));
  const y = scope.letScalar('f64', f64.min(f64.promote(scope.parameter(1)), f64.const(beyondFloat32)));
  const rest = scope.newLocal(binaryen.f64);
  const scaled = scope.newLocal(binaryen.f64);
  const get = (local: number) => module.local.get(local, binaryen.f64);
  // The power of 2^28 times y that leaves a quotient below 2^28.
  const grow = scope.block(() => {
    const next = f64.mul(get(scaled), f64.const(largestQuotient));
    scope.statement(module.br('grown', f64.gt(next, get(rest))));
    scope.statement(module.local.set(scaled, f64.mul(get(scaled), f64.const(largestQuotient))));
    scope.statement(module.br('grow'));
  });
  const reduce = scope.block(() => {
    const quotient = f64.trunc(f64.div(get(rest), get(scaled)));
    scope.statement(module.local.set(rest, f64.sub(get(rest), f64.mul(quotient, get(scaled)))));
    scope.statement(module.br('reduced', f64.eq(get(scaled), y())));
    scope.statement(module.local.set(scaled, f64.mul(get(scaled), f64.const(1 / largestQuotient))));
    scope.statement(module.br('reduce'));
  });
  const divide = scope.block(() => {
    scope.statement(module.local.set(rest, x()));
    scope.statement(module.local.set(scaled, y()));
    scope.statement(module.block('grown', [module.loop('grow', grow)]));
    scope.statement(module.block('reduced', [module.loop('reduce', reduce)]));
  });
  const isDefined = i32.and(f64.lt(x(), f64.const(Number.POSITIVE_INFINITY)), f64.gt(y(), f64.const(0)));
  scope.statement(module.if(isDefined, divide, module.local.set(rest, f64.const(Number.NaN))));
  return f32.copysign(f32.demote(get(rest)), scope.parameter(0));
}
