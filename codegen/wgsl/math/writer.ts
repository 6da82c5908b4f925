/**
 * Functions of WGSL from one template for single values and for vectors of four. In WGSL a vector and a number may be
 * added and multiplied, but comparisons, bit operations, `select`, `fma`, `min` and `max` want both alike: a template
 * writes types and such constants through the writer, which knows how many lanes there are.
 *
 *     const halfOrMore = functionTemplate('half_or_more', { x: 'f' }, 'f', (w) => `return max(x, ${w.f(0.5)});`);
 *     writer.call(halfOrMore, 'v1')     // half_or_more_vec4f(v1), and in the module
 *
 *     fn half_or_more_vec4f(x: vec4f) -> vec4f {
 *       return max(x, vec4f(0.5));
 *     }
 *
 * Implementations of WGSL may assume that there are no NaN and no infinities, may flush subnormal numbers to zero, and
 * may reassociate sums and products (Metal's fast math does all three). What decides about NaN is therefore written on
 * bits, as integers; sums whose grouping matters are `fma`, which is not taken apart, and its fusing is not relied on.
 */
import { internalError } from '../../../base/error.ts';

/** Where the text goes. */
export interface MathContext {
  readonly precision: 'fast' | 'strict';
  /** How many values an expression holds: 1 (`f32`, `i32`, `u32`, `bool`) or 4 (`vec4f`, `vec4i`, `vec4u`, `vec4<bool>`). */
  readonly lanes: 1 | 4;
  /**
   * Makes sure that a declaration of the module, mostly a function, is there once. Equal names have equal texts; what
   * a text uses is asked for as well.
   */
  helper(name: string, text: string): void;
}

/** The type of a lane: f32, i32, u32 or bool. */
export type LaneKind = 'f' | 'i' | 'u' | 'b';

/**
 * A private variable that is zero, though no compiler knows: entry points of modules that have it set it to something
 * that is zero in every launch.
 */
export const opaqueZero = 'opaque_zero';

const scalarTypes = { f: 'f32', i: 'i32', u: 'u32', b: 'bool' } as const;
const vectorTypes = { f: 'vec4f', i: 'vec4i', u: 'vec4u', b: 'vec4<bool>' } as const;

/** A function for any number of lanes. */
export interface FunctionTemplate {
  readonly name: string;
  /** Names and kinds of the parameters, in order. */
  readonly parameters: Readonly<Record<string, LaneKind>>;
  readonly result: LaneKind;
  /** The statements, one a line, without indentation. */
  readonly body: (w: Writer) => string;
  /** For loops whose number of rounds depends on the value: four lanes are four calls. */
  readonly isLaneByLane: boolean;
}

export const functionTemplate = (
  name: string,
  parameters: Readonly<Record<string, LaneKind>>,
  result: LaneKind,
  body: (w: Writer) => string,
): FunctionTemplate => ({ name, parameters, result, body, isLaneByLane: false });

export const laneTemplate = (
  name: string,
  parameters: Readonly<Record<string, LaneKind>>,
  result: LaneKind,
  body: (w: Writer) => string,
): FunctionTemplate => ({ name, parameters, result, body, isLaneByLane: true });

const largest = (2 - 2 ** -23) * 2 ** 127;

/**
 * The shortest decimal that is a float32 exactly, as an abstract float of WGSL.
 * @param value finite and not -0
 */
export function floatLiteral(value: number): string {
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded) || Object.is(rounded, -0)) throw internalError(`no literal of WGSL is ${value}`);
  // Beyond the greatest float32 a literal is refused, be it nearest to that.
  const isExact = (decimal: number): boolean => Math.fround(decimal) === rounded && Math.abs(decimal) <= largest;
  const digits = [1, 2, 3, 4, 5, 6, 7, 8, 9].find((count) => isExact(Number(rounded.toPrecision(count))));
  const shortest = digits === undefined ? rounded : Number(rounded.toPrecision(digits));
  const size = Math.abs(shortest);
  const isPlain = size === 0 || (size >= 1e-3 && size < 1e9);
  const text = isPlain ? String(shortest) : shortest.toExponential().replace('e+', 'e');
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/** Writes types, constants and calls for a number of lanes. */
export class Writer {
  readonly context: MathContext;
  readonly lanes: 1 | 4;
  /** Types of float, signed, unsigned and bool values. */
  readonly F: string;
  readonly I: string;
  readonly U: string;
  readonly B: string;

  constructor(context: MathContext, lanes: 1 | 4 = context.lanes) {
    this.context = context;
    this.lanes = lanes;
    [this.F, this.I, this.U, this.B] = (['f', 'i', 'u', 'b'] as const).map((kind) => this.type(kind));
  }

  type(kind: LaneKind): string {
    return (this.lanes === 1 ? scalarTypes : vectorTypes)[kind];
  }

  #splat(kind: LaneKind, text: string): string {
    return this.lanes === 1 ? text : `${this.type(kind)}(${text})`;
  }

  /** A finite float constant, not -0. */
  f(value: number): string {
    return this.#splat('f', floatLiteral(value));
  }

  /** A signed constant. `2147483648i` would be out of range, so that the least integer is no literal. */
  i(value: number): string {
    if (value === -(2 ** 31)) return `${this.I}(-2147483648)`;
    return this.#splat('i', `${value}i`);
  }

  /** An unsigned constant. */
  u(value: number): string {
    return this.#splat('u', `${value}u`);
  }

  /** A constant of bits, signed or unsigned, in hexadecimal. */
  mask(kind: 'i' | 'u', bits: number): string {
    return this.#splat(kind, `0x${bits.toString(16)}${kind}`);
  }

  /**
   * Bits of NaN or an infinity as a value. A compiler that assumes there are none discards what it can prove to be one
   * (https://github.com/WebKit/WebKit/pull/39018): these bits it can not know.
   */
  special(bits: number): string {
    this.context.helper(opaqueZero, `var<private> ${opaqueZero}: u32;`);
    return this.#splat('u', `0x${bits.toString(16)}u | ${opaqueZero}`);
  }

  b(value: boolean): string {
    return this.#splat('b', String(value));
  }

  /** The bits of floats. */
  bits(x: string): string {
    return `bitcast<${this.U}>(${x})`;
  }

  /** The bits of floats or unsigned integers, signed. */
  signedBits(x: string): string {
    return `bitcast<${this.I}>(${x})`;
  }

  /** Floats of bits. */
  float(bits: string): string {
    return `bitcast<${this.F}>(${bits})`;
  }

  /** A condition of all lanes as one of a statement: whether any holds. */
  any(condition: string): string {
    return this.lanes === 1 ? condition : `any(${condition})`;
  }

  /** Statements that evaluate a polynomial, constant term first, by Horner's rule, into a variable `name`. */
  polynomial(name: string, x: string, coefficients: readonly number[]): string {
    const last = coefficients.length - 1;
    const steps = coefficients
      .slice(0, last)
      .reverse()
      .map((coefficient) => `${name} = fma(${name}, ${x}, ${this.f(coefficient)});`);
    return [`var ${name} = ${this.f(coefficients[last])};`, ...steps].join('\n');
  }

  /** A call of a function, which the module then has. */
  call(template: FunctionTemplate, ...operands: readonly string[]): string {
    return `${this.#declare(template)}(${operands.join(', ')})`;
  }

  #declare(template: FunctionTemplate): string {
    const { name, parameters, result, isLaneByLane } = template;
    const kinds = Object.entries(parameters);
    const fullName = `${name}_${this.type(kinds[0][1]).replace('vec4<bool>', 'vec4b')}`;
    const list = kinds.map(([parameter, kind]) => `${parameter}: ${this.type(kind)}`).join(', ');
    const body = isLaneByLane && this.lanes === 4 ? this.#laneByLane(template) : template.body(this);
    this.context.helper(fullName, `fn ${fullName}(${list}) -> ${this.type(result)} {\n${indent(body)}\n}`);
    return fullName;
  }

  #laneByLane(template: FunctionTemplate): string {
    const scalar = new Writer(this.context, 1);
    const lane = (component: string): string =>
      scalar.call(template, ...Object.keys(template.parameters).map((parameter) => `${parameter}.${component}`));
    return `return ${this.type(template.result)}(${['x', 'y', 'z', 'w'].map(lane).join(', ')});`;
  }
}

/** Indents lines by the braces around them. */
function indent(body: string): string {
  let depth = 1;
  return body
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => {
      if (line.startsWith('}')) depth--;
      const text = '  '.repeat(depth) + line;
      if (line.endsWith('{')) depth++;
      return text;
    })
    .join('\n');
}
