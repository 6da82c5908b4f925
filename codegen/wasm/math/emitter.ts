/**
 * What a vector math function is written against: a thin layer over a Binaryen module in which 128-bit vectors read
 * like algebra.
 *
 *     const squarePlusOne = (e: VectorEmitter, x: Vector): Vector => {
 *       const named = e.let(x);                                       // a local: may be used any number of times
 *       return e.f32.mulAdd(named, named, e.f32.constant(1));
 *     };
 *
 * An operation gives a vector to be used exactly ONCE (a Binaryen expression has one parent; a second use throws).
 * `let` and `constant` give vectors that may be used any number of times. The surrounding emitter provides the scope:
 * it owns the locals and the block under construction, and may hoist constants out of loops.
 */

import type binaryen from 'binaryen';
import { bytesOfLanes } from '../shuffles.ts';
import { type FloatLanes, floatLanes, type IntegerLanes, integerLanes } from './lanes.ts';
import {
  type Binaryen,
  type Expression,
  isReusable,
  type Module,
  once,
  reusable,
  type Vector,
  type VectorScope,
} from './vector.ts';

export type { FloatLanes, IntegerLanes } from './lanes.ts';
export {
  type Binaryen,
  type Expression,
  type Module,
  once,
  reusable,
  type Vector,
  type VectorScope,
} from './vector.ts';

/** A function of the module, added when it is first called. */
export interface Helper {
  /** Unique in a module; the name alone says what the function is. */
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly result: ValueType;
  /** Builds the value that the function returns. */
  build(scope: FunctionScope): Expression;
}

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** The operations a vector math function is made of. */
export class VectorEmitter {
  readonly scope: VectorScope;
  readonly module: Module;
  readonly f32: FloatLanes;
  readonly f64: FloatLanes;
  readonly i32: IntegerLanes;
  readonly i64: IntegerLanes;

  constructor(scope: VectorScope) {
    this.scope = scope;
    this.module = scope.module;
    this.f32 = floatLanes(scope, 'f32x4');
    this.f64 = floatLanes(scope, 'f64x2');
    this.i32 = integerLanes(scope, 'i32x4');
    this.i64 = integerLanes(scope, 'i64x2');
  }

  /** Whether `mulAdd` and `mulSubFrom` round once. */
  get isFused(): boolean {
    return this.scope.isFused ?? false;
  }

  /** Computes the vector now and names it, so that it can be used any number of times. */
  let(vector: Vector): Vector {
    if (isReusable(vector)) return vector;
    const { module, scope } = this;
    const local = scope.newLocal(scope.binaryen.v128);
    scope.statement(module.local.set(local, vector.take()));
    return reusable(() => module.local.get(local, scope.binaryen.v128));
  }

  and(a: Vector, b: Vector): Vector {
    return once(this.module.v128.and(a.take(), b.take()));
  }

  or(a: Vector, b: Vector): Vector {
    return once(this.module.v128.or(a.take(), b.take()));
  }

  xor(a: Vector, b: Vector): Vector {
    return once(this.module.v128.xor(a.take(), b.take()));
  }

  /** `a & ~b`. */
  andNot(a: Vector, b: Vector): Vector {
    return once(this.module.v128.andnot(a.take(), b.take()));
  }

  not(a: Vector): Vector {
    return once(this.module.v128.not(a.take()));
  }

  /** Bit by bit, `yes` where the mask is one, else `no`. */
  select(mask: Vector, yes: Vector, no: Vector): Vector {
    return once(this.module.v128.bitselect(yes.take(), no.take(), mask.take()));
  }

  /** Signed 32-bit integers to the nearest float32. */
  toFloat(x: Vector): Vector {
    return once(this.module.f32x4.convert_i32x4_s(x.take()));
  }

  /** The lower two float32 lanes as float64. */
  promoteLow(x: Vector): Vector {
    return once(this.module.f64x2.promote_low_f32x4(x.take()));
  }

  /** The upper two float32 lanes as float64. */
  promoteHigh(x: Vector): Vector {
    return this.promoteLow(this.shuffleWords(x, [2, 3, 2, 3]));
  }

  /** Rounds two pairs of float64 to four float32. */
  demote(low: Vector, high: Vector): Vector {
    const { f32x4, i8x16 } = this.module;
    const left = f32x4.demote_f64x2_zero(low.take());
    return once(i8x16.shuffle(left, f32x4.demote_f64x2_zero(high.take()), bytesOfLanes([0, 1, 4, 5])));
  }

  /** Reorders 32-bit lanes. */
  shuffleWords(x: Vector, lanes: readonly [number, number, number, number]): Vector {
    const named = this.let(x);
    return once(this.module.i8x16.shuffle(named.take(), named.take(), bytesOfLanes(lanes)));
  }

  /** The lower 32 bits of each of two pairs of 64-bit lanes. */
  narrow(low: Vector, high: Vector): Vector {
    return once(this.module.i8x16.shuffle(low.take(), high.take(), bytesOfLanes([0, 2, 4, 6])));
  }

  /** Calls a helper whose parameters and result are vectors. */
  call(helper: Helper, ...vectors: readonly Vector[]): Vector {
    return once(
      callHelper(
        this.scope,
        helper,
        vectors.map((vector) => vector.take()),
      ),
    );
  }

  /**
   * The rare path of a function: `helper(...vectors)` if any lane of the mask is set, else `usual`, which is computed
   * beforehand in either case. The helper sees all lanes, also those whose mask is clear.
   */
  callIfAny(mask: Vector, helper: Helper, vectors: readonly Vector[], usual: Vector): Vector {
    const condition = this.module.v128.any_true(mask.take());
    return once(this.module.if(condition, this.call(helper, ...vectors).take(), usual.take()));
  }

  /**
   * A value that needs mending where a rare mask is set: `mended` is computed only if any lane of the mask is set, and
   * taken for those lanes.
   */
  mend(mask: Vector, value: Vector, mended: () => Vector): Vector {
    const { module, scope } = this;
    const local = scope.newLocal(scope.binaryen.v128);
    const result = reusable(() => module.local.get(local, scope.binaryen.v128));
    scope.statement(module.local.set(local, value.take()));
    scope.when(module.v128.any_true(mask.take()), () => {
      scope.statement(module.local.set(local, this.select(mask, mended(), result).take()));
    });
    return result;
  }

  /** Applies a helper from float32 scalars to a float32 scalar to each lane. */
  callEachLane(helper: Helper, ...vectors: readonly Vector[]): Vector {
    const { f32x4 } = this.module;
    const named = vectors.map((vector) => this.let(vector));
    const lane = (index: number) =>
      callHelper(
        this.scope,
        helper,
        named.map((vector) => f32x4.extract_lane(vector.take(), index)),
      );
    let result = f32x4.splat(lane(0));
    for (let index = 1; index < 4; index++) result = f32x4.replace_lane(result, index, lane(index));
    return once(result);
  }
}

/** The polynomial with the given coefficients, constant term first, by Horner's rule. */
export function polynomial(lanes: FloatLanes, x: Vector, coefficients: readonly number[]): Vector {
  const last = coefficients.length - 1;
  let sum = lanes.constant(coefficients[last]);
  for (let i = last - 1; i >= 0; i--) sum = lanes.mulAdd(sum, x, lanes.constant(coefficients[i]));
  return sum;
}

/**
 * A function under construction: the scope of its body. Constants are set to locals at its start, so that loops do not
 * rebuild them. Helpers are built in one; tests and benchmarks build whole kernels in it.
 */
export class FunctionScope implements VectorScope {
  readonly binaryen: Binaryen;
  readonly module: Module;
  readonly isFused: boolean;
  readonly #parameters: readonly binaryen.Type[];
  readonly #locals: binaryen.Type[] = [];
  readonly #constants = new Map<string, number>();
  readonly #entry: Expression[] = [];
  #block: Expression[] = [];

  /** `model` is the scope that the function is called from; what it fuses is fused here too. */
  constructor(model: Pick<VectorScope, 'binaryen' | 'module' | 'isFused'>, parameters: readonly ValueType[]) {
    this.binaryen = model.binaryen;
    this.module = model.module;
    this.isFused = model.isFused ?? false;
    this.#parameters = parameters.map((type) => this.binaryen[type]);
  }

  newLocal(type: binaryen.Type): number {
    this.#locals.push(type);
    return this.#parameters.length + this.#locals.length - 1;
  }

  statement(expression: Expression): void {
    this.#block.push(expression);
  }

  constant(bytes: Uint8Array): Expression {
    const key = bytes.join();
    let local = this.#constants.get(key);
    if (local === undefined) {
      local = this.newLocal(this.binaryen.v128);
      this.#constants.set(key, local);
      this.#entry.push(this.module.local.set(local, this.module.v128.const(bytes)));
    }
    return this.module.local.get(local, this.binaryen.v128);
  }

  parameter(index: number): Expression {
    return this.module.local.get(index, this.#parameters[index]);
  }

  /** A parameter of type v128. */
  vector(index: number): Vector {
    return reusable(() => this.parameter(index));
  }

  /** Names a scalar: gives a function that reads it. */
  letScalar(type: ValueType, value: Expression): () => Expression {
    const local = this.newLocal(this.binaryen[type]);
    this.statement(this.module.local.set(local, value));
    return () => this.module.local.get(local, this.binaryen[type]);
  }

  /** The statements that `build` appends, as one block, to be the body of a loop or of an arm. */
  block(build: () => void): Expression {
    const outer = this.#block;
    this.#block = [];
    build();
    const block = this.module.block(null, this.#block);
    this.#block = outer;
    return block;
  }

  when(condition: Expression, build: () => void): void {
    this.statement(this.module.if(condition, this.block(build)));
  }

  /** Adds the function to the module; `value` is what it returns, if anything. */
  finish(name: string, result: ValueType | 'none', value?: Expression): void {
    const { binaryen, module } = this;
    const type = binaryen[result];
    const statements = [...this.#entry, ...this.#block, ...(value === undefined ? [] : [value])];
    const body = module.block(null, statements, type);
    module.addFunction(name, binaryen.createType([...this.#parameters]), type, this.#locals, body);
  }
}

/** A call of a helper, which is added to the module if it is not there yet. */
export function callHelper(scope: VectorScope, helper: Helper, operands: readonly Expression[]): Expression {
  const { binaryen, module } = scope;
  if (!module.getFunction(helper.name)) {
    const inner = new FunctionScope(scope, helper.parameters);
    inner.finish(helper.name, helper.result, helper.build(inner));
  }
  return module.call(helper.name, operands, binaryen[helper.result]);
}
