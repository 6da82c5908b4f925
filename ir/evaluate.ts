/**
 * The reference evaluator: runs any module in plain JavaScript, slowly and obviously. It is the oracle of every pass
 * and every backend.
 *
 *     evaluateModule(module, [splat('float32', [2, 2], 0.5)], { mode: 'double' })
 *
 * Mode `double` computes floats in double precision throughout. Mode `rounded` rounds inputs and each op's result to
 * the dtype; within an op (a reduction, a contraction) everything is double and rounded once at its end. Integers are
 * exact and wrap in both.
 */
import { bindDims } from '../base/bind-dims.ts';
import { type Dim, type DimBindings, evaluateDim } from '../base/dim.ts';
import { computedDTypes, isFloat } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import { roundFloat } from '../base/half.ts';
import type { Opcode } from './opcodes.ts';
import type { ConcreteType, EvaluationMode, OpDefinition } from './ops/definition.ts';
import { definitions, traitsOf } from './ops/index.ts';
import { formatType } from './ops/rules.ts';
import {
  type Func,
  type Graph,
  type Literal,
  type Module,
  mainOf,
  type Op,
  type TensorType,
  type Value,
} from './types.ts';

/** What evaluation knows beside operands. */
export interface EvaluationContext {
  readonly mode: EvaluationMode;
  /** Values of symbolic sizes. */
  readonly bindings: DimBindings;
  /** Functions that `call` may name. */
  readonly functions: ReadonlyMap<string, Func>;
}

/**
 * Runs a module's main function. Symbolic sizes take their values from the shapes of the inputs.
 * @param inputs one array for each parameter of the main function
 * @throws KilnError `shape_mismatch`, `dtype_mismatch`, `invalid_size` or `unknown_size` when inputs do not fit the
 *   parameters; `unsupported_dtype` for dtypes outside `computedDTypes`
 */
export function evaluateModule(
  module: Module,
  inputs: readonly Literal[],
  options: { readonly mode: EvaluationMode },
): Literal[] {
  const { graph } = mainOf(module);
  const functions = new Map(module.functions.map((f) => [f.name, f]));
  const types = graph.parameters.map((parameter) => parameter.type);
  return evaluateGraph(graph, inputs, { mode: options.mode, bindings: bindInputs(types, inputs), functions });
}

/** Values of the symbols in parameter types. */
function bindInputs(types: readonly TensorType[], inputs: readonly Literal[]): Map<string, number> {
  if (inputs.length !== types.length) {
    throw new KilnError('invalid_argument', 'evaluate: number of inputs', {
      given: String(inputs.length),
      expected: String(types.length),
    });
  }
  const pairs: [Dim, number][] = [];
  inputs.forEach((input, i) => {
    const fits = input.dtype === types[i].dtype && input.shape.length === types[i].shape.length;
    if (!fits) {
      const code = input.dtype === types[i].dtype ? 'shape_mismatch' : 'dtype_mismatch';
      throw new KilnError(code, `evaluate: input ${i}`, { given: formatType(input), expected: formatType(types[i]) });
    }
    input.shape.forEach((size, axis) => {
      pairs.push([types[i].shape[axis], size]);
    });
  });
  return bindDims(pairs);
}

/** Runs a graph on values for its parameters. */
export function evaluateGraph(graph: Graph, inputs: readonly Literal[], context: EvaluationContext): Literal[] {
  const values = new Map<Value, Literal>();
  const read = (value: Value): Literal => {
    const found = values.get(value);
    if (!found) throw internalError('evaluate: an operand has no value; verify the module first');
    return found;
  };
  graph.parameters.forEach((parameter, i) => {
    values.set(parameter, roundTo(inputs[i], context.mode));
  });
  for (const op of graph.ops) {
    const results = evaluateOp(op, op.operands.map(read), context);
    op.results.forEach((result, i) => {
      values.set(result, results[i]);
    });
  }
  return graph.results.map(read);
}

/** Runs one op on values for its operands. */
export function evaluateOp(op: Op, operands: readonly Literal[], context: EvaluationContext): readonly Literal[] {
  const { mode, bindings, functions } = context;
  const size = (d: Dim): number => evaluateDim(d, bindings);
  const results = op.results.map(({ type }): ConcreteType => {
    requireComputed(type);
    return { dtype: type.dtype, shape: type.shape.map(size) };
  });
  for (const operand of operands) requireComputed(operand);
  const call = (name: string, inputs: readonly Literal[]): readonly Literal[] => {
    const callee = functions.get(name);
    if (!callee) throw internalError(`evaluate: no function @${name}; verify the module first`);
    return evaluateGraph(callee.graph, inputs, context);
  };
  const definition = definitions[op.opcode] as OpDefinition<Opcode>;
  const values = definition.evaluate(operands, op.attributes, { mode, results, size, call });
  return traitsOf(op.opcode).movesData ? values : values.map((value) => roundTo(value, mode));
}

function requireComputed(type: TensorType): void {
  if (computedDTypes.includes(type.dtype)) return;
  throw new KilnError('unsupported_dtype', `the reference evaluator does not compute with ${type.dtype}`, {
    given: formatType(type),
    expected: computedDTypes.join(', '),
  });
}

/** Elements rounded to what the dtype can hold, in mode `rounded`. */
export function roundTo(array: Literal, mode: EvaluationMode): Literal {
  const { dtype, data } = array;
  if (mode === 'double' || !isFloat(dtype) || (dtype === 'float32' && data instanceof Float32Array)) return array;
  return { ...array, data: Float32Array.from(data, (value) => roundFloat(dtype, value)) };
}
