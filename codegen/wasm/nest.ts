/**
 * Loop nests: walks the tree of a kernel and builds its code, with the axis that the plan chose across the lanes.
 *
 *     parallel j < N { ... }, vectorised, unrolled by two:
 *       main   j = 0, 8, 16 ... while j + 8 <= N      two vectors a round
 *       rest   while j < N, step 4                    one vector, of which min(4, N - j) lanes count
 */
import { type Dim, isStatic } from '../../base/dim.ts';
import { isFloat } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import type { KernelNode, Let, Loop, ScalarId, Sort } from '../../ir/kernel.ts';
import { wrapInteger } from '../../ir/ops/scalar.ts';
import { normalizeIndex } from '../common/linear-index.ts';
import { operandsOf } from '../common/walk.ts';
import { indexValue } from './addressing.ts';
import type { Environment } from './environment.ts';
import type { Expression } from './math/emitter.ts';
import { emitLoad, emitStore, loadVaries } from './memory.ts';
import { applyOperator, requireComputed, wrapLanes } from './operators.ts';
import type { Plan } from './plan.ts';
import { emitReduce } from './reduce.ts';
import { emitSort, type Helpers } from './sort/emit.ts';

/** The part of an axis that a vector loop sweeps. */
export interface Span {
  readonly start: () => Expression;
  readonly limit: () => Expression;
  /** The number of iterations, where it is known. */
  readonly count?: number;
  /** What the number of iterations is certainly a multiple of. */
  readonly multiple: number;
}

/** `product + addend`, `addend - product` or `product - addend` (negated), computed at once. */
interface FusedSum {
  readonly product: Let;
  readonly factors: readonly ScalarId[];
  readonly addend: ScalarId;
  readonly opcode: 'add' | 'subtract';
  readonly isNegated: boolean;
}

export class NestEmitter {
  readonly env: Environment;
  readonly plan: Plan;
  /** Values that are known numbers. */
  readonly #constants = new Map<ScalarId, number>();

  readonly #helpers: Helpers | undefined;

  /** @param helpers where functions go that nodes call, for kernels with sorts */
  constructor(env: Environment, plan: Plan, helpers?: Helpers) {
    this.env = env;
    this.plan = plan;
    this.#helpers = helpers;
  }

  emit(nodes: readonly KernelNode[]): void {
    for (const node of nodes) {
      if (node.kind === 'let') this.emitLet(node);
      else if (node.kind === 'store') emitStore(this.env, node);
      else if (node.kind === 'reduce') emitReduce(this, node);
      else if (node.kind === 'sort') this.#emitSort(node);
      else this.emitLoop(node);
    }
  }

  #emitSort(node: Sort): void {
    if (this.env.lanes || !this.#helpers) throw internalError('a sort stands where no function can be called');
    emitSort(this.env.f, node, this.#helpers);
  }

  /** Computes a value in the outermost scope that knows its operands; a product that is added, with the sum. */
  emitLet(node: Let): void {
    const { env } = this;
    if (env.values.has(node.id) || env.products.has(node.id)) return;
    this.#emitNow(node);
  }

  #emitNow(node: Let): void {
    const { env } = this;
    requireComputed(node.dtype, `%${node.id}`);
    const { expression } = node;
    const fused = this.#fusedSum(node);
    const operands = fused ? [...fused.factors, fused.addend] : operandsOf(expression);
    for (const id of operands) {
      const product = env.products.get(id);
      if (product && !env.values.has(id)) this.#emitNow(product);
    }
    const depth = fused ? this.#depthOf(fused.product) : this.#depthOf(node);
    const varying =
      expression.kind === 'load'
        ? loadVaries(env, expression)
        : expression.kind === 'index'
          ? env.indexVaries(expression.index)
          : operands.some((id) => env.value(id).varying);
    env.f.at(env.f.scopeAt(depth), () => {
      const locals = fused ? this.#computeFused(node, fused, varying) : this.#compute(node, varying);
      env.values.set(node.id, { dtype: node.dtype, locals, varying, depth });
    });
  }

  /** A sum that takes a product in, unless the product is left to an outer loop. */
  #fusedSum({ expression }: Let): FusedSum | undefined {
    const { env } = this;
    if (expression.kind !== 'apply' || (expression.opcode !== 'add' && expression.opcode !== 'subtract')) return;
    const { opcode, operands } = expression;
    for (const at of [1, 0]) {
      const product = env.products.get(operands[at]);
      if (!product || env.values.has(product.id) || product.expression.kind !== 'apply') continue;
      const addend = operands[1 - at];
      const isNegated = opcode === 'subtract' && at === 0;
      const other = env.products.get(addend);
      if (other && !env.values.has(addend)) this.#emitNow(other);
      // `a * b - c` is fused where -c costs nothing.
      if (isNegated && !this.#constants.has(addend)) continue;
      if (this.#depthOf(product) < env.value(addend).depth) continue;
      return { product, factors: product.expression.operands, addend, opcode, isNegated };
    }
    return undefined;
  }

  #computeFused({ id }: Let, { factors, addend, opcode, isNegated }: FusedSum, varying: boolean): number[] {
    const { env } = this;
    const { f } = env;
    const copies = varying ? (env.lanes?.copies ?? 1) : 1;
    return Array.from({ length: copies }, (_, copy) => {
      const [a, b] = factors.map((factor) => env.read(factor, copy));
      if (isNegated) {
        const negative = f.splat('float32', -(this.#constants.get(addend) ?? 0));
        return f.let('v128', f.mulAdd('f32x4', a, b, negative), `v${id}`);
      }
      const c = env.read(addend, copy);
      const sum = opcode === 'add' ? f.mulAdd('f32x4', a, b, c) : f.mulSubFrom('f32x4', a, b, c);
      return f.let('v128', sum, `v${id}`);
    });
  }

  #depthOf({ expression }: Let): number {
    const { env } = this;
    const depthOfValue = (id: ScalarId): number => env.value(id).depth;
    switch (expression.kind) {
      case 'constant':
      case 'size':
        return 0;
      case 'index':
        return env.indexDepth(expression.index);
      case 'load': {
        if (env.written.has(expression.memory)) return env.f.scope.depth;
        const predicate = expression.when === undefined ? 0 : depthOfValue(expression.when);
        return Math.max(env.indexDepth(expression.index), predicate);
      }
      case 'apply':
        return Math.max(0, ...expression.operands.map(depthOfValue));
    }
  }

  #compute({ id, dtype, expression }: Let, varying: boolean): number[] {
    const { env } = this;
    const { f } = env;
    const { i32x4, f32x4 } = f.module;
    const copies = varying ? (env.lanes?.copies ?? 1) : 1;
    const each = (make: (copy: number) => Expression): number[] =>
      Array.from({ length: copies }, (_, copy) => f.let('v128', make(copy), `v${id}`));
    switch (expression.kind) {
      case 'constant':
        this.#constants.set(id, expression.value);
        return [f.splatLocal(dtype, expression.value)];
      case 'size': {
        const { size } = expression;
        if (isStatic(size)) {
          const number = isFloat(dtype) ? size : wrapInteger(dtype, size);
          this.#constants.set(id, number);
          return [f.splatLocal(dtype, number)];
        }
        const words = (): Expression => i32x4.splat(f.size(size));
        return each(() => (dtype === 'float32' ? f32x4.convert_i32x4_s(words()) : wrapLanes(f, dtype, words())));
      }
      case 'index': {
        if (!varying) return [f.let('v128', i32x4.splat(indexValue(env, expression.index)), `v${id}`)];
        return each((copy) => indexVector(env, normalizeIndex(expression.index), copy));
      }
      case 'load':
        return emitLoad(env, expression, dtype, `v${id}`);
      case 'apply': {
        const { operands, opcode, direction } = expression;
        const values = operands.map((operand) => env.value(operand));
        const known = operands.map((operand) => this.#constants.get(operand));
        return each((copy) =>
          applyOperator(f, {
            opcode,
            dtype,
            from: values[0].dtype,
            ...(direction && { direction }),
            operands: values.map(({ locals }) => locals[copy % locals.length]),
            known,
            amountIsUniform: values.length < 2 || !values[1].varying,
          }),
        );
      }
    }
  }

  emitLoop(loop: Loop): void {
    const { env, plan } = this;
    const { name, extent } = loop.axis;
    if (plan.isVector(loop) && !env.lanes) {
      this.vectorLoop(name, wholeSpan(env, extent), plan.copies(loop), () => this.emit(loop.body));
      return;
    }
    const carried = this.#beginCarried(loop);
    this.scalarLoop(name, extent, () => {
      carried.enter();
      this.emit(loop.body);
      carried.advance();
    });
    carried.leave();
  }

  /** A plain loop over an axis, one iteration a round. */
  scalarLoop(name: string, extent: Dim, body: () => void): void {
    const { env } = this;
    const { f } = env;
    const counter = f.newLocal('i32', name);
    const nonEmpty = isStatic(extent) && extent > 0;
    f.loop({ counter, start: f.i32(0), step: 1, limit: () => f.size(extent), nonEmpty }, () => {
      env.withAxis(name, { local: counter, delta: 0, scope: f.scope, step: 1, fromZero: true }, body);
    });
  }

  /** A loop with an axis across the lanes. `body` is built once for full rounds and once for the rest. */
  vectorLoop(name: string, span: Span, copies: number, body: () => void): void {
    const { env } = this;
    const { f } = env;
    const { i32 } = f.module;
    const step = 4 * copies;
    const counter = f.newLocal('i32', name);
    const bound = (scopeStep: number, lanes: { copies: number; remaining?: number }): void => {
      env.withAxis(name, { local: counter, delta: 0, scope: f.scope, step: scopeStep }, () => {
        env.withLanes({ axis: name, ...lanes }, body);
      });
    };
    f.set(counter, span.start());
    if (span.count === undefined || span.count >= step) {
      const full = span.multiple % step === 0;
      const limit = full ? span.limit : laterLimit(env, span, step - 1);
      const nonEmpty = span.count !== undefined;
      f.loop({ counter, step, limit, nonEmpty }, () => bound(step, { copies }));
    }
    if (span.multiple % step === 0) return;
    const whole = span.multiple % 4 === 0;
    f.loop({ counter, step: 4, limit: span.limit, nonEmpty: span.count !== undefined }, () => {
      if (whole) bound(4, { copies: 1 });
      else bound(4, { copies: 1, remaining: f.let('i32', i32.sub(span.limit(), f.get(counter)), 'remaining') });
    });
  }

  /** The locals of carried values: set before the loop, replaced together at the end of each round. */
  #beginCarried(loop: Loop): { enter(): void; advance(): void; leave(): void } {
    const { env } = this;
    const { f } = env;
    const varying = env.lanes !== undefined;
    const copies = env.lanes?.copies ?? 1;
    const indices = Array.from({ length: copies }, (_, copy) => copy);
    const states = (loop.carried ?? []).map((carried) => ({
      carried,
      locals: indices.map((copy) => f.let('v128', env.read(carried.initial, copy), `v${carried.id}`)),
    }));
    const define = (): void => {
      for (const { carried, locals } of states) {
        env.values.set(carried.id, { dtype: carried.dtype, locals, varying, depth: f.scope.depth });
      }
    };
    return {
      enter: define,
      advance: () => {
        const next = states.map(({ carried }) => indices.map((copy) => f.let('v128', env.read(carried.next, copy))));
        states.forEach(({ locals }, i) => {
          for (const copy of indices) f.set(locals[copy], f.get(next[i][copy]));
        });
      },
      leave: define,
    };
  }
}

/** All of an axis. */
export function wholeSpan({ f }: Environment, extent: Dim): Span {
  return {
    start: () => f.i32(0),
    limit: () => f.size(extent),
    ...(isStatic(extent) ? { count: extent, multiple: extent } : { multiple: 1 }),
  };
}

/** The limit for a counter that needs `margin` more iterations after it. */
function laterLimit({ f }: Environment, span: Span, margin: number): () => Expression {
  const { i32 } = f.module;
  if (span.count !== undefined) return () => i32.sub(span.limit(), f.i32(margin));
  const local = f.let('i32', i32.sub(span.limit(), f.i32(margin)), 'last_full');
  return () => f.get(local);
}

/** A varying index as int32 lanes. */
function indexVector(env: Environment, index: Parameters<typeof indexValue>[1], copy: number): Expression {
  const { f } = env;
  const { i32x4 } = f.module;
  if (!env.lanes) throw internalError('an index varies without a vector axis');
  const linear = index.terms.every(({ factor }) => factor.kind === 'axis' || !env.varies(factor));
  if (!linear) {
    let result = i32x4.splat(indexValue(env, index, { copy, lane: 0 }));
    for (let lane = 1; lane < 4; lane++) {
      result = i32x4.replace_lane(result, lane, indexValue(env, index, { copy, lane }));
    }
    return result;
  }
  let result = i32x4.splat(indexValue(env, index));
  for (const { coefficient, factor } of index.terms) {
    if (factor.kind !== 'axis' || !env.isVector(factor.axis)) continue;
    const { axis } = factor;
    const [first, ...rest] = [0, 1, 2, 3].map((lane) => env.shiftOf(axis, copy, lane));
    const steps = f.lanes([first, rest[0], rest[1], rest[2]]);
    const scaled = coefficient === 1 ? steps : i32x4.mul(steps, i32x4.splat(f.size(coefficient)));
    result = i32x4.add(result, scaled);
  }
  return result;
}
