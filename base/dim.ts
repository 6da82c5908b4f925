/**
 * Sizes. A `Dim` is a number, or a symbolic expression such as `2*T+1` over named symbols with bounds. Expressions are
 * kept as polynomials in canonical order, so that two equal sizes are equal term by term:
 *
 *     const T = dim('T', { min: 1, max: 64 });
 *     addDims(mulDims(T, 2), 1)          // 2*T+1
 *     floorDivDims(addDims(T, 3), 4)     // floordiv(T+3,4)
 *
 * A question about sizes has three answers: always, never, unknown. Nobody guesses: whoever needs an answer to an
 * unknown either records a guard or throws.
 */
import { KilnError } from './error.ts';

/** A named size with inclusive bounds. */
export interface SymbolRange {
  readonly name: string;
  readonly min: number;
  readonly max: number;
}

type Factor =
  | { readonly kind: 'symbol'; readonly symbol: SymbolRange }
  | { readonly kind: 'floordiv' | 'mod'; readonly dividend: Dim; readonly divisor: Dim };

interface Term {
  readonly coefficient: number;
  /** Sorted by text; a square is the factor twice. Never empty. */
  readonly factors: readonly Factor[];
}

/** A size: a non-negative integer, or an expression over symbols. Differences of sizes may be negative. */
export type Dim = number | SymbolicDim;

/** A size that is not known yet. It prints as its formula; arithmetic on it as if it were a number is an error. */
export class SymbolicDim {
  readonly terms: readonly Term[];
  readonly constant: number;
  #text: string | undefined;

  constructor(terms: readonly Term[], constant: number) {
    this.terms = terms;
    this.constant = constant;
  }

  toString(): string {
    this.#text ??= formatPolynomial(this);
    return this.#text;
  }

  [Symbol.toPrimitive](hint: string): string {
    if (hint === 'string') return this.toString();
    throw new KilnError('unknown_size', `the size ${this} is symbolic: it has no number while the function is traced`, {
      given: `arithmetic or comparison on ${this}`,
      hint: 'use addDims, mulDims, floorDivDims from kilnjs, or give this axis a fixed size',
    });
  }
}

/**
 * A symbolic size.
 * @param name identifier; the same name means the same size everywhere in one function
 * @param bounds inclusive bounds, `min` 1 and `max` 2^31-1 unless given
 * @throws KilnError `invalid_size` for bounds that are not integers or cross
 */
export function dim(name: string, bounds: { readonly min?: number; readonly max?: number } = {}): SymbolicDim {
  const { min = 1, max = 2 ** 31 - 1 } = bounds;
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || name === 'floordiv' || name === 'mod') {
    throw new KilnError('invalid_argument', 'dim: the name of a symbolic size must be an identifier', { given: name });
  }
  if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max) || min < 0 || min > max) {
    throw new KilnError('invalid_size', `dim: bounds of ${name}`, {
      given: `min ${min}, max ${max}`,
      expected: 'integers with 0 <= min <= max',
    });
  }
  return new SymbolicDim([{ coefficient: 1, factors: [{ kind: 'symbol', symbol: { name, min, max } }] }], 0);
}

const factorText = (factor: Factor): string =>
  factor.kind === 'symbol' ? factor.symbol.name : `${factor.kind}(${factor.dividend},${factor.divisor})`;
const factorsText = (factors: readonly Factor[]): string => factors.map(factorText).join('*');

function formatPolynomial({ terms, constant }: SymbolicDim): string {
  const parts = terms.map(({ coefficient, factors }) => {
    const product = factorsText(factors);
    if (coefficient === 1) return `+${product}`;
    if (coefficient === -1) return `-${product}`;
    return `${coefficient < 0 ? '' : '+'}${coefficient}*${product}`;
  });
  if (constant !== 0) parts.push(constant < 0 ? String(constant) : `+${constant}`);
  return parts.join('').replace(/^\+/, '');
}

const termsOf = (d: Dim): readonly Term[] => (typeof d === 'number' ? [] : d.terms);
const constantOf = (d: Dim): number => (typeof d === 'number' ? d : d.constant);

function polynomial(terms: Iterable<Term>, constant: number): Dim {
  const byFactors = new Map<string, Term>();
  for (const term of terms) {
    const key = factorsText(term.factors);
    const before = byFactors.get(key);
    byFactors.set(key, before ? { ...term, coefficient: before.coefficient + term.coefficient } : term);
  }
  const kept = [...byFactors].filter(([, term]) => term.coefficient !== 0);
  if (kept.length === 0) return constant;
  kept.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return new SymbolicDim(
    kept.map(([, term]) => term),
    constant,
  );
}

export const addDims = (a: Dim, b: Dim): Dim =>
  typeof a === 'number' && typeof b === 'number'
    ? a + b
    : polynomial([...termsOf(a), ...termsOf(b)], constantOf(a) + constantOf(b));

export function mulDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  const terms: Term[] = [];
  const [ca, cb] = [constantOf(a), constantOf(b)];
  for (const t of termsOf(a)) terms.push({ ...t, coefficient: t.coefficient * cb });
  for (const t of termsOf(b)) terms.push({ ...t, coefficient: t.coefficient * ca });
  for (const s of termsOf(a)) {
    for (const t of termsOf(b)) {
      const factors = [...s.factors, ...t.factors].sort((x, y) => (factorText(x) < factorText(y) ? -1 : 1));
      terms.push({ coefficient: s.coefficient * t.coefficient, factors });
    }
  }
  return polynomial(terms, ca * cb);
}

export const subDims = (a: Dim, b: Dim): Dim => addDims(a, mulDims(b, -1));

/** Splits `a` into the part that `divisor` divides term by term and the rest; only for products it can see through. */
function divideExactly(a: Dim, divisor: Dim): { readonly quotient: Dim; readonly rest: Dim } {
  if (typeof divisor === 'number') {
    const quotient = polynomial(
      termsOf(a)
        .filter((t) => t.coefficient % divisor === 0)
        .map((t) => ({ ...t, coefficient: t.coefficient / divisor })),
      Math.floor(constantOf(a) / divisor),
    );
    return { quotient, rest: subDims(a, mulDims(quotient, divisor)) };
  }
  if (divisor.terms.length !== 1 || divisor.constant !== 0) return { quotient: 0, rest: a };
  const [by] = divisor.terms;
  const divided: Term[] = [];
  let whole = 0;
  for (const term of termsOf(a)) {
    const left = [...term.factors];
    const fits = by.factors.every((factor) => {
      const at = left.findIndex((other) => factorText(other) === factorText(factor));
      if (at >= 0) left.splice(at, 1);
      return at >= 0;
    });
    if (!fits || term.coefficient % by.coefficient !== 0) continue;
    if (left.length === 0) whole += term.coefficient / by.coefficient;
    else divided.push({ coefficient: term.coefficient / by.coefficient, factors: left });
  }
  const quotient = polynomial(divided, whole);
  return { quotient, rest: subDims(a, mulDims(quotient, divisor)) };
}

/** `floor(a / b)`, for `b` that is positive. */
export function floorDivDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return Math.floor(a / b);
  if (b === 1) return a;
  const { quotient, rest } = divideExactly(a, b);
  const [low, high] = dimBounds(rest);
  if (low >= 0 && high < dimBounds(b)[0]) return quotient;
  return addDims(
    quotient,
    new SymbolicDim([{ coefficient: 1, factors: [{ kind: 'floordiv', dividend: rest, divisor: b }] }], 0),
  );
}

/** `a - b * floor(a / b)`, for `b` that is positive. */
export function modDims(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a - b * Math.floor(a / b);
  if (b === 1) return 0;
  const { rest } = divideExactly(a, b);
  const [low, high] = dimBounds(rest);
  if (low >= 0 && high < dimBounds(b)[0]) return rest;
  return new SymbolicDim([{ coefficient: 1, factors: [{ kind: 'mod', dividend: rest, divisor: b }] }], 0);
}

export const ceilDivDims = (a: Dim, b: Dim): Dim => floorDivDims(addDims(a, subDims(b, 1)), b);

/** The number of elements of a shape. */
export const dimProduct = (shape: readonly Dim[]): Dim => shape.reduce<Dim>(mulDims, 1);

export const isStatic = (d: Dim): d is number => typeof d === 'number';
export const isStaticShape = (shape: readonly Dim[]): shape is readonly number[] => shape.every(isStatic);

/** Inclusive bounds by interval arithmetic; exact for a single symbol. */
export function dimBounds(d: Dim): readonly [number, number] {
  if (typeof d === 'number') return [d, d];
  let [low, high] = [d.constant, d.constant];
  for (const { coefficient, factors } of d.terms) {
    let [l, h] = [1, 1];
    for (const factor of factors) {
      const [fl, fh] = factorBounds(factor);
      const corners = [l * fl, l * fh, h * fl, h * fh];
      [l, h] = [Math.min(...corners), Math.max(...corners)];
    }
    low += coefficient * (coefficient < 0 ? h : l);
    high += coefficient * (coefficient < 0 ? l : h);
  }
  return [low, high];
}

function factorBounds(factor: Factor): readonly [number, number] {
  if (factor.kind === 'symbol') return [factor.symbol.min, factor.symbol.max];
  const [divisorLow, divisorHigh] = dimBounds(factor.divisor);
  if (factor.kind === 'mod') return [0, divisorHigh - 1];
  const [low, high] = dimBounds(factor.dividend);
  const corners = [low / divisorLow, low / divisorHigh, high / divisorLow, high / divisorHigh].map(Math.floor);
  return [Math.min(...corners), Math.max(...corners)];
}

/** Whether two sizes are the same expression, hence equal whatever the symbols are. */
export const equalDims = (a: Dim, b: Dim): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && a.toString() === b.toString());

export const equalShapes = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((d, i) => equalDims(d, b[i]));

export type Answer = 'always' | 'never' | 'unknown';

/** Whether `a == b`, as far as the bounds tell. */
export function isEqualDim(a: Dim, b: Dim): Answer {
  if (equalDims(a, b)) return 'always';
  const [low, high] = dimBounds(subDims(a, b));
  if (low === 0 && high === 0) return 'always';
  return low > 0 || high < 0 ? 'never' : 'unknown';
}

/** Whether `a <= b`, as far as the bounds tell. */
export function isAtMostDim(a: Dim, b: Dim): Answer {
  const [low, high] = dimBounds(subDims(a, b));
  if (high <= 0) return 'always';
  return low > 0 ? 'never' : 'unknown';
}

/** The symbols of sizes, each once, by name. */
export function symbolsOf(...dims: readonly Dim[]): SymbolRange[] {
  const found = new Map<string, SymbolRange>();
  const visit = (d: Dim): void => {
    for (const factor of termsOf(d).flatMap((t) => t.factors)) {
      if (factor.kind === 'symbol') found.set(factor.symbol.name, factor.symbol);
      else {
        visit(factor.dividend);
        visit(factor.divisor);
      }
    }
  };
  dims.forEach(visit);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Values of symbols, by name. */
export type DimBindings = ReadonlyMap<string, number>;

/** The number a size stands for. @throws KilnError `unknown_size` when a symbol has no value. */
export function evaluateDim(d: Dim, bindings: DimBindings): number {
  if (typeof d === 'number') return d;
  let sum = d.constant;
  for (const { coefficient, factors } of d.terms) {
    sum += factors.reduce((product, factor) => product * evaluateFactor(factor, bindings), coefficient);
  }
  return sum;
}

function evaluateFactor(factor: Factor, bindings: DimBindings): number {
  if (factor.kind === 'symbol') {
    const value = bindings.get(factor.symbol.name);
    if (value === undefined)
      throw new KilnError('unknown_size', `no value for the symbolic size ${factor.symbol.name}`);
    return value;
  }
  const [a, b] = [evaluateDim(factor.dividend, bindings), evaluateDim(factor.divisor, bindings)];
  return factor.kind === 'floordiv' ? Math.floor(a / b) : a - b * Math.floor(a / b);
}

/** Replaces symbols by sizes. */
export function substituteDim(d: Dim, replacements: ReadonlyMap<string, Dim>): Dim {
  if (typeof d === 'number') return d;
  return d.terms.reduce<Dim>((sum, { coefficient, factors }) => {
    const product = factors.reduce<Dim>((p, factor) => {
      if (factor.kind === 'symbol') {
        const whole = new SymbolicDim([{ coefficient: 1, factors: [factor] }], 0);
        return mulDims(p, replacements.get(factor.symbol.name) ?? whole);
      }
      const [a, b] = [substituteDim(factor.dividend, replacements), substituteDim(factor.divisor, replacements)];
      return mulDims(p, factor.kind === 'floordiv' ? floorDivDims(a, b) : modDims(a, b));
    }, coefficient);
    return addDims(sum, product);
  }, d.constant);
}

export const formatDim = (d: Dim): string => String(d);

/** The most terms and factors, with those inside of factors, of what is read; those that anybody writes have some dozens. */
const mostWeight = 10_000;

/** How much there is to go through in an expression, whose factors may stand in many of its terms. */
function weightOf(d: Dim): number {
  let weight = 1;
  for (const { factors } of termsOf(d)) {
    weight += 1;
    for (const factor of factors) {
      weight += factor.kind === 'symbol' ? 1 : weightOf(factor.dividend) + weightOf(factor.divisor);
    }
    if (weight > mostWeight) break;
  }
  return weight;
}

/**
 * Reads the text that `formatDim` writes. Some lines of text can stand for more terms than there is memory for, such as
 * `(A+B+1)*(A+B+1)*…`; those are refused.
 * @param symbols ranges of the names that may occur
 * @throws KilnError `invalid_ir`
 */
export function parseDim(text: string, symbols: ReadonlyMap<string, SymbolRange>): Dim {
  const tokens = text.match(/[A-Za-z_][A-Za-z0-9_]*|\d+|[-+*(),]/g) ?? [];
  let at = 0;
  const fail = (): never => {
    throw new KilnError('invalid_ir', `not a size expression: '${text}'`);
  };
  const take = (token: string): void => {
    if (tokens[at++] !== token) fail();
  };
  const assertLight = (weight: number): void => {
    if (weight > mostWeight) fail();
  };
  const atom = (): Dim => {
    const token = tokens[at++];
    if (token === undefined) return fail();
    if (/^\d+$/.test(token)) return Number(token);
    if (token === '(') {
      const inner = sum();
      take(')');
      return inner;
    }
    if (token === 'floordiv' || token === 'mod') {
      take('(');
      const dividend = sum();
      take(',');
      const divisor = sum();
      take(')');
      if (dimBounds(divisor)[1] < 1) fail();
      assertLight(weightOf(dividend) * weightOf(divisor));
      return token === 'floordiv' ? floorDivDims(dividend, divisor) : modDims(dividend, divisor);
    }
    const symbol = symbols.get(token);
    return symbol ? dim(symbol.name, symbol) : fail();
  };
  const product = (): Dim => {
    let value = atom();
    while (tokens[at] === '*') {
      at++;
      const factor = atom();
      assertLight(weightOf(value) * weightOf(factor));
      value = mulDims(value, factor);
    }
    return value;
  };
  const sum = (): Dim => {
    const negative = tokens[at] === '-';
    if (negative) at++;
    let value = product();
    if (negative) value = mulDims(value, -1);
    while (tokens[at] === '+' || tokens[at] === '-') {
      const sign = tokens[at++] === '+' ? 1 : -1;
      value = addDims(value, mulDims(product(), sign));
      assertLight(weightOf(value));
    }
    return value;
  };
  if (tokens.join('') !== text.replace(/\s/g, '')) fail();
  const value = sum();
  return at === tokens.length ? value : fail();
}
