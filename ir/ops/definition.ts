/**
 * What an operation is. Each opcode has one `OpDefinition`: its meaning in a line, attributes, traits, labelled
 * constraints, type rule, reference evaluation, and a sampler for property tests. Builder, printer, parser, verifier,
 * evaluator, keys and the reference page derive from it; nobody else keeps lists of ops.
 *
 *     define({
 *       opcode: 'transpose', summary: 'Permutes axes', source: 'StableHLO transpose', operands: ['operand'],
 *       attributes: { permutation: 'integers' }, traits: { movesData: true, exact: true },
 *       constraints: { transpose_c1: 'permutation names every axis of the operand once' },
 *       infer: ([operand], { permutation }) => ..., evaluate: ..., sample: ...,
 *     })
 */
import type { Dim } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { type ErrorCode, internalError, KilnError } from '../../base/error.ts';
import type { OpAttributes, Opcode } from '../opcodes.ts';
import type { Func, Literal, TensorType } from '../types.ts';
import type { Random } from './random.ts';

/** What an attribute holds, as TypeScript sees it, by kind. Text form, keys and checks follow the kind. */
export interface AttributeValues {
  readonly dtype: DType;
  readonly dim: Dim;
  readonly dims: readonly Dim[];
  readonly integer: number;
  readonly integers: readonly number[];
  readonly integer_lists: readonly [readonly number[], readonly number[]];
  readonly dim_pairs: readonly (readonly [Dim, Dim])[];
  readonly literal: Literal;
  /** Name of a function of the module. */
  readonly function: string;
  /** One of the names that the schema lists. */
  readonly name: string;
}

/** A kind of `AttributeValues`, or for `name` the list of allowed names. */
export type AttributeKind = Exclude<keyof AttributeValues, 'name'> | readonly string[];

type KindFor<T> = [T] extends [Literal]
  ? 'literal'
  : [T] extends [DType]
    ? 'dtype'
    : [T] extends [string]
      ? string extends T
        ? 'function'
        : readonly T[]
      : [T] extends [number]
        ? 'integer'
        : [T] extends [Dim]
          ? 'dim'
          : [T] extends [readonly [readonly number[], readonly number[]]]
            ? 'integer_lists'
            : [T] extends [readonly number[]]
              ? 'integers'
              : [T] extends [readonly Dim[]]
                ? 'dims'
                : 'dim_pairs';

/** The kind of every attribute, in the order in which the text form prints them. */
export type AttributeSchema<K extends Opcode> = {
  readonly [A in keyof OpAttributes[K]]-?: KindFor<OpAttributes[K][A]>;
};

/** Which dtypes an operand may have. */
export type DTypeClass = 'any' | 'float' | 'integer' | 'number' | 'bits' | 'bool';

/** Facts that passes and tests ask for instead of keeping lists of opcodes. Absent means no. */
export interface Traits {
  /** Element `i` of the result depends on element `i` of each operand and on nothing else. All shapes are equal. */
  readonly elementwise?: true;
  /** `f(a, b)` is `f(b, a)`, bit for bit (but for which of two NaNs comes out). */
  readonly commutative?: true;
  /** `f(f(a, b), c)` is `f(a, f(b, c))`: for every dtype, or only where no rounding happens (integers and bool). */
  readonly associative?: 'always' | 'integers';
  /** `f(f(x))` is `f(x)`; for two operands `f(x, x)` is `x`. */
  readonly idempotent?: true;
  /** `f(f(x))` is `x`. */
  readonly involution?: true;
  /** Cheaper to compute again than to store and load: fusion may duplicate it freely. */
  readonly cheap?: true;
  /** Results are elements of the operands, moved, repeated, dropped or kept; nothing is computed from them. */
  readonly movesData?: true;
  /** Every engine and language gives the same bits, so folding it at compile time is safe. */
  readonly exact?: true;
  /** No gradient flows through it: its result is piecewise constant, or not a float. */
  readonly blocksGradient?: true;
  /** Floating point operations for one element of the result, roughly; for ops with `work`, see `flopsOf`. */
  readonly flops?: number;
}

export interface InferContext {
  /** Functions that `call` may name. */
  readonly functions: ReadonlyMap<string, Func>;
}

/** A type whose sizes are numbers. */
export interface ConcreteType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** `double`: floats stay in double precision throughout. `rounded`: every op's result is rounded to its dtype. */
export type EvaluationMode = 'double' | 'rounded';

export interface EvaluateContext {
  readonly mode: EvaluationMode;
  /** Types of the op's results with all sizes known. */
  readonly results: readonly ConcreteType[];
  /** The number a size stands for in this run. */
  size(dim: Dim): number;
  /** Runs another function of the module. */
  call(name: string, operands: readonly Literal[]): readonly Literal[];
}

/** Operands with values and attributes that satisfy every constraint of an op. */
export interface OpSample<K extends Opcode> {
  readonly operands: readonly Literal[];
  readonly attributes: OpAttributes[K];
}

export interface OpDefinition<K extends Opcode> {
  readonly opcode: K;
  /** One line on its meaning. */
  readonly summary: string;
  /** Where the meaning is specified, such as `StableHLO dot_general`. */
  readonly source: string;
  /** Names of the operands; a last one that starts with `...` stands for any number. */
  readonly operands: readonly string[];
  readonly attributes: AttributeSchema<K>;
  readonly traits: Traits;
  /** Corner cases and differences from the source, for the reference page. */
  readonly notes?: string;
  /** What must hold, by label (`<opcode>_c<number>`). The label stands in the error and in its test. */
  readonly constraints: Readonly<Record<string, string>>;
  /** Types of the results. Throws through `violate`. The number of operands has been checked. */
  infer(operands: readonly TensorType[], attributes: OpAttributes[K], context: InferContext): readonly TensorType[];
  /** Reference meaning on concrete values. Floats are computed in double; the caller rounds. */
  evaluate(operands: readonly Literal[], attributes: OpAttributes[K], context: EvaluateContext): readonly Literal[];
  /** Operands and attributes for property tests; absent only for `call`, which needs a module. */
  sample?(random: Random): OpSample<K>;
  /** Floating point operations of the whole op, where that is not `traits.flops` for each element of the result. */
  work?(operands: readonly TensorType[], attributes: OpAttributes[K], results: readonly TensorType[]): Dim;
}

const constraintTexts = new Map<string, string>();

/** Checks a definition's labels and makes them known to `violate`. */
export function define<K extends Opcode>(definition: OpDefinition<K>): OpDefinition<K> {
  for (const [label, text] of Object.entries(definition.constraints)) {
    if (opcodeOfLabel(label) !== definition.opcode) throw internalError(`constraint ${label} of ${definition.opcode}`);
    constraintTexts.set(label, text);
  }
  return definition;
}

/** `dot_general` of `dot_general_c3`. */
export const opcodeOfLabel = (label: string): string => label.replace(/_c\d+$/, '');

/**
 * Throws that a constraint does not hold.
 * @param given what was given instead, such as `f32[2,3] and f32[4,5]`
 */
export function violate(label: string, code: ErrorCode, given: string, hint?: string): never {
  const text = constraintTexts.get(label);
  if (text === undefined) throw internalError(`no constraint is labelled ${label}`);
  throw new KilnError(code, `${opcodeOfLabel(label)}: constraint ${label} does not hold`, {
    given,
    expected: text,
    ...(hint !== undefined && { hint }),
  });
}
