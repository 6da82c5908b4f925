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
  const { f64, f32 } = module;
  const x = scope.letScalar('f64', f64.promote(f32.abs(scope.parameter(0))));
  const y = scope.letScalar('f64', f64.promote(scope.parameter(1)));
  const rest = scope.newLocal(binaryen.f64);
  const scaled = scope.newLocal(binaryen.f64);
  const get = (local: number) => module.local.get(local, binaryen.f64);
  const step = f64.const(largestQuotient);
  // y times the power of 2^28 that leaves a quotient below 2^28; y = 0 and infinities do not enter.
  const grow = scope.block(() => {
    const next = f64.mul(get(scaled), f64.const(largestQuotient));
    scope.statement(module.br('grown', f64.gt(next, get(rest))));
    scope.statement(module.local.set(scaled, f64.mul(get(scaled), step)));
    scope.statement(module.br('grow'));
  });
  const reduce = scope.block(() => {
    const quotient = f64.trunc(f64.div(get(rest), get(scaled)));
    scope.statement(module.local.set(rest, f64.sub(get(rest), f64.mul(quotient, get(scaled)))));
    scope.statement(module.br('reduced', f64.eq(get(scaled), y())));
    scope.statement(module.local.set(scaled, f64.mul(get(scaled), f64.const(1 / largestQuotient))));
    scope.statement(module.br('reduce'));
  });
  const isPlain = module.i32.and(
    f64.lt(x(), f64.const(Number.POSITIVE_INFINITY)),
    module.i32.and(f64.gt(y(), f64.const(0)), f64.lt(y(), f64.const(Number.POSITIVE_INFINITY))),
  );
  const loops = scope.block(() => {
    scope.statement(module.local.set(scaled, y()));
    scope.statement(module.block('grown', [module.loop('grow', grow)]));
    scope.statement(module.block('reduced', [module.loop('reduce', reduce)]));
  });
  scope.statement(module.local.set(rest, x()));
  // Otherwise x itself for an infinite y, or NaN: x - x is NaN for an infinite x, 0 / 0 for y = 0.
  const infiniteDivisor = f64.eq(y(), f64.const(Number.POSITIVE_INFINITY));
  const invalid = f64.div(f64.sub(x(), x()), y());
  const unusual = module.if(
    module.i32.and(infiniteDivisor, f64.lt(x(), f64.const(Number.POSITIVE_INFINITY))),
    module.nop(),
    module.local.set(rest, invalid),
  );
  scope.statement(module.if(isPlain, loops, unusual));
  return f32.copysign(f32.demote(get(rest)), scope.parameter(0));
}
