/**
 * Checks a kernel against the rules of `ir/kernel.ts`: values are defined once and before use, axes are in scope and
 * unique on their path, dtypes fit their ops, memory is known and used as its access allows. A fault names the rule,
 * and shows the node it is in.
 *
 *     kernel relu: kernel_c3: %4 is used where it is not defined
 *       given:    %5: f32 = maximum %4, %2
 */
import { type Dim, dimBounds, isAtMostDim } from '../base/dim.ts';
import { type DType, dtypeInfo, isFloat, isHalf, isInteger } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import type {
  Accumulator,
  Axis,
  ClosedAccumulator,
  IndexExpression,
  IndexFactor,
  Kernel,
  KernelNode,
  Let,
  Loop,
  Reduce,
  ScalarId,
  ScalarOpcode,
  Sort,
  Store,
  TupleAccumulator,
} from './kernel.ts';
import { printNode } from './kernel-print.ts';

/** The rules, by label. */
export const kernelRules = {
  kernel_c1: 'names of buffers and scratch arrays are unique, and sizes are not negative',
  kernel_c2: 'each value is defined once',
  kernel_c3: 'a value is used only where it is defined',
  kernel_c4: 'an axis is used only inside its loop, and its name is unique on the path from the root',
  kernel_c5: 'operands have the dtypes the op takes, and as many as it takes',
  kernel_c6: 'memory is a buffer or scratch array of the kernel; reads and writes agree with its access',
  kernel_c7: 'a predicate is a bool, an index value an int32',
  kernel_c8: 'carried values belong to sequential loops and keep their dtype',
  kernel_c9: 'a reduction has axes and accumulators whose values have their dtype',
  kernel_c10: 'an in-place buffer is written and names a read buffer of equal size and dtype',
  kernel_c11: 'the divisor of floordiv and mod is positive',
  kernel_c12: 'a sort reads and writes different scratch arrays that are long enough, positions are int32',
} as const;

export type KernelRule = keyof typeof kernelRules;

/** @throws KilnError `invalid_ir` that names the rule and shows the node */
export function verifyKernel(kernel: Kernel): void {
  new Verifier(kernel).run();
}

interface Memory {
  readonly dtype: DType;
  readonly readable: boolean;
  readonly writable: boolean;
}

class Verifier {
  readonly kernel: Kernel;
  readonly memory = new Map<string, Memory>();
  /** Every value defined so far, in scope or not. */
  readonly defined = new Set<ScalarId>();
  readonly scope = new Map<ScalarId, DType>();
  readonly axes = new Set<string>();
  node: KernelNode | undefined;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  run(): void {
    const { buffers, scratch, body } = this.kernel;
    for (const { name, dtype, access, size } of buffers) {
      this.declare(name, size, { dtype, readable: access !== 'write', writable: access !== 'read' });
    }
    for (const { name, dtype, size } of scratch) this.declare(name, size, { dtype, readable: true, writable: true });
    for (const { name, access, inPlaceOf, size, dtype } of buffers) {
      if (inPlaceOf === undefined) continue;
      const source = buffers[inPlaceOf];
      const fits = source && access !== 'read' && source.access === 'read' && String(source.size) === String(size);
      this.require('kernel_c10', fits && source.dtype === dtype, `buffer ${name} in place of binding ${inPlaceOf}`);
    }
    this.block(body);
  }

  require(rule: KernelRule, holds: boolean | undefined, what: string): void {
    if (holds) return;
    throw new KilnError('invalid_ir', `kernel ${this.kernel.name}: ${rule}: ${what}`, {
      ...(this.node && { given: clipped(printNode(this.node)) }),
      expected: kernelRules[rule],
    });
  }

  declare(name: string, size: Dim, memory: Memory): void {
    this.require('kernel_c1', !this.memory.has(name), `two memories are named ${name}`);
    this.require('kernel_c1', dimBounds(size)[1] >= 0, `${name} has the size ${size}`);
    this.memory.set(name, memory);
  }

  define(id: ScalarId, dtype: DType): void {
    this.require('kernel_c5', !isHalf(dtype), `%${id} is computed as a ${short(dtype)}`);
    this.require('kernel_c2', !this.defined.has(id), `%${id} is defined twice`);
    this.defined.add(id);
    this.scope.set(id, dtype);
  }

  use(id: ScalarId): DType {
    const dtype = this.scope.get(id);
    this.require('kernel_c3', dtype !== undefined, `%${id} is used where it is not defined`);
    return dtype!;
  }

  /** Runs `build`, after which values defined in it are out of scope, but for those it returns. */
  scoped(build: () => readonly (readonly [ScalarId, DType])[]): void {
    const before = new Map(this.scope);
    const kept = build();
    this.scope.clear();
    for (const [id, dtype] of [...before, ...kept]) this.scope.set(id, dtype);
  }

  block(nodes: readonly KernelNode[]): void {
    for (const node of nodes) {
      this.node = node;
      if (node.kind === 'let') this.let(node);
      else if (node.kind === 'store') this.store(node);
      else if (node.kind === 'loop') this.loop(node);
      else if (node.kind === 'sort') this.sort(node);
      else this.reduce(node);
    }
  }

  index({ terms }: IndexExpression): void {
    for (const { factor } of terms) this.factor(factor);
  }

  factor(factor: IndexFactor): void {
    if (factor.kind === 'axis') {
      this.require('kernel_c4', this.axes.has(factor.axis), `axis ${factor.axis} is not in scope`);
    } else if (factor.kind === 'value') {
      this.require('kernel_c7', this.use(factor.id) === 'int32', `%${factor.id} is an index but not an int32`);
    } else {
      this.require('kernel_c11', dimBounds(factor.divisor)[0] > 0, `divisor ${factor.divisor}`);
      this.index(factor.dividend);
    }
  }

  predicate(id: ScalarId | undefined): void {
    if (id !== undefined) this.require('kernel_c7', this.use(id) === 'bool', `%${id} is a predicate but not a bool`);
  }

  touch(name: string, mode: 'readable' | 'writable'): DType {
    const memory = this.memory.get(name);
    this.require('kernel_c6', memory !== undefined, `unknown memory ${name}`);
    this.require('kernel_c6', memory![mode], `${name} is not ${mode}`);
    return memory!.dtype;
  }

  let({ id, dtype, expression }: Let): void {
    switch (expression.kind) {
      case 'constant':
      case 'size':
        break;
      case 'index':
        this.index(expression.index);
        this.require('kernel_c5', dtype === 'int32', 'the value of an index is an int32');
        break;
      case 'load':
        this.touch(expression.memory, 'readable');
        this.index(expression.index);
        this.predicate(expression.when);
        break;
      case 'apply': {
        const operands = expression.operands.map((operand) => this.use(operand));
        const fault = applyFault(expression.opcode, dtype, operands);
        this.require('kernel_c5', fault === undefined, fault ?? '');
        const directed = (expression.opcode === 'compare') === (expression.direction !== undefined);
        this.require('kernel_c5', directed, 'compare, and nothing else, has a direction');
      }
    }
    this.define(id, dtype);
  }

  store({ memory, index, value, combine, when }: Store): void {
    const dtype = this.touch(memory, 'writable');
    if (combine !== 'assign') this.touch(memory, 'readable');
    this.index(index);
    this.predicate(when);
    const from = this.use(value);
    const fits = from === dtype || (isFloat(from) && isFloat(dtype));
    this.require('kernel_c5', fits, `a ${short(from)} is stored to ${memory} of ${short(dtype)}`);
  }

  sort({ keys, values, positions, length, count }: Sort): void {
    const scratch = (name: string, size: Dim): DType => {
      const found = this.kernel.scratch.find((row) => row.name === name);
      this.require('kernel_c12', found !== undefined, `${name} is no scratch array`);
      const fits = isAtMostDim(size, found!.size) === 'always';
      this.require('kernel_c12', fits, `${name} has ${found!.size} elements, not ${size}`);
      return found!.dtype;
    };
    const dtype = scratch(keys, length);
    this.require('kernel_c12', !isHalf(dtype), `keys are computed as ${short(dtype)}`);
    this.require('kernel_c12', isAtMostDim(count, length) === 'always', `${count} elements of ${length}`);
    if (values !== undefined) this.require('kernel_c12', scratch(values, count) === dtype, `${values} and ${keys}`);
    if (positions !== undefined) {
      this.require('kernel_c12', scratch(positions, count) === 'int32', `positions ${positions}`);
    }
    const named = [keys, values, positions].filter((name) => name !== undefined);
    this.require('kernel_c12', named.length > 1 && new Set(named).size === named.length, `arrays ${named}`);
  }

  /** Brings axes into scope for `build`. */
  within(axes: readonly Axis[], build: () => void): void {
    for (const { name, extent } of axes) {
      this.require('kernel_c4', !this.axes.has(name), `axis ${name} is in scope already`);
      this.require('kernel_c1', dimBounds(extent)[1] >= 0, `axis ${name} has the extent ${extent}`);
      this.axes.add(name);
    }
    build();
    for (const { name } of axes) this.axes.delete(name);
  }

  loop(loop: Loop): void {
    const { axis, mode, body, carried = [] } = loop;
    this.require('kernel_c8', carried.length === 0 || mode === 'sequential', 'a parallel loop carries no values');
    for (const { initial, dtype } of carried) {
      this.require('kernel_c8', this.use(initial) === dtype, `%${initial} is not a ${short(dtype)}`);
    }
    this.scoped(() => {
      for (const { id, dtype } of carried) this.define(id, dtype);
      this.within([axis], () => this.block(body));
      this.node = loop;
      for (const { next, dtype } of carried) {
        this.require('kernel_c8', this.use(next) === dtype, `%${next} is not a ${short(dtype)}`);
      }
      return carried.map(({ id, dtype }) => [id, dtype] as const);
    });
  }

  reduce(node: Reduce): void {
    const { axes, body, accumulators } = node;
    this.require('kernel_c9', axes.length > 0 && accumulators.length > 0, 'a reduction without axes or accumulators');
    this.scoped(() => {
      this.within(axes, () => this.block(body));
      this.node = node;
      const results: (readonly [ScalarId, DType])[] = [];
      for (const accumulator of accumulators) results.push(...this.accumulator(accumulator));
      return results;
    });
  }

  accumulator(accumulator: Accumulator): (readonly [ScalarId, DType])[] {
    return accumulator.kind === 'tuple' ? this.tuple(accumulator) : this.closed(accumulator);
  }

  closed({ kind, dtype, value, result }: ClosedAccumulator): (readonly [ScalarId, DType])[] {
    const from = this.use(value);
    const positional = kind === 'argmax' || kind === 'argmin';
    this.require(
      'kernel_c9',
      dtype === (positional ? 'int32' : from),
      `${kind} of a ${short(from)} is no ${short(dtype)}`,
    );
    if (kind === 'and' || kind === 'or') this.require('kernel_c9', !isFloat(dtype), `${kind} of floats`);
    this.define(result, dtype);
    return [[result, dtype]];
  }

  tuple(accumulator: TupleAccumulator): (readonly [ScalarId, DType])[] {
    const { results, dtypes, identity, values, left, right, body, combined } = accumulator;
    for (const list of [results, identity, values, left, right, combined]) {
      this.require('kernel_c9', list.length === dtypes.length, 'the parts of a tuple differ in length');
    }
    const check = (ids: readonly ScalarId[]): void =>
      ids.forEach((id, i) => {
        this.require('kernel_c9', this.use(id) === dtypes[i], `%${id} is not a ${short(dtypes[i])}`);
      });
    check(values);
    this.scoped(() => {
      for (const ids of [left, right]) {
        ids.forEach((id, i) => {
          this.define(id, dtypes[i]);
        });
      }
      for (const node of body) this.let(node);
      check(combined);
      return [];
    });
    results.forEach((id, i) => {
      this.define(id, dtypes[i]);
    });
    return results.map((id, i) => [id, dtypes[i]] as const);
  }
}

const short = (dtype: DType): string => dtypeInfo(dtype).short;

/** At most ten lines of a node. */
function clipped(text: string): string {
  const lines = text.split('\n');
  return lines.length <= 10
    ? text
    : [...lines.slice(0, 9), `... ${lines.length - 9} more lines`].join('\n            ');
}

type Class = 'float' | 'number' | 'integer' | 'bits' | 'any';

const accepts: { readonly [C in Class]: (dtype: DType) => boolean } = {
  float: isFloat,
  number: (dtype) => dtype !== 'bool',
  integer: isInteger,
  bits: (dtype) => !isFloat(dtype),
  any: () => true,
};

/** Operand count and class of every op whose result has the dtype of its operands. */
const uniform: {
  readonly [K in Exclude<ScalarOpcode, 'convert' | 'bitcast_convert' | 'compare' | 'select' | 'is_finite'>]: readonly [
    number,
    Class,
  ];
} = {
  abs: [1, 'number'],
  negate: [1, 'number'],
  sign: [1, 'number'],
  floor: [1, 'float'],
  ceil: [1, 'float'],
  round_nearest_even: [1, 'float'],
  exponential: [1, 'float'],
  exponential_minus_one: [1, 'float'],
  log: [1, 'float'],
  log_plus_one: [1, 'float'],
  sqrt: [1, 'float'],
  rsqrt: [1, 'float'],
  round_float16: [1, 'float'],
  round_bfloat16: [1, 'float'],
  sine: [1, 'float'],
  cosine: [1, 'float'],
  tanh: [1, 'float'],
  erf: [1, 'float'],
  not: [1, 'bits'],
  add: [2, 'any'],
  subtract: [2, 'any'],
  multiply: [2, 'any'],
  divide: [2, 'number'],
  remainder: [2, 'number'],
  power: [2, 'number'],
  maximum: [2, 'any'],
  minimum: [2, 'any'],
  atan2: [2, 'float'],
  and: [2, 'bits'],
  or: [2, 'bits'],
  xor: [2, 'bits'],
  shift_left: [2, 'integer'],
  shift_right_arithmetic: [2, 'integer'],
  shift_right_logical: [2, 'integer'],
};

/** What is wrong with an application, if anything. */
function applyFault(opcode: ScalarOpcode, result: DType, operands: readonly DType[]): string | undefined {
  const given = `${opcode} of (${operands.map(short).join(', ')}) to ${short(result)}`;
  const [first, second, third] = operands;
  const ok = (): boolean => {
    switch (opcode) {
      case 'convert':
        return operands.length === 1;
      case 'bitcast_convert':
        return operands.length === 1 && dtypeInfo(first).bytes === dtypeInfo(result).bytes;
      case 'is_finite':
        return operands.length === 1 && isFloat(first) && result === 'bool';
      case 'compare':
        return operands.length === 2 && first === second && result === 'bool';
      case 'select':
        return operands.length === 3 && first === 'bool' && second === third && second === result;
      default: {
        const [count, kind] = uniform[opcode];
        return operands.length === count && operands.every((dtype) => dtype === result) && accepts[kind](result);
      }
    }
  };
  return ok() ? undefined : given;
}
