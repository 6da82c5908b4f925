/**
 * Index expressions that simplify as they are built, so that reshapes cancel and loops see plain strides:
 *
 *     i < A, j < B:    floordiv(B*i + j, B)  =  i          mod(B*i + j, B)  =  j
 *     r < A*B:         B*floordiv(r, B) + mod(r, B)  =  r
 *
 * An `Index` is an `IndexExpression` with a canonical text, which serves as key. All axes count from 0, divisors are
 * positive; the algebra is exact for whatever signs remain (`floordiv` rounds down).
 */
import {
  addDims,
  type Dim,
  dimBounds,
  dimProduct,
  equalDims,
  equalShapes,
  floorDivDims,
  isAtMostDim,
  mulDims,
  subDims,
} from '../../base/dim.ts';
import type { IndexExpression, IndexFactor, IndexTerm, ScalarId } from '../../ir/kernel.ts';

interface Term {
  readonly coefficient: Dim;
  readonly factor: Factor;
  /** Text of the factor. */
  readonly key: string;
}

type Factor =
  | { readonly kind: 'axis'; readonly axis: string }
  | { readonly kind: 'value'; readonly id: ScalarId }
  | { readonly kind: 'floordiv' | 'mod'; readonly dividend: Index; readonly divisor: Dim };

export class Index {
  readonly offset: Dim;
  readonly terms: readonly Term[];
  #key: string | undefined;

  constructor(offset: Dim, terms: readonly Term[]) {
    this.offset = offset;
    this.terms = terms;
  }

  /** Equal for equal expressions, whatever the order of their terms. */
  get key(): string {
    this.#key ??= [...this.terms.map((term) => `${term.coefficient}*${term.key}`).sort(), this.offset].join('+');
    return this.#key;
  }

  get isConstant(): boolean {
    return this.terms.length === 0;
  }

  /** The plain data for a kernel. */
  toExpression(): IndexExpression {
    return {
      offset: this.offset,
      terms: this.terms.map(({ coefficient, factor }): IndexTerm => ({ coefficient, factor: plainFactor(factor) })),
    };
  }

  /** Calls `visit` for each axis and value in the expression. */
  visitLeaves(visit: (leaf: Extract<Factor, { kind: 'axis' | 'value' }>) => void): void {
    for (const { factor } of this.terms) {
      if (factor.kind === 'axis' || factor.kind === 'value') visit(factor);
      else factor.dividend.visitLeaves(visit);
    }
  }
}

const plainFactor = (factor: Factor): IndexFactor =>
  factor.kind === 'floordiv' || factor.kind === 'mod'
    ? { kind: factor.kind, dividend: factor.dividend.toExpression(), divisor: factor.divisor }
    : factor;

export const constantIndex = (offset: Dim): Index => new Index(offset, []);
export const zeroIndex = constantIndex(0);

/** `dividend / divisor` when it comes out even, term by term. */
export function divideEvenly(dividend: Dim, divisor: Dim): Dim | undefined {
  if (dividend === 0) return 0;
  if (typeof dividend === 'number' && typeof divisor === 'number') {
    return divisor !== 0 && dividend % divisor === 0 ? dividend / divisor : undefined;
  }
  const quotient = floorDivDims(dividend, divisor);
  return equalDims(mulDims(quotient, divisor), dividend) ? quotient : undefined;
}

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b);

/** Makes indices; knows the extents of axes and the ranges of values, which is what simplification rests on. */
export class IndexAlgebra {
  readonly #extents = new Map<string, Dim>();
  readonly #greatest = new Map<ScalarId, Dim>();

  axis(name: string, extent: Dim): Index {
    this.#extents.set(name, extent);
    return extent === 1
      ? zeroIndex
      : new Index(0, [{ coefficient: 1, factor: { kind: 'axis', axis: name }, key: name }]);
  }

  extentOf(axis: string): Dim | undefined {
    return this.#extents.get(axis);
  }

  /** A value that depends on data; with `greatest`, it is known to be between 0 and that. */
  value(id: ScalarId, greatest?: Dim): Index {
    if (greatest !== undefined) this.#greatest.set(id, greatest);
    return new Index(0, [{ coefficient: 1, factor: { kind: 'value', id }, key: `%${id}` }]);
  }

  add(a: Index, b: Index): Index {
    if (a.isConstant && a.offset === 0) return b;
    if (b.isConstant && b.offset === 0) return a;
    return this.#collect(addDims(a.offset, b.offset), [...a.terms, ...b.terms]);
  }

  shift(a: Index, by: Dim): Index {
    return by === 0 ? a : new Index(addDims(a.offset, by), a.terms);
  }

  scale(a: Index, by: Dim): Index {
    if (by === 1) return a;
    if (by === 0) return zeroIndex;
    const terms = a.terms.map((term) => ({ ...term, coefficient: mulDims(term.coefficient, by) }));
    return new Index(mulDims(a.offset, by), terms);
  }

  /** `by - a`. */
  subtractFrom(by: Dim, a: Index): Index {
    return this.shift(this.scale(a, -1), by);
  }

  floorDivide(a: Index, divisor: Dim): Index {
    if (equalDims(divisor, 1)) return a;
    if (divisor === 0) return zeroIndex; // an empty axis: no such element is ever touched
    const { quotient, rest } = this.#split(a, divisor);
    if (this.#isBelow(rest, divisor)) return quotient;
    return this.add(quotient, this.#floorDivideRest(rest, divisor));
  }

  modulo(a: Index, divisor: Dim): Index {
    if (equalDims(divisor, 1) || divisor === 0) return zeroIndex;
    const { rest } = this.#split(a, divisor);
    if (this.#isBelow(rest, divisor)) return rest;
    const { common, reduced, reducedDivisor, left } = this.#cancel(rest, divisor);
    if (common !== 1) return this.shift(this.scale(this.modulo(reduced, reducedDivisor), common), left);
    const [only] = rest.terms;
    if (rest.terms.length === 1 && equalDims(rest.offset, 0) && equalDims(only.coefficient, 1)) {
      const { factor } = only;
      if (factor.kind === 'mod' && divideEvenly(factor.divisor, divisor) !== undefined) {
        return this.modulo(factor.dividend, divisor);
      }
    }
    return this.#divisionTerm('mod', rest, divisor);
  }

  /** Row-major position of an index in a shape. */
  linearize(indices: readonly Index[], shape: readonly Dim[]): Index {
    let stride: Dim = 1;
    let position = zeroIndex;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position = this.add(this.scale(indices[axis], stride), position);
      stride = mulDims(stride, shape[axis]);
    }
    return position;
  }

  /** The index in a shape of a row-major position. */
  delinearize(position: Index, shape: readonly Dim[]): Index[] {
    const indices: Index[] = new Array(shape.length);
    let stride: Dim = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const quotient = shape[axis] === 1 ? zeroIndex : this.floorDivide(position, stride);
      indices[axis] = axis === 0 || shape[axis] === 1 ? quotient : this.modulo(quotient, shape[axis]);
      stride = mulDims(stride, shape[axis]);
    }
    return indices;
  }

  /** The index in `to` of the element that has the index `indices` in `from`, a shape of as many elements. */
  reshape(indices: readonly Index[], from: readonly Dim[], to: readonly Dim[]): Index[] {
    return reshapeSegments(from, to).flatMap(({ fromStart, fromEnd, toStart, toEnd }) => {
      const fromShape = from.slice(fromStart, fromEnd);
      const toShape = to.slice(toStart, toEnd);
      if (equalShapes(fromShape, toShape)) return indices.slice(fromStart, fromEnd);
      return this.delinearize(this.linearize(indices.slice(fromStart, fromEnd), fromShape), toShape);
    });
  }

  /** An upper bound that is reached when nothing but axes with known extents occurs; `undefined`: not known. */
  upper(a: Index): Dim | undefined {
    return this.#bound(a, true);
  }

  /** A lower bound likewise. */
  lower(a: Index): Dim | undefined {
    return this.#bound(a, false);
  }

  isNonNegative(a: Index): boolean {
    const low = this.lower(a);
    return low !== undefined && isAtMostDim(0, low) === 'always';
  }

  #bound(a: Index, upper: boolean): Dim | undefined {
    let sum = a.offset;
    for (const { coefficient, factor } of a.terms) {
      const [low, high] = dimBounds(coefficient);
      if (low < 0 && high > 0) return undefined;
      const extreme = this.#factorBound(factor, upper === low >= 0);
      if (extreme === undefined) return undefined;
      sum = addDims(sum, mulDims(coefficient, extreme));
    }
    return sum;
  }

  #factorBound(factor: Factor, upper: boolean): Dim | undefined {
    if (factor.kind === 'axis') {
      const extent = this.#extents.get(factor.axis);
      if (!upper) return 0;
      return extent === undefined ? undefined : subDims(extent, 1);
    }
    if (factor.kind === 'value') {
      const most = this.#greatest.get(factor.id);
      return upper || most === undefined ? most : 0;
    }
    if (factor.kind === 'mod') return upper ? subDims(factor.divisor, 1) : 0;
    const inner = this.#bound(factor.dividend, upper);
    return inner === undefined ? undefined : floorDivDims(inner, factor.divisor);
  }

  #isBelow(a: Index, bound: Dim): boolean {
    if (a.isConstant && a.offset === 0) return true;
    const most = this.isNonNegative(a) ? this.upper(a) : undefined;
    return most !== undefined && isAtMostDim(most, subDims(bound, 1)) === 'always';
  }

  /** `a = divisor * quotient + rest`, with whatever divides evenly in the quotient. */
  #split(a: Index, divisor: Dim): { readonly quotient: Index; readonly rest: Index } {
    const whole: Term[] = [];
    const left: Term[] = [];
    for (const term of a.terms) {
      const coefficient = divideEvenly(term.coefficient, divisor);
      if (coefficient === undefined) left.push(term);
      else whole.push({ ...term, coefficient });
    }
    let offset: Dim = divideEvenly(a.offset, divisor) ?? 0;
    if (typeof a.offset === 'number' && typeof divisor === 'number') offset = Math.floor(a.offset / divisor);
    return {
      quotient: new Index(offset, whole),
      rest: new Index(subDims(a.offset, mulDims(offset, divisor)), left),
    };
  }

  /** Takes out what all coefficients and the divisor have in common: `rest = common * reduced + left`. */
  #cancel(rest: Index, divisor: Dim): { common: Dim; reduced: Index; reducedDivisor: Dim; left: number } {
    const same = { common: 1, reduced: rest, reducedDivisor: divisor, left: 0 };
    if (typeof rest.offset !== 'number') return same;
    let common: Dim = 0;
    if (typeof divisor === 'number') {
      common = divisor;
      for (const { coefficient } of rest.terms) {
        if (typeof coefficient !== 'number') return same;
        common = greatestCommonDivisor(common, coefficient);
      }
    } else {
      if (rest.terms.length !== 1) return same;
      common = rest.terms[0].coefficient;
      if (divideEvenly(divisor, common) === undefined || dimBounds(common)[0] < 1) return same;
    }
    if (common === 1) return same;
    const offset = typeof common === 'number' ? Math.floor(rest.offset / common) : 0;
    const left = typeof common === 'number' ? rest.offset - offset * common : rest.offset;
    if (typeof common !== 'number' && left !== 0) return same;
    const terms = rest.terms.map((term) => ({ ...term, coefficient: divideEvenly(term.coefficient, common)! }));
    return { common, reduced: this.#collect(offset, terms), reducedDivisor: divideEvenly(divisor, common)!, left };
  }

  #floorDivideRest(rest: Index, divisor: Dim): Index {
    const { common, reduced, reducedDivisor } = this.#cancel(rest, divisor);
    if (common !== 1) return this.floorDivide(reduced, reducedDivisor);
    const [only] = rest.terms;
    if (rest.terms.length === 1 && equalDims(rest.offset, 0) && equalDims(only.coefficient, 1)) {
      const { factor } = only;
      if (factor.kind === 'floordiv') return this.floorDivide(factor.dividend, mulDims(factor.divisor, divisor));
    }
    return this.#divisionTerm('floordiv', rest, divisor);
  }

  #divisionTerm(kind: 'floordiv' | 'mod', dividend: Index, divisor: Dim): Index {
    const key = `${kind}(${dividend.key},${divisor})`;
    return new Index(0, [{ coefficient: 1, factor: { kind, dividend, divisor }, key }]);
  }

  /** Merges equal factors, then `c*d*floordiv(e,d) + c*mod(e,d)` into `c*e`, until nothing changes. */
  #collect(offset: Dim, terms: readonly Term[]): Index {
    const byKey = new Map<string, Term>();
    let divisions = false;
    for (const term of terms) {
      const before = byKey.get(term.key);
      const coefficient = before ? addDims(before.coefficient, term.coefficient) : term.coefficient;
      if (coefficient === 0) byKey.delete(term.key);
      else byKey.set(term.key, before ? { ...before, coefficient } : term);
      divisions ||= term.factor.kind === 'mod';
    }
    if (divisions) {
      for (const term of byKey.values()) {
        if (term.factor.kind !== 'mod') continue;
        const { dividend, divisor } = term.factor;
        const whole = this.floorDivide(dividend, divisor);
        const parts = whole.terms;
        if (!equalDims(whole.offset, 0) || parts.length !== 1 || !equalDims(parts[0].coefficient, 1)) continue;
        const partner = byKey.get(parts[0].key);
        if (!partner || !equalDims(partner.coefficient, mulDims(term.coefficient, divisor))) continue;
        const others = [...byKey.values()].filter((other) => other !== term && other !== partner);
        const joined = dividend.terms.map((t) => ({ ...t, coefficient: mulDims(t.coefficient, term.coefficient) }));
        return this.#collect(addDims(offset, mulDims(dividend.offset, term.coefficient)), [...others, ...joined]);
      }
    }
    return new Index(offset, [...byKey.values()]);
  }
}

export interface ReshapeSegment {
  readonly fromStart: number;
  readonly fromEnd: number;
  readonly toStart: number;
  readonly toEnd: number;
}

/** Cuts two shapes with equally many elements into the shortest runs of axes that hold equally many elements. */
export function reshapeSegments(from: readonly Dim[], to: readonly Dim[]): ReshapeSegment[] {
  const segments: ReshapeSegment[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    let [fromEnd, toEnd] = [Math.min(i + 1, from.length), Math.min(j + 1, to.length)];
    for (;;) {
      const [a, b] = [dimProduct(from.slice(i, fromEnd)), dimProduct(to.slice(j, toEnd))];
      if (equalDims(a, b)) break;
      const growFrom = isAtMostDim(a, b) === 'always' || toEnd === to.length;
      const growTo = isAtMostDim(b, a) === 'always' || fromEnd === from.length;
      if (growFrom && fromEnd < from.length) fromEnd++;
      else if (growTo && toEnd < to.length) toEnd++;
      else [fromEnd, toEnd] = [from.length, to.length];
      if (fromEnd === from.length && toEnd === to.length) break;
    }
    if (dimProduct(from.slice(i, fromEnd)) === 0) [fromEnd, toEnd] = [from.length, to.length];
    segments.push({ fromStart: i, fromEnd, toStart: j, toEnd });
    [i, j] = [fromEnd, toEnd];
  }
  return segments;
}
