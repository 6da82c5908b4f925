/**
 * The state of an accumulator as variables: how it begins, takes an element, merges with another and ends. Every way
 * to reduce (one thread, a workgroup's tree, two stages) is made of these.
 *
 *     sum      one variable        argmax   value and position        tuple    one for each part
 */
import { computeDType, type DType, isFloat } from '../../base/dtype.ts';
import type { Accumulator, ClosedAccumulator, Reduce, ScalarId, TupleAccumulator } from '../../ir/kernel.ts';
import type { Body, Lanes } from './body.ts';
import { combineText, constantText, identityText, winsText } from './math/index.ts';
import { mathContext } from './memory.ts';
import { typeText } from './storage.ts';

/** One of the variables. */
export interface StateVariable {
  readonly dtype: DType;
  readonly type: string;
  readonly identity: string;
}

/** Whether the state has one lane only: of four elements it takes one after the other. */
export const isScalar = ({ kind }: Accumulator): boolean => kind === 'tuple' || kind === 'argmax' || kind === 'argmin';

/** How many variables the state has. */
export const variablesOf = (accumulator: Accumulator): number =>
  accumulator.kind === 'tuple' ? accumulator.results.length : isScalar(accumulator) ? 2 : 1;

const elementText = (body: Body, id: ScalarId, lanes: Lanes, lane: number | undefined): string =>
  lane === undefined ? body.textOf(id, lanes) : `${body.textOf(id, 4)}[${lane}]`;

/** A position behind all others, of a state that has taken nothing. */
const nowhere = '2147483647';

export abstract class AccumulatorState {
  readonly body: Body;
  readonly lanes: Lanes;
  abstract readonly variables: readonly StateVariable[];
  /** Whether rounding makes long runs of additions inexact. */
  abstract readonly isFloatSum: boolean;

  constructor(body: Body, lanes: Lanes) {
    this.body = body;
    this.lanes = lanes;
  }

  /** Declares variables that hold the identity. Their names. */
  declare(prefix: string): string[] {
    return this.variables.map(({ identity, type }) => {
      const name = this.body.unique(`${prefix}${this.number}`);
      this.body.line(`var ${name}: ${type} = ${identity};`);
      return name;
    });
  }

  /** For names. */
  abstract readonly number: number;
  /** The element that the loop is at; with a number, that of one lane of a loop that has four. */
  abstract element(lane?: number): string[];
  /** Writes what combines two states; texts of the result. */
  abstract combine(left: readonly string[], right: readonly string[]): string[];
  /** Gives the results their values. */
  abstract finish(state: readonly string[]): void;

  /** Takes the element that the loop is at. */
  step(into: readonly string[]): void {
    this.merge(into, this.element());
  }

  /** Takes another state, which comes behind. */
  merge(into: readonly string[], other: readonly string[]): void {
    const combined = this.combine(into, other);
    combined.forEach((text, i) => {
      this.body.line(`${into[i]} = ${text};`);
    });
  }
}

class ClosedState extends AccumulatorState {
  readonly #accumulator: ClosedAccumulator;
  readonly variables: readonly StateVariable[];
  readonly isFloatSum: boolean;
  readonly number: number;

  constructor(body: Body, accumulator: ClosedAccumulator, lanes: Lanes) {
    super(body, lanes);
    this.#accumulator = accumulator;
    const { kind } = accumulator;
    const dtype = computeDType(accumulator.dtype);
    this.number = accumulator.result;
    this.isFloatSum = kind === 'sum' && isFloat(dtype);
    const context = mathContext(body.shader, lanes);
    const identity = identityText(context, kind as Exclude<typeof kind, 'argmax' | 'argmin'>, accumulator.dtype);
    this.variables = [{ dtype, type: typeText(dtype, lanes), identity }];
  }

  element(lane?: number): string[] {
    return [elementText(this.body, this.#accumulator.value, this.lanes, lane)];
  }

  combine([left]: readonly string[], [right]: readonly string[]): string[] {
    const { kind, dtype } = this.#accumulator;
    const closed = kind as Exclude<typeof kind, 'argmax' | 'argmin'>;
    return [combineText(mathContext(this.body.shader, this.lanes), closed, dtype, left, right)];
  }

  finish([state]: readonly string[]): void {
    const [{ dtype }] = this.variables;
    this.body.bind(this.#accumulator.result, { text: state, dtype, lanes: this.lanes });
  }
}

class ExtremumState extends AccumulatorState {
  readonly #accumulator: ClosedAccumulator;
  readonly #axis: string;
  readonly #dtype: DType;
  readonly variables: readonly StateVariable[];
  readonly isFloatSum = false;
  readonly number: number;

  constructor(body: Body, accumulator: ClosedAccumulator, { axes }: Reduce) {
    super(body, 1);
    this.#accumulator = accumulator;
    this.number = accumulator.result;
    this.#axis = axes[axes.length - 1].name;
    // The dtype of the accumulator is that of its result, a position.
    this.#dtype = body.facts.dtypes.get(accumulator.value) ?? 'float32';
    const dtype = computeDType(this.#dtype);
    const kind = accumulator.kind === 'argmax' ? 'max' : 'min';
    this.variables = [
      { dtype, type: typeText(dtype, 1), identity: identityText(mathContext(body.shader, 1), kind, dtype) },
      { dtype: 'int32', type: 'i32', identity: nowhere },
    ];
  }

  element(lane?: number): string[] {
    const position = this.body.axes.get(this.#axis) ?? '0';
    return [elementText(this.body, this.#accumulator.value, 1, lane), lane ? `${position} + ${lane}` : position];
  }

  combine(left: readonly string[], right: readonly string[]): string[] {
    const kind = this.#accumulator.kind === 'argmax' ? 'argmax' : 'argmin';
    const wins = this.body.unique('wins');
    const context = mathContext(this.body.shader, 1);
    const text = winsText(context, kind, this.#dtype, right[0], right[1], left[0], left[1]);
    this.body.line(`let ${wins} = ${text};`);
    return [0, 1].map((i) => `select(${left[i]}, ${right[i]}, ${wins})`);
  }

  finish([, position]: readonly string[]): void {
    const { result } = this.#accumulator;
    this.body.define(result, 'int32', 1, `select(${position}, 0, ${position} == ${nowhere})`);
  }
}

class TupleState extends AccumulatorState {
  readonly #accumulator: TupleAccumulator;
  readonly variables: readonly StateVariable[];
  readonly isFloatSum = false;
  readonly number: number;

  constructor(body: Body, accumulator: TupleAccumulator) {
    super(body, 1);
    this.#accumulator = accumulator;
    this.number = accumulator.results[0];
    const context = mathContext(body.shader, 1);
    this.variables = accumulator.dtypes.map((stored, i) => {
      const dtype = computeDType(stored);
      return { dtype, type: typeText(dtype, 1), identity: constantText(context, dtype, accumulator.identity[i]) };
    });
  }

  element(lane?: number): string[] {
    return this.#accumulator.values.map((id) => elementText(this.body, id, 1, lane));
  }

  combine(left: readonly string[], right: readonly string[]): string[] {
    const { left: lefts, right: rights, body: lets, combined } = this.#accumulator;
    this.variables.forEach(({ dtype }, i) => {
      this.body.bind(lefts[i], { text: left[i], dtype, lanes: 1 });
      this.body.bind(rights[i], { text: right[i], dtype, lanes: 1 });
    });
    this.body.nodes(lets);
    return combined.map((id) => {
      const name = this.body.unique('combined');
      this.body.line(`let ${name} = ${this.body.textOf(id, 1)};`);
      return name;
    });
  }

  finish(state: readonly string[]): void {
    this.#accumulator.results.forEach((id, i) => {
      this.body.bind(id, { text: state[i], dtype: this.variables[i].dtype, lanes: 1 });
    });
  }
}

/** The state of an accumulator of a reduction, whose closed kinds may have four lanes. */
export function stateOf(body: Body, accumulator: Accumulator, reduce: Reduce, lanes: Lanes): AccumulatorState {
  if (accumulator.kind === 'tuple') return new TupleState(body, accumulator);
  if (accumulator.kind === 'argmax' || accumulator.kind === 'argmin')
    return new ExtremumState(body, accumulator, reduce);
  return new ClosedState(body, accumulator, lanes);
}
