/**
 * Runs user-level functions through the reference evaluator: traces a function of tensors into a module and evaluates
 * it in plain JavaScript, in double precision unless told otherwise.
 *
 *     evaluate((x) => softmax(x, -1), [array([[1, 2], [3, 4]])])      // [{ dtype: 'float32', shape: [2, 2], data }]
 */
import type { Dim } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { denseData, literal } from '../../ir/literal.ts';
import { type Literal, type Module, mainOf, type TensorType } from '../../ir/types.ts';
import { verifyModule } from '../../ir/verifier.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { sharedFunctions, Trace, withTrace } from '../../tracer/graph-trace.ts';
import '../../tracer/methods.ts';
import { elementsOf, type NestedData } from '../../tracer/operations/tensor-data.ts';
import type { Tensor } from '../../tracer/tensor.ts';

/** Nested JavaScript data as a literal: numbers float32, booleans bool, unless a dtype is given. */
export function array(data: NestedData, dtype?: DType, shape?: readonly number[]): Literal {
  const found = elementsOf(data);
  return literal(dtype ?? found.dtype, shape ?? found.shape, Float64Array.from(found.elements, Number));
}

type AnyTensorFunction = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

/** The verified module of a function for inputs of the given types. */
export function moduleOf(fn: AnyTensorFunction, types: readonly { dtype: DType; shape: readonly Dim[] }[]): Module {
  const shared = sharedFunctions();
  const trace = new Trace('symbolic', 'oracle', 'wasm', shared);
  const parameters = types.map(({ dtype, shape }): Tensor => trace.parameter({ dtype, shape } as TensorType));
  const graph = withTrace(trace, () => trace.build([fn(...parameters)].flat()));
  const functions = [...shared.functions.values(), { name: 'main', graph }];
  const module: Module = { functions, main: 'main' };
  verifyModule(module);
  return module;
}

/** All results of a function on literals. */
export function evaluateAll(
  fn: AnyTensorFunction,
  inputs: readonly Literal[],
  mode: 'double' | 'rounded' = 'double',
): Literal[] {
  return evaluateModule(moduleOf(fn, inputs), inputs, { mode }).map((result) => ({
    ...result,
    data: denseData(result),
  }));
}

/** The only result of a function on literals. */
export const evaluate = (fn: AnyTensorFunction, inputs: readonly Literal[], mode?: 'double' | 'rounded'): Literal =>
  evaluateAll(fn, inputs, mode)[0];

/** The only result's elements. */
export const values = (fn: AnyTensorFunction, ...inputs: readonly Literal[]): number[] =>
  Array.from(evaluate(fn, inputs).data);

/** Types of a function's results, such as `f32[2,3]`, for inputs of the given types. */
export function resultTypes(
  fn: AnyTensorFunction,
  types: readonly { dtype: DType; shape: readonly Dim[] }[],
): TensorType[] {
  const module = moduleOf(fn, types);
  return module.functions[module.functions.length - 1].graph.results.map(({ type }) => type);
}

/** The gradients of the sum of a function's first result with respect to its float inputs. */
export function gradients(fn: AnyTensorFunction, inputs: readonly Literal[]): Literal[] {
  const module = moduleOf(fn, inputs);
  const { graph } = mainOf(module);
  const functions = new Map(module.functions.map((f) => [f.name, f]));
  const wrt = inputs.map((_, i) => i).filter((i) => inputs[i].dtype === 'float32');
  const vjp = vjpGraph(graph, { wrt, outputs: [0], functions });
  const differentiated: Module = {
    functions: [...module.functions.slice(0, -1), { name: 'main', graph: vjp }],
    main: 'main',
  };
  verifyModule(differentiated);
  const { dtype, shape } = graph.results[0].type;
  const cotangent = literal(dtype, shape as readonly number[], [1]);
  const results = evaluateModule(differentiated, [...inputs, cotangent], { mode: 'double' });
  return results.slice(graph.results.length).map((result) => ({ ...result, data: denseData(result) }));
}
