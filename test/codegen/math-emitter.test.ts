import binaryen from 'binaryen';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMemory, instantiate } from '../../bench/instantiate.ts';
import { ulpError } from '../../bench/math-reference.ts';
import {
  callHelper,
  FunctionScope,
  type Helper,
  type Module,
  once,
  polynomial,
  type Vector,
  VectorEmitter,
} from '../../codegen/wasm/math/emitter.ts';
import { maximumOfConstant, minimumOfConstant, vectorMath } from '../../codegen/wasm/math/index.ts';
import { buildMap } from '../../codegen/wasm/math/map.ts';

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** Runs a vector function on four or more numbers. */
function map(f: Parameters<typeof buildMap>[1], x: readonly number[], y: readonly number[] = x): number[] {
  const memory = createMemory(1);
  new Float32Array(memory.buffer, 0, x.length).set(x);
  new Float32Array(memory.buffer, 4096, y.length).set(y);
  instantiate(buildMap(binaryen, f), memory).map(0, 4096, 8192, 16 * Math.ceil(x.length / 4));
  return [...new Float32Array(memory.buffer, 8192, x.length)];
}

describe('vectors', () => {
  it('that are used twice without a name are refused', () => {
    const twice = (e: VectorEmitter, x: Vector): Vector => {
      const sum = e.f32.add(x, x);
      return e.f32.mul(sum, sum);
    };
    expect(() => buildMap(binaryen, twice)).toThrow(/used twice/);
  });

  it('with a name are computed once and may be used again', () => {
    const square = (e: VectorEmitter, x: Vector): Vector => {
      const sum = e.let(e.f32.add(x, e.f32.constant(1)));
      expect(e.let(sum)).toBe(sum);
      return e.f32.mul(sum, sum);
    };
    expect(map(square, [0, 1, 2, -3])).toEqual([1, 4, 9, 4]);
  });

  it('move between float32, float64 and integers lane by lane', () => {
    const doubled = (e: VectorEmitter, x: Vector): Vector => {
      const [low, high] = [e.promoteLow(x), e.promoteHigh(x)];
      return e.demote(e.f64.mul(low, e.f64.constant(2)), e.f64.mul(high, e.f64.constant(2)));
    };
    expect(map(doubled, [1, 2, 3, -0.25])).toEqual([2, 4, 6, -0.5]);
    const exponents = (e: VectorEmitter, x: Vector): Vector =>
      e.toFloat(e.i32.sub(e.i32.shrUnsigned(x, 23), e.i32.constant(127)));
    expect(map(exponents, [1, 2, 3, 0.25])).toEqual([0, 1, 1, -2]);
    const reversed = (e: VectorEmitter, x: Vector): Vector => e.shuffleWords(x, [3, 2, 1, 0]);
    expect(map(reversed, [1, 2, 3, 4])).toEqual([4, 3, 2, 1]);
  });

  it('are chosen by masks', () => {
    const clampNegative = (e: VectorEmitter, x: Vector): Vector =>
      e.select(e.f32.lt(x, e.f32.constant(0)), e.f32.constant(-1), x);
    expect(map(clampNegative, [5, -5, -0, nan])).toEqual([5, -1, -0, nan]);
  });
});

describe('polynomial', () => {
  it('takes coefficients from the constant term up', () => {
    expect(map((e, x) => polynomial(e.f32, x, [1, 2, 3]), [0, 1, 2, -1])).toEqual([1, 6, 17, 2]);
    expect(map((e, x) => polynomial(e.f32, x, [7]), [0, 1, 2, -1])).toEqual([7, 7, 7, 7]);
  });
});

describe('helpers', () => {
  let module: Module;
  beforeEach(() => {
    module = new binaryen.Module();
    module.setFeatures(binaryen.Features.SIMD128);
  });
  afterEach(() => module.dispose());

  it('are added to a module when first called, once', () => {
    let built = 0;
    const helper: Helper = {
      name: 'half',
      parameters: ['f32'],
      result: 'f32',
      build(scope) {
        built++;
        return scope.module.f32.mul(scope.parameter(0), scope.module.f32.const(0.5));
      },
    };
    const scope = new FunctionScope({ binaryen, module }, ['v128']);
    const e = new VectorEmitter(scope);
    expect(module.getNumFunctions()).toBe(0);
    scope.finish('halves', 'v128', e.callEachLane(helper, scope.vector(0)).take());
    expect(built).toBe(1);
    expect(module.getNumFunctions()).toBe(2);
    const other = new FunctionScope({ binaryen, module }, ['f32']);
    other.finish('again', 'f32', callHelper(other, helper, [other.parameter(0)]));
    expect(built).toBe(1);
    expect(module.validate()).toBe(1);
  });

  it('on the rare path see all lanes and run only when a lane asks', () => {
    const negateAll: Helper = {
      name: 'negate_all',
      parameters: ['v128'],
      result: 'v128',
      build: (scope) => new VectorEmitter(scope).f32.neg(scope.vector(0)).take(),
    };
    const f = (e: VectorEmitter, x: Vector): Vector => e.callIfAny(e.f32.gt(x, e.f32.constant(100)), negateAll, [x], x);
    expect(map(f, [1, 2, 3, 4, 1, 2, 3, 101])).toEqual([1, 2, 3, 4, -1, -2, -3, -101]);
  });
});

describe('a scope', () => {
  it('may fuse multiplications and additions, in helpers too', () => {
    const module = new binaryen.Module();
    module.setFeatures(binaryen.Features.SIMD128 | binaryen.Features.RelaxedSIMD);
    const scope = new FunctionScope({ binaryen, module, isFused: true }, ['v128', 'v128']);
    const e = new VectorEmitter(scope);
    const outside = once(e.f32.mulAdd(scope.vector(0), scope.vector(0), scope.vector(1)).take());
    scope.finish('f', 'v128', e.f32.add(outside, vectorMath.log(e, scope.vector(0))).take());
    // Four in the logarithm, which is built twice: in the function itself, and in the helper for the rare path.
    expect(module.emitText().match(/relaxed_madd/g)).toHaveLength(1 + 2 * 4);
    expect(module.validate()).toBe(1);
    module.dispose();
  });

  it('sets constants once, before loops', () => {
    const module = new binaryen.Module();
    module.setFeatures(binaryen.Features.SIMD128);
    const scope = new FunctionScope({ binaryen, module }, ['v128']);
    scope.finish('f', 'v128', vectorMath.tanh(new VectorEmitter(scope), scope.vector(0)).take());
    const constants = module.emitText().match(/v128\.const i32x4 [^)]*/g) ?? [];
    expect(new Set(constants).size).toBe(constants.length);
    module.dispose();
  });
});

describe('maximum and minimum with a known number', () => {
  it('are those of the instructions, zeros and NaN included', () => {
    const numbers = [0, -0, 1, -1, 2.5, -2.5, inf, -inf];
    const x = [...numbers, nan, 2 ** -149, -(2 ** -149), 3];
    for (const constant of [...numbers, nan]) {
      const same = x.map(() => constant);
      const maximum = map((e, x, y) => once(e.module.f32x4.max(x.take(), y.take())), x, same);
      expect(
        map((e, x) => maximumOfConstant(e, x, constant), x),
        `max ${constant}`,
      ).toEqual(maximum);
      const minimum = map((e, x, y) => once(e.module.f32x4.min(x.take(), y.take())), x, same);
      expect(
        map((e, x) => minimumOfConstant(e, x, constant), x),
        `min ${constant}`,
      ).toEqual(minimum);
    }
  });
});

describe('huge angles', () => {
  it('are reduced exactly, also where the float32 comes closest to a multiple of pi/2', () => {
    // 16367173 * 2^72, the float32 beyond 2^24 that is nearest to a multiple of pi/2 (Kahan's search, float32 case).
    const nearest = 16367173 * 2 ** 72;
    const angles = [nearest, -nearest, 2 ** 22 + 0.5, 2 ** 23, 1e10, 1e22, 3.4028234663852886e38, -(2 ** 127)];
    const sine = map(vectorMath.sine, angles);
    const cosine = map(vectorMath.cosine, angles);
    for (const [i, angle] of angles.entries()) {
      expect(ulpError(sine[i], Math.sin(Math.fround(angle))), `sin ${angle}`).toBeLessThan(0.51);
      expect(ulpError(cosine[i], Math.cos(Math.fround(angle))), `cos ${angle}`).toBeLessThan(0.51);
    }
  });
});
