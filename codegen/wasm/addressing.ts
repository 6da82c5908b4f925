/**
 * Addresses, strength-reduced: an address is built scope by scope from the outside in, so that each loop only adds what
 * it moves itself, and a term that is linear in a loop's counter becomes a pointer that the loop steps.
 *
 *     load x[N*i + j]   in loop j of loop i:   q0 = x                 before i, stepped by 4*N at the end of i
 *                                              q1 = q0                before j, stepped by 16 at the end of j
 *                                              v128.load q1
 */
import { addDims, type Dim, dimBounds, equalDims, isStatic, mulDims } from '../../base/dim.ts';
import type { IndexExpression, IndexFactor, IndexTerm } from '../../ir/kernel.ts';
import { indexBounds, normalizeIndex } from '../common/linear-index.ts';
import type { Environment } from './environment.ts';
import type { Expression } from './math/emitter.ts';

/** `pointer + extra + offset`, with `offset` for the immediate of a load or store. */
export interface Address {
  readonly pointer: number;
  readonly extra?: Dim;
  readonly offset: number;
}

/** The address of an element, for the lane 0 of copy 0. Locals it needs are set in the scopes they belong to. */
export function addressOf(env: Environment, memory: string, bytes: number, index: IndexExpression): Address {
  const { offset, terms } = normalizeIndex(index);
  let symbolic: Dim = 0;
  let total: Dim = offset;
  const moving: IndexTerm[] = [];
  for (const term of terms) {
    const { factor, coefficient } = term;
    if (factor.kind !== 'axis') {
      moving.push(term);
      continue;
    }
    const { local, delta } = env.axis(factor.axis);
    const shift = mulDims(coefficient, delta);
    if (isStatic(shift)) total = addDims(total, shift);
    else symbolic = addDims(symbolic, shift);
    if (local !== undefined) moving.push(term);
  }
  const fixed = mulDims(total, bytes);
  const immediate = isStatic(fixed) && fixed >= 0 && moving.every((term) => isNeverNegative(env, term));
  const pointer = pointerOf(env, memory, bytes, immediate ? 0 : fixed, moving);
  return {
    pointer,
    offset: immediate ? fixed : 0,
    ...(!equalDims(symbolic, 0) && { extra: mulDims(symbolic, bytes) }),
  };
}

/** The base operand of a load or store at an address. */
export function addressExpression(env: Environment, { pointer, extra }: Address): Expression {
  const { f } = env;
  return extra === undefined ? f.get(pointer) : f.module.i32.add(f.get(pointer), f.size(extra));
}

/** A term that can not make a partial sum negative, so that an immediate may follow it. */
function isNeverNegative(env: Environment, { coefficient, factor }: IndexTerm): boolean {
  if (dimBounds(coefficient)[0] < 0 || factor.kind === 'value') return false;
  return factor.kind !== 'floordiv' || indexBounds(factor.dividend, env.extents)[0] >= 0;
}

function pointerOf(env: Environment, memory: string, bytes: number, offset: Dim, terms: readonly IndexTerm[]): number {
  const { f } = env;
  if (terms.length === 0 && equalDims(offset, 0)) return f.baseLocal(memory);
  const depth = Math.max(0, ...terms.map((term) => env.depthOf(term.factor)));
  const scope = f.scopeAt(depth);
  const key = pointerKey(env, memory, offset, terms);
  const known = scope.derived.get(key);
  if (known !== undefined) return known;
  const top = terms.filter((term) => env.depthOf(term.factor) === depth);
  const rest = terms.filter((term) => env.depthOf(term.factor) < depth);
  const pointer = f.newLocal('i32', `at_${memory}`);
  scope.derived.set(key, pointer);
  if (depth === 0) {
    f.at(scope, () => f.set(pointer, sum(env, f.base(memory), offset, bytes, terms)));
    return pointer;
  }
  const outer = pointerOf(env, memory, bytes, offset, rest);
  const [first] = top;
  const binding = top.length === 1 && first.factor.kind === 'axis' ? env.axis(first.factor.axis) : undefined;
  if (binding?.local !== undefined && binding.step !== undefined && scope.parent) {
    const stride = mulDims(first.coefficient, bytes);
    const start = binding.fromZero
      ? f.get(outer)
      : f.module.i32.add(f.get(outer), scaled(env, f.get(binding.local), stride));
    f.at(scope.parent, () => f.set(pointer, start));
    const advanced = f.module.i32.add(f.get(pointer), f.size(mulDims(stride, binding.step)));
    scope.steps.push(f.module.local.set(pointer, advanced));
    return pointer;
  }
  f.at(scope, () => f.set(pointer, sum(env, f.get(outer), 0, bytes, top)));
  return pointer;
}

/** Says what a pointer is: two bindings of one axis name differ by their local. */
function pointerKey(env: Environment, memory: string, offset: Dim, terms: readonly IndexTerm[]): string {
  const parts = terms.map(({ coefficient, factor }) => `${coefficient}*${boundKey(env, factor)}`);
  return `${memory}+${offset}+${parts.join('+')}`;
}

function boundKey(env: Environment, factor: IndexFactor): string {
  if (factor.kind === 'axis') return `a${env.axis(factor.axis).local}`;
  if (factor.kind === 'value') return `v${env.value(factor.id).locals[0]}`;
  const { offset, terms } = factor.dividend;
  const parts = terms.map((t) => {
    const delta = t.factor.kind === 'axis' ? env.axis(t.factor.axis).delta : 0;
    return `${t.coefficient}*(${boundKey(env, t.factor)}+${delta})`;
  });
  return `${factor.kind}(${offset}+${parts.join('+')},${factor.divisor})`;
}

function sum(env: Environment, base: Expression, offset: Dim, bytes: number, terms: readonly IndexTerm[]): Expression {
  const { f } = env;
  let total = equalDims(offset, 0) ? base : f.module.i32.add(base, f.size(offset));
  for (const { coefficient, factor } of terms) {
    // Deltas of axes are added by the caller.
    const value = factor.kind === 'axis' ? f.get(env.axis(factor.axis).local!) : factorValue(env, factor);
    total = f.module.i32.add(total, scaled(env, value, mulDims(coefficient, bytes)));
  }
  return total;
}

/** `value * by`, as a shift where it is one. */
export function scaled(env: Environment, value: Expression, by: Dim): Expression {
  const { f } = env;
  if (isStatic(by)) {
    if (by === 1) return value;
    const shift = Math.log2(by);
    if (by > 0 && Number.isInteger(shift)) return f.module.i32.shl(value, f.i32(shift));
  }
  return f.module.i32.mul(value, f.size(by));
}

/** Which lane is asked for: lane `lane` of copy `copy`. */
export interface LaneChoice {
  readonly copy: number;
  readonly lane: number;
}

/** An index as int32, for one lane; lane 0 of copy 0 unless told. */
export function indexValue(env: Environment, index: IndexExpression, choice?: LaneChoice): Expression {
  const { f } = env;
  const { offset, terms } = normalizeIndex(index);
  let total: Expression | undefined;
  for (const { coefficient, factor } of terms) {
    const value = scaled(env, factorValue(env, factor, choice), coefficient);
    total = total === undefined ? value : f.module.i32.add(total, value);
  }
  if (total === undefined) return f.size(offset);
  return equalDims(offset, 0) ? total : f.module.i32.add(total, f.size(offset));
}

/** A factor as int32, for one lane. */
export function factorValue(env: Environment, factor: IndexFactor, choice?: LaneChoice): Expression {
  const { f } = env;
  const { i32, i32x4 } = f.module;
  if (factor.kind === 'value') {
    return i32x4.extract_lane(env.read(factor.id, choice?.copy ?? 0), choice?.lane ?? 0);
  }
  if (factor.kind === 'axis') {
    const { local, delta } = env.axis(factor.axis);
    const shift = addDims(delta, choice ? env.shiftOf(factor.axis, choice.copy, choice.lane) : 0);
    if (local === undefined) return f.size(shift);
    return equalDims(shift, 0) ? f.get(local) : i32.add(f.get(local), f.size(shift));
  }
  const dividend = indexValue(env, factor.dividend, choice);
  const natural = indexBounds(factor.dividend, env.extents)[0] >= 0;
  return factor.kind === 'floordiv'
    ? floorDivide(env, dividend, factor.divisor, natural)
    : modulo(env, dividend, factor.divisor, natural);
}

const powerOfTwo = (d: Dim): number | undefined =>
  isStatic(d) && d > 0 && Number.isInteger(Math.log2(d)) ? Math.log2(d) : undefined;

function modulo(env: Environment, dividend: Expression, divisor: Dim, natural: boolean): Expression {
  const { f } = env;
  const { i32 } = f.module;
  const shift = powerOfTwo(divisor);
  if (shift !== undefined) return i32.and(dividend, f.i32(2 ** shift - 1));
  if (natural) return i32.rem_u(dividend, f.size(divisor));
  const rest = f.let('i32', i32.rem_s(dividend, f.size(divisor)));
  return i32.add(f.get(rest), i32.and(i32.shr_s(f.get(rest), f.i32(31)), f.size(divisor)));
}

function floorDivide(env: Environment, dividend: Expression, divisor: Dim, natural: boolean): Expression {
  const { f } = env;
  const { i32 } = f.module;
  const shift = powerOfTwo(divisor);
  if (shift !== undefined) return i32.shr_s(dividend, f.i32(shift));
  if (natural) return i32.div_u(dividend, f.size(divisor));
  const whole = f.let('i32', dividend);
  const rest = modulo(env, f.get(whole), divisor, false);
  return i32.div_s(i32.sub(f.get(whole), rest), f.size(divisor));
}
