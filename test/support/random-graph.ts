/**
 * Random valid modules for property tests, together with inputs. The same seed gives the same module everywhere.
 *
 *     const { module, inputs } = randomModule(7, { ops: 20 });
 *     evaluateModule(module, inputs, { mode: 'double' });
 *
 * Ops are chosen one after the other over the values that are there, and evaluated on the spot in both modes of the
 * reference evaluator. Unless `special` is set, an op is kept only if all its elements are finite, of moderate size,
 * and hardly changed by rounding, so that backends can be compared within a small bound.
 */
import { type Dim, dim, evaluateDim, isAtMostDim, isStatic } from '../../base/dim.ts';
import { isFloat, isHalf } from '../../base/dtype.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import { evaluateOp } from '../../ir/evaluate.ts';
import { elementAt, elementCount } from '../../ir/literal.ts';
import type { OpAttributes, Opcode } from '../../ir/opcodes.ts';
import type { DTypeClass } from '../../ir/ops/definition.ts';
import { definitions, inferTypes, opcodes, traitsOf } from '../../ir/ops/index.ts';
import { Random } from '../../ir/ops/random.ts';
import { inClass } from '../../ir/ops/rules.ts';
import type { Literal, Module, Op, TensorType, Value } from '../../ir/types.ts';

export interface RandomModuleOptions {
  /** How many ops to try for; a few more come in with constants. 12 unless given. */
  readonly ops?: number;
  /** NaN, infinities, -0, extreme integers, and no bounds on results. */
  readonly special?: boolean;
  /** Only ops without jumps (no floor, compare, argmax, float to integer), for comparisons within a bound. */
  readonly smooth?: boolean;
  /** A leading axis of the symbolic size `B` in [1, 64], or [0, 64] for 0; inputs have B = 5 or the given number. */
  readonly symbolic?: boolean | number;
  /** Which opcodes may occur. */
  readonly allow?: (opcode: Opcode) => boolean;
}

export interface RandomModule {
  readonly module: Module;
  readonly inputs: Literal[];
}

interface Candidate {
  readonly opcode: Opcode;
  readonly operands: readonly Value[];
  readonly attributes: OpAttributes[Opcode];
}

/** A value as each mode of the evaluator has it. */
interface Evaluated {
  readonly double: Literal;
  readonly rounded: Literal;
}

const mostElements = 600;
const greatest = 50;
const looseness = 1e-5;

export function randomModule(seed: number, options: RandomModuleOptions = {}): RandomModule {
  return new Generator(seed, options).run();
}

class Generator {
  readonly random: Random;
  readonly #options: RandomModuleOptions;
  readonly #builder = new GraphBuilder();
  readonly #inputs: Literal[] = [];
  readonly #values = new Map<Value, Evaluated>();
  readonly #pool: Value[] = [];
  readonly #bindings = new Map<string, number>();
  readonly #batch: Dim | undefined;

  constructor(seed: number, options: RandomModuleOptions) {
    this.random = new Random(seed, { special: options.special ?? false });
    this.#options = options;
    const { symbolic = false } = options;
    if (symbolic !== false) {
      this.#batch = dim('B', { min: symbolic === 0 ? 0 : 1, max: 64 });
      this.#bindings.set('B', symbolic === true ? 5 : symbolic);
    }
  }

  run(): RandomModule {
    const { random } = this;
    for (let i = random.integer(1, 3); i > 0; i--) this.#parameter(this.#randomType());
    const wanted = this.#options.ops ?? 12;
    let kept = 0;
    for (let attempts = 0; kept < wanted && attempts < wanted * 20; attempts++) {
      const candidate = random.pick(steps)(this);
      if (candidate && this.#keep(candidate)) kept++;
    }
    const results = this.#pool.slice(-random.integer(1, 3));
    return {
      module: { functions: [{ name: 'main', graph: this.#builder.build(results) }], main: 'main' },
      inputs: this.#inputs,
    };
  }

  /** A value of the pool that fits a condition; later ones are likelier, so that chains grow. */
  pick(condition: (type: TensorType) => boolean): Value | undefined {
    const fitting = this.#pool.filter(({ type }) => condition(type));
    if (fitting.length === 0) return undefined;
    return this.random.boolean() ? fitting[fitting.length - 1] : this.random.pick(fitting);
  }

  /** Another value of the same type, or the value itself. */
  partner(value: Value): Value {
    const { dtype, shape } = value.type;
    return this.pick((type) => type.dtype === dtype && String(type.shape) === String(shape)) ?? value;
  }

  /** A value for a sampled operand: from the pool, a new parameter or a constant. */
  operand(literal: Literal): Value {
    const found = this.pick((type) => type.dtype === literal.dtype && String(type.shape) === String(literal.shape));
    if (found && isFloat(literal.dtype) && this.random.boolean()) return found;
    if (this.random.boolean(0.3) && this.#allows('constant')) {
      const value = this.#append({ opcode: 'constant', operands: [], attributes: { value: literal } });
      if (value) return value;
    }
    return this.#parameter(literal, literal);
  }

  #randomType(): TensorType {
    const shape: Dim[] = this.random.shape({ maxRank: 3, leastSize: this.#options.special ? 0 : 1 });
    if (this.#batch) shape.unshift(this.#batch);
    return { dtype: this.random.boolean(0.7) ? 'float32' : this.random.dtype(), shape };
  }

  #parameter({ dtype, shape }: TensorType, given?: Literal): Value {
    const value = this.#builder.parameter({ dtype, shape });
    const literal =
      given ??
      this.random.literal(
        dtype,
        shape.map((size) => evaluateDim(size, this.#bindings)),
      );
    this.#inputs.push(literal);
    this.#values.set(value, { double: literal, rounded: literal });
    this.#pool.push(value);
    return value;
  }

  #allows(opcode: Opcode): boolean {
    const { smooth = false, allow = () => true } = this.#options;
    return allow(opcode) && !(smooth && traitsOf(opcode).blocksGradient && opcode !== 'stop_gradient');
  }

  #keep(candidate: Candidate): boolean {
    const { opcode, operands, attributes } = candidate;
    if (!this.#allows(opcode)) return false;
    if (this.#options.smooth && jumps(candidate)) return false;
    const value = this.#append({ opcode, operands, attributes });
    if (value) this.#pool.push(value);
    return value !== undefined;
  }

  /** Evaluates the op; appends it if its result is fit. */
  #append({ opcode, operands, attributes }: Candidate): Value | undefined {
    const types = operands.map((operand) => operand.type);
    const [type] = inferTypes(opcode, types, attributes, { functions: new Map() });
    const count = elementCount(type.shape.map((size) => evaluateDim(size, this.#bindings)));
    if (count > mostElements) return undefined;
    const value: Value = { type };
    const op = { opcode, operands, attributes, regions: [], results: [value] } as unknown as Op;
    const run = (mode: 'double' | 'rounded'): Literal => {
      const inputs = operands.map((operand) => this.#evaluated(operand)[mode]);
      return evaluateOp(op, inputs, { mode, bindings: this.#bindings, functions: new Map() })[0];
    };
    const evaluated: Evaluated = { double: run('double'), rounded: run('rounded') };
    if (!this.#options.special && !isTame(evaluated)) return undefined;
    this.#builder.append(op);
    this.#values.set(value, evaluated);
    return value;
  }

  #evaluated(value: Value): Evaluated {
    const found = this.#values.get(value);
    if (!found) throw new Error('random graph: a value of another graph');
    return found;
  }
}

/** Finite, moderate, and the same in both modes but for a little. */
function isTame({ double, rounded }: Evaluated): boolean {
  if (!isFloat(double.dtype)) return equalElements(double, rounded);
  for (let i = 0; i < double.data.length; i++) {
    const [x, y] = [double.data[i], elementAt(rounded, i)];
    if (!(Math.abs(x) <= greatest) || !(Math.abs(x - y) <= looseness * (1 + Math.abs(x)))) return false;
  }
  return true;
}

function equalElements(a: Literal, b: Literal): boolean {
  for (let i = 0; i < a.data.length; i++) if (a.data[i] !== elementAt(b, i)) return false;
  return true;
}

/** Ops that jump for some attributes or dtypes only. */
function jumps({ opcode, operands, attributes }: Candidate): boolean {
  if (opcode === 'remainder') return true;
  if (opcode === 'reduce') return String((attributes as OpAttributes['reduce']).kind).startsWith('arg');
  if (opcode === 'convert')
    return isFloat(operands[0].type.dtype) && !isFloat((attributes as OpAttributes['convert']).dtype);
  return false;
}

type Step = (generator: Generator) => Candidate | undefined;

const candidate = <K extends Opcode>(
  opcode: K,
  operands: readonly Value[],
  attributes: OpAttributes[K],
): Candidate => ({ opcode, operands, attributes });

const elementwise = opcodes.filter((opcode) => traitsOf(opcode).elementwise);
const plainWith = (count: number): Opcode[] =>
  elementwise.filter((opcode) => {
    const { operands, attributes } = definitions[opcode];
    return operands.length === count && Object.keys(attributes).length === 0;
  });
const [unaryOpcodes, binaryOpcodes] = [plainWith(1), plainWith(2)];
/** Ops whose every combination of operands the samplers know; elementwise ones come more often by the other steps. */
const sampledOpcodes = opcodes.filter((opcode) => opcode !== 'call' && !traitsOf(opcode).elementwise);

/** Whether an op takes operands of a dtype, as its type rule says. */
function takes(opcode: Opcode, type: TensorType, count: number): boolean {
  try {
    inferTypes(opcode, new Array<TensorType>(count).fill(type), {}, { functions: new Map() });
    return true;
  } catch {
    return false;
  }
}

const ofClass =
  (dtypeClass: DTypeClass) =>
  ({ dtype }: TensorType): boolean =>
    inClass(dtype, dtypeClass);

const unary: Step = (g) => {
  const opcode = g.random.pick(unaryOpcodes);
  const operand = g.pick((type) => takes(opcode, type, 1));
  return operand && candidate(opcode, [operand], {});
};

const binary: Step = (g) => {
  const opcode = g.random.pick(binaryOpcodes);
  const lhs = g.pick((type) => takes(opcode, type, 2));
  return lhs && candidate(opcode, g.random.boolean() ? [lhs, g.partner(lhs)] : [g.partner(lhs), lhs], {});
};

const compare: Step = (g) => {
  const lhs = g.pick(() => true);
  const direction = g.random.pick(['EQ', 'NE', 'LT', 'LE', 'GT', 'GE'] as const);
  return lhs && candidate('compare', [lhs, g.partner(lhs)], { direction });
};

const select: Step = (g) => {
  const predicate = g.pick(ofClass('bool'));
  const onTrue = predicate && g.pick(({ shape }) => String(shape) === String(predicate.type.shape));
  return predicate && onTrue && candidate('select', [predicate, onTrue, g.partner(onTrue)], {});
};

const convert: Step = (g) => {
  const operand = g.pick(() => true);
  return operand && candidate('convert', [operand], { dtype: g.random.boolean(0.6) ? 'float32' : g.random.dtype() });
};

const bitcast: Step = (g) => {
  const operand = g.pick((type) => ofClass('number')(type) && !isHalf(type.dtype));
  return operand && candidate('bitcast_convert', [operand], { dtype: g.random.dtypeOfWidth(operand.type.dtype) });
};

const reduce: Step = (g) => {
  const operand = g.pick(({ dtype, shape }) => dtype !== 'bool' && shape.length > 0 && !shape.includes(0));
  if (!operand) return undefined;
  const rank = operand.type.shape.length;
  if (g.random.boolean(0.15)) {
    const kind = g.random.pick(['argmax', 'argmin'] as const);
    const axis = g.random.integer(0, rank - 1);
    if (isAtMostDim(1, operand.type.shape[axis]) !== 'always') return undefined;
    return candidate('reduce', [operand], { kind, axes: [axis] });
  }
  const kind = g.random.pick(['sum', 'sum', 'product', 'max', 'min'] as const);
  return candidate('reduce', [operand], { kind, axes: g.random.subset(rank) });
};

const reduceBool: Step = (g) => {
  const operand = g.pick(ofClass('bool'));
  if (!operand) return undefined;
  const axes = g.random.subset(operand.type.shape.length);
  return candidate('reduce', [operand], { kind: g.random.pick(['and', 'or'] as const), axes });
};

const broadcast: Step = (g) => {
  const operand = g.pick(({ shape }) => shape.length < 4);
  const like = g.pick(({ shape }) => shape.length <= 4);
  if (!operand || !like) return undefined;
  const from = operand.type.shape;
  const to = like.type.shape;
  const axes: number[] = [];
  for (let axis = 0; axis < to.length && axes.length < from.length; axis++) {
    const size = from[axes.length];
    if (size === 1 || String(size) === String(to[axis])) axes.push(axis);
  }
  if (axes.length === from.length) return candidate('broadcast_in_dim', [operand], { shape: to, axes });
  const shape = [g.random.size(1), ...from];
  return candidate('broadcast_in_dim', [operand], { shape, axes: from.map((_, axis) => axis + 1) });
};

const reshape: Step = (g) => {
  const operand = g.pick(() => true);
  if (!operand) return undefined;
  const shape = [...operand.type.shape];
  const at = g.random.integer(0, Math.max(0, shape.length - 2));
  const [a, b] = [shape[at], shape[at + 1]];
  if (a !== undefined && b !== undefined && isStatic(a) && isStatic(b)) shape.splice(at, 2, a * b);
  else shape.splice(at, 0, 1);
  return candidate('reshape', [operand], { shape });
};

const transpose: Step = (g) => {
  const operand = g.pick(({ shape }) => shape.length > 1);
  return operand && candidate('transpose', [operand], { permutation: g.random.permutation(operand.type.shape.length) });
};

const slice: Step = (g) => {
  const operand = g.pick(({ shape }) => shape.length > 0);
  if (!operand) return undefined;
  const { shape } = operand.type;
  const start = shape.map((size) => (isStatic(size) ? g.random.integer(0, Math.max(0, size - 1)) : 0));
  const limit = shape.map((size, i) => (isStatic(size) ? g.random.integer(start[i], size) : size));
  const strides = shape.map((size) => (isStatic(size) ? g.random.pick([1, 1, 2]) : 1));
  return candidate('slice', [operand], { start, limit, strides });
};

const pad: Step = (g) => {
  const operand = g.pick(({ shape }) => shape.length > 0);
  const value = operand && g.pick(({ dtype, shape }) => dtype === operand.type.dtype && shape.length === 0);
  if (!operand || !value) return undefined;
  const amounts = () => operand.type.shape.map(() => g.random.pick([0, 0, 1, 2]));
  const interior = operand.type.shape.map((size) => (isStatic(size) && size > 0 ? g.random.pick([0, 0, 1]) : 0));
  return candidate('pad', [operand, value], { low: amounts(), high: amounts(), interior });
};

const concatenate: Step = (g) => {
  const operand = g.pick(({ shape }) => shape.length > 0);
  if (!operand) return undefined;
  const axis = g.random.integer(0, operand.type.shape.length - 1);
  return candidate('concatenate', [operand, g.partner(operand)], { axis });
};

const dot: Step = (g) => {
  const lhs = g.pick(({ dtype, shape }) => dtype !== 'bool' && shape.length > 0);
  if (!lhs) return undefined;
  const axis = g.random.integer(0, lhs.type.shape.length - 1);
  const size = lhs.type.shape[axis];
  const rhs = g.pick(({ dtype, shape }) => dtype === lhs.type.dtype && shape.some((s) => String(s) === String(size)));
  if (!rhs) return undefined;
  const other = rhs.type.shape.findIndex((s) => String(s) === String(size));
  const asBatch = g.random.boolean(0.3);
  const pairs: readonly [readonly number[], readonly number[]] = [[axis], [other]];
  const none: readonly [readonly number[], readonly number[]] = [[], []];
  return candidate(
    'dot_general',
    [lhs, rhs],
    asBatch ? { contract: none, batch: pairs } : { contract: pairs, batch: none },
  );
};

const sampled: Step = (g) => {
  const opcode = g.random.pick(sampledOpcodes);
  const sample = definitions[opcode].sample?.(g.random);
  return (
    sample &&
    candidate(
      opcode,
      sample.operands.map((literal) => g.operand(literal)),
      sample.attributes,
    )
  );
};

const steps: readonly Step[] = [
  unary,
  unary,
  unary,
  binary,
  binary,
  binary,
  compare,
  select,
  convert,
  bitcast,
  reduce,
  reduce,
  reduceBool,
  broadcast,
  broadcast,
  reshape,
  transpose,
  slice,
  pad,
  concatenate,
  dot,
  dot,
  sampled,
  sampled,
  sampled,
  sampled,
];
