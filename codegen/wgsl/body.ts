/**
 * The body of a kernel as statements for one thread. A value is a `let` named after its number; with lanes, values
 * that move along the lanes' axis are vectors of four and all others are scalars, which are spread where the two meet.
 *
 *     %4: f32 = multiply %2, %3      →     let v4 = v2 * v3;
 *
 * Schedules decide what an axis and a scratch array are (`axes`, `scratch`), and may take over whole nodes.
 */
import type { Dim } from '../../base/dim.ts';
import { computeDType, type DType } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import {
  combineOpcode,
  type IndexExpression,
  type KernelNode,
  type Let,
  type Loop,
  type Reduce,
  type ScalarId,
  type Store,
} from '../../ir/kernel.ts';
import { coefficientOf, valuesOfIndex } from '../common/linear-index.ts';
import { stateOf } from './accumulators.ts';
import { type IndexScope, indexText } from './index-text.ts';
import { laneMotion } from './lanes.ts';
import { applyText, constantText } from './math/index.ts';
import { canAccessVector, loadText, loadVectorText, mathContext, storeText, storeVectorText } from './memory.ts';
import { nameOfAxis } from './names.ts';
import type { Shader } from './shader.ts';
import { Statements } from './statements.ts';
import { typeText } from './storage.ts';

export type Lanes = 1 | 4;

export interface Value {
  readonly text: string;
  readonly dtype: DType;
  readonly lanes: Lanes;
}

/** A scratch array as a schedule has placed it: whole words, one an element. */
export interface ScratchAccess {
  readonly dtype: DType;
  load(index: string): string;
  store(index: string, value: string): string;
}

/** What is known of the kernel as a whole. */
export interface BodyFacts {
  readonly extents: ReadonlyMap<string, Dim>;
  readonly dtypes: ReadonlyMap<ScalarId, DType>;
}

export interface LaneAxis {
  readonly axis: string;
  /** The extent, where the last four lanes may go beyond it. */
  readonly ragged?: Dim;
}

/** What bodies find in scope. */
const reservedNames = ['workgroup', 'local', 'sizes', 'scratch', 'subgroup_lane', 'subgroup_width'];

/** Elements that are added one after the other at most: longer sums are made of such blocks. */
const summedInARow = 256;

export class Body extends Statements {
  readonly shader: Shader;
  readonly facts: BodyFacts;
  /** The axis along which values have four lanes; schedules set it for the loops that have them. */
  lanes: LaneAxis | undefined;
  /** What each axis in scope stands for. */
  readonly axes = new Map<string, string>();
  readonly values = new Map<ScalarId, Value>();
  readonly scratch: Map<string, ScratchAccess>;

  constructor(shader: Shader, facts: BodyFacts, lanes?: LaneAxis) {
    super([...reservedNames, ...[...shader.buffers.values()].map(({ name }) => name)]);
    this.shader = shader;
    this.facts = facts;
    this.lanes = lanes;
    this.scratch = new Map(shader.arrays.accesses(shader));
  }

  nodes(nodes: readonly KernelNode[]): void {
    for (const node of nodes) this.node(node);
  }

  node(node: KernelNode): void {
    if (node.kind === 'let') this.let(node);
    else if (node.kind === 'store') this.store(node);
    else if (node.kind === 'loop') this.loop(node);
    else if (node.kind === 'reduce') this.reduce(node);
    else throw internalError('a sort is not the work of one thread');
  }

  value(id: ScalarId): Value {
    const value = this.values.get(id);
    if (!value) throw internalError(`%${id} has no value here`);
    return value;
  }

  /** The text of a value with so many lanes. */
  textOf(id: ScalarId, lanes: Lanes): string {
    const value = this.value(id);
    return value.lanes === lanes ? value.text : spread(value);
  }

  /** A `let` for an expression, and the value that it is. */
  define(id: ScalarId, dtype: DType, lanes: Lanes, expression: string): void {
    const name = this.unique(`v${id}`);
    this.line(`let ${name} = ${expression};`);
    this.bind(id, { text: name, dtype, lanes });
  }

  /** A scratch array, where a schedule has placed it. */
  array(memory: string): ScratchAccess {
    const array = this.scratch.get(memory);
    if (!array) throw internalError(`scratch array ${memory} has no place`);
    return array;
  }

  bind(id: ScalarId, value: Value): void {
    this.values.set(id, value);
  }

  let(node: Let): void {
    const { id, expression } = node;
    const dtype = computeDType(node.dtype);
    switch (expression.kind) {
      case 'constant':
        // Named, since expressions of literals alone are computed, and refused, by the shader compiler.
        this.define(id, dtype, 1, constantText(mathContext(this.shader, 1), dtype, expression.value));
        return;
      case 'size': {
        const size = this.unique('size');
        this.line(`let ${size} = ${this.shader.size(expression.size)};`);
        this.define(id, dtype, 1, this.#converted(size, 'int32', dtype, 1));
        return;
      }
      case 'index': {
        const lanes = this.#lanesOfIndex(expression.index);
        this.define(
          id,
          dtype,
          lanes,
          this.#converted(this.#indexValue(expression.index, lanes), 'int32', dtype, lanes),
        );
        return;
      }
      case 'load':
        this.#load(node);
        return;
      case 'apply': {
        const { opcode, operands, direction } = expression;
        const lanes: Lanes = operands.some((operand) => this.value(operand).lanes === 4) ? 4 : 1;
        const from = operands.length === 0 ? dtype : this.value(operands[0]).dtype;
        const texts = operands.map((operand) => this.textOf(operand, lanes));
        const op = { opcode, dtype: node.dtype, from, ...(direction && { direction }) };
        this.define(id, dtype, lanes, applyText(mathContext(this.shader, lanes), op, texts));
      }
    }
  }

  #converted(text: string, from: DType, dtype: DType, lanes: Lanes): string {
    if (from === dtype) return text;
    return applyText(mathContext(this.shader, lanes), { opcode: 'convert', dtype, from }, [`(${text})`]);
  }

  /** The names that an index refers to; with a number, those of one lane. */
  #scope(lane?: number): IndexScope {
    return {
      extents: this.facts.extents,
      axis: (name) => this.#axisText(name, lane),
      value: (id) => {
        const value = this.value(id);
        const text = value.lanes === 4 ? `${value.text}[${lane ?? 0}]` : value.text;
        return value.dtype === 'int32' ? text : this.#converted(text, value.dtype, 'int32', 1);
      },
    };
  }

  #axisText(name: string, lane: number | undefined): string {
    const text = this.axes.get(name);
    if (text === undefined) throw internalError(`axis ${name} is not in scope`);
    if (!lane || name !== this.lanes?.axis) return text;
    const { ragged } = this.lanes;
    const at = `${text} + ${lane}`;
    return ragged === undefined ? at : `min(${at}, ${this.shader.size(ragged)} - 1)`;
  }

  /** An index as text; with a number, that of one lane. */
  index(index: IndexExpression, lane?: number): string {
    return indexText(this.shader, index, this.#scope(lane));
  }

  /** Whether an index is the same for all lanes. */
  #lanesOfIndex(index: IndexExpression): Lanes {
    if (!this.lanes) return 1;
    if (laneMotion(index, this.lanes.axis) !== 'uniform') return 4;
    return valuesOfIndex(index).some((id) => this.value(id).lanes === 4) ? 4 : 1;
  }

  #indexValue(index: IndexExpression, lanes: Lanes): string {
    if (lanes === 1 || !this.lanes) return this.index(index);
    const along = coefficientOf(index, this.lanes.axis);
    const isLinear = along !== undefined && valuesOfIndex(index).every((id) => this.value(id).lanes === 1);
    if (!isLinear) return `vec4<i32>(${[0, 1, 2, 3].map((lane) => this.index(index, lane)).join(', ')})`;
    return `${this.index(index)} + ${this.shader.size(along)} * vec4<i32>(0, 1, 2, 3)`;
  }

  #load({ id, dtype, expression }: Let): void {
    if (expression.kind !== 'load') return;
    const { memory, index, when, otherwise = 0 } = expression;
    const condition = when === undefined ? undefined : this.value(when);
    const isVarying = this.#lanesOfIndex(index) === 4;
    const lanes: Lanes = isVarying || condition?.lanes === 4 ? 4 : 1;
    const stored = computeDType(this.#dtypeOfMemory(memory));
    let text = isVarying
      ? this.#loadLanes(memory, index, stored, condition)
      : this.#loadOne(memory, index, condition, condition?.lanes === 4 ? 'any' : undefined);
    if (lanes === 4 && !isVarying) text = `${typeText(stored, 4)}(${text})`;
    if (condition) {
      const other = constantText(mathContext(this.shader, lanes), stored, otherwise);
      text = `select(${other}, ${text}, ${condition.text})`;
    }
    this.define(id, computeDType(dtype), lanes, this.#converted(text, stored, computeDType(dtype), lanes));
  }

  #dtypeOfMemory(memory: string): DType {
    return this.scratch.get(memory)?.dtype ?? this.shader.buffer(memory).storage.dtype;
  }

  /** Where a condition does not hold, the index is that of the first element: nothing else may be touched. */
  #guarded(index: string, condition: string | undefined): string {
    return condition === undefined ? index : `select(0, ${index}, ${condition})`;
  }

  #loadOne(memory: string, index: IndexExpression, condition: Value | undefined, any?: 'any'): string {
    const holds = condition && (any ? `any(${condition.text})` : condition.text);
    return this.#loadAt(memory, this.#guarded(this.index(index), holds));
  }

  #loadAt(memory: string, index: string): string {
    const scratch = this.scratch.get(memory);
    if (scratch) return scratch.load(index);
    return loadText(this.shader, this.shader.buffer(memory), index);
  }

  #loadLanes(memory: string, index: IndexExpression, stored: DType, condition: Value | undefined): string {
    const isUniform = condition === undefined || condition.lanes === 1;
    const axis = this.lanes?.axis ?? '';
    if (isUniform && !this.scratch.has(memory) && laneMotion(index, axis) === 'vector') {
      const buffer = this.shader.buffer(memory);
      const constantIndex = valuesOfIndex(index).every((id) => this.value(id).lanes === 1);
      if (canAccessVector(buffer) && constantIndex) {
        return loadVectorText(this.shader, buffer, this.#guarded(this.index(index), condition?.text));
      }
    }
    const lanes = [0, 1, 2, 3].map((lane) => {
      const holds = condition && (condition.lanes === 4 ? `${condition.text}[${lane}]` : condition.text);
      return this.#loadAt(memory, this.#guarded(this.index(index, lane), holds));
    });
    return `${typeText(stored, 4)}(${lanes.join(', ')})`;
  }

  store(node: Store): void {
    const { memory, index, when } = node;
    const write = (): void => {
      if (!this.lanes) {
        this.#storeOne(node, this.index(index), this.value(node.value).text);
        return;
      }
      const value = this.textOf(node.value, 4);
      if (!this.scratch.has(memory) && canAccessVector(this.shader.buffer(memory))) {
        this.line(storeVectorText(this.shader, this.shader.buffer(memory), this.index(index), value));
        return;
      }
      for (const lane of [0, 1, 2, 3]) {
        this.#ifThere(lane, () => this.#storeOne(node, this.index(index, lane), `${value}[${lane}]`));
      }
    };
    if (when === undefined) write();
    else this.block(`if ${this.value(when).text}`, write);
  }

  /** What a lane does unless it is beyond the end of the axis. */
  #ifThere(lane: number, inside: () => void): void {
    const { axis, ragged } = this.lanes ?? {};
    if (lane === 0 || axis === undefined || ragged === undefined) inside();
    else this.block(`if (${this.axes.get(axis)} + ${lane} < ${this.shader.size(ragged)})`, inside);
  }

  #storeOne({ memory, combine }: Store, at: string, value: string): void {
    const dtype = this.#dtypeOfMemory(memory);
    let [index, result] = [at, value];
    if (combine !== 'assign') {
      const place = this.unique('place');
      this.line(`let ${place} = ${at};`);
      index = place;
      const op = { opcode: combineOpcode[combine], dtype, from: dtype };
      const before = this.unique('before');
      this.line(`let ${before} = ${this.#loadAt(memory, place)};`);
      result = applyText(mathContext(this.shader, 1), op, [before, value]);
    }
    const scratch = this.scratch.get(memory);
    this.line(
      scratch ? scratch.store(index, result) : storeText(this.shader, this.shader.buffer(memory), index, result),
    );
  }

  loop(node: Loop): void {
    const { axis, carried = [], body } = node;
    const variables = carried.map(({ id, dtype, initial }) => {
      const lanes: Lanes = this.lanes ? 4 : 1;
      const name = this.unique(`v${id}`);
      this.line(`var ${name} = ${this.textOf(initial, lanes)};`);
      this.bind(id, { text: name, dtype: computeDType(dtype), lanes });
      return name;
    });
    this.counted(axis.name, axis.extent, () => {
      this.nodes(body);
      const next = carried.map(({ next: id }) => {
        const name = this.unique('next');
        this.line(`let ${name} = ${this.textOf(id, this.lanes ? 4 : 1)};`);
        return name;
      });
      variables.forEach((name, i) => {
        this.line(`${name} = ${next[i]};`);
      });
    });
  }

  /** A loop over an axis. */
  counted(axis: string, extent: Dim, inside: () => void): void {
    const name = this.unique(nameOfAxis(axis));
    this.axes.set(axis, name);
    this.block(`for (var ${name} = 0; ${name} < ${this.shader.size(extent)}; ${name}++)`, inside);
    this.axes.delete(axis);
  }

  reduce(node: Reduce): void {
    const lanes: Lanes = this.lanes ? 4 : 1;
    const states = node.accumulators.map((accumulator) => stateOf(this, accumulator, node, lanes));
    const totals = states.map((state) => state.declare('r'));
    const inBlocks = states.some(({ isFloatSum }) => isFloatSum) && isLong(node);
    const sweep = (level: number, into: readonly (readonly string[])[]): void => {
      if (level === node.axes.length) {
        this.nodes(node.body);
        states.forEach((state, i) => {
          state.step(into[i]);
        });
        return;
      }
      const { name, extent } = node.axes[level];
      if (level < node.axes.length - 1 || !inBlocks) this.counted(name, extent, () => sweep(level + 1, into));
      else
        this.#blocks(
          name,
          extent,
          () => states.map((state) => state.declare('partial')),
          (partials) => {
            sweep(level + 1, partials);
          },
          (partials) => {
            states.forEach((state, i) => {
              state.merge(into[i], partials[i]);
            });
          },
        );
    };
    sweep(0, totals);
    states.forEach((state, i) => {
      state.finish(totals[i]);
    });
  }

  /** A loop over an axis in blocks, each with state of its own. */
  #blocks<T>(axis: string, extent: Dim, begin: () => T, inside: (state: T) => void, end: (state: T) => void): void {
    const name = this.unique(nameOfAxis(axis));
    const start = this.unique(`${name}start`);
    const size = this.shader.size(extent);
    this.block(`for (var ${start} = 0; ${start} < ${size}; ${start} += ${summedInARow})`, () => {
      const state = begin();
      this.axes.set(axis, name);
      const last = this.unique(`${name}end`);
      this.line(`let ${last} = min(${start} + ${summedInARow}, ${size});`);
      this.block(`for (var ${name} = ${start}; ${name} < ${last}; ${name}++)`, () => inside(state));
      this.axes.delete(axis);
      end(state);
    });
  }
}

const isLong = ({ axes }: Reduce): boolean => {
  const { extent } = axes[axes.length - 1];
  return typeof extent !== 'number' || extent > 2 * summedInARow;
};

/** A scalar as a vector of four. */
const spread = ({ text, dtype, lanes }: Value): string => {
  if (lanes === 4) throw internalError(`${text} is a vector already`);
  return `${typeText(dtype, 4)}(${text})`;
};
