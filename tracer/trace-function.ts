/**
 * One trace of a user's function for given arguments: tensors, typed arrays and specs become parameters of a graph,
 * everything else stays as it is, and the tensors that come back become the results. Concrete tensors and values of
 * outer traces that the function uses from around it become further parameters, the captures.
 *
 *     traceFunction({ run: (p, x) => x.matmul(p.w), args: [{ w }, x], ... })
 *       graph     (%p.w: f32[4,2], %x: f32[8,4]) → f32[8,2]
 *       captures  []
 */
import { KilnError } from '../base/error.ts';
import type { Graph, TensorType } from '../ir/types.ts';
import { isArrayLeaf, typeOfArray } from './array-leaf.ts';
import { assertOpen, Trace, type TracedFunctions, type TraceKind, withTrace } from './graph-trace.ts';
import { atUserCode, currentLocation } from './location.ts';
import { assertSomeOutput, flattenOutputs } from './outputs.ts';
import { rebuild, type TreeStructure, tree, visitLeaves } from './pytree.ts';
import { type Effect, effectsOf, type SignedReceiver, withReplacedFields } from './receiver.ts';
import { checkSource } from './source-check.ts';
import { parameterNames } from './source-parse.ts';
import { Tensor } from './tensor.ts';

type AnyFunction = (...args: never[]) => unknown;

export interface TraceRequest {
  readonly fn: AnyFunction;
  /** For messages: `compile(step)`. */
  readonly label: string;
  readonly kind: TraceKind;
  readonly device: string;
  readonly args: readonly unknown[];
  /** Arguments that are values as a whole. */
  readonly isStatic: (position: number) => boolean;
  /** The object a method is called on, with its fields as inputs; otherwise `thisArg` is handed through. */
  readonly receiver: SignedReceiver | undefined;
  readonly thisArg: unknown;
  readonly shared: TracedFunctions;
  /** Types that replace those of the arrays among the arguments, for symbolic sizes; by position. */
  readonly types: readonly (TensorType | undefined)[] | undefined;
}

export interface TracedGraph {
  /** Parameters: the receiver's tensors, the arrays among the arguments, the captures. */
  readonly graph: Graph;
  readonly captures: readonly Tensor[];
  /** How the function's result is put together from the first results of the graph. */
  readonly structure: TreeStructure;
  /** Number of results that belong to the function's result; those after it belong to effects. */
  readonly resultCount: number;
  readonly effects: readonly Effect[];
}

/**
 * @throws KilnError `traced_branch`, `unreadable_source`, `async_function`, `invalid_output`, and whatever the
 *   function throws
 */
export function traceFunction(request: TraceRequest): TracedGraph {
  const { fn, label, kind, device, args, receiver, shared } = request;
  const location = currentLocation();
  try {
    assertSynchronous(fn, label);
    checkSource(fn, label, args, receiver !== undefined ? { receiver: request.thisArg } : undefined);
    const trace = new Trace(kind, label, device, shared);
    const fields = (receiver?.slots ?? []).map(({ tensor, path }, i) => {
      assertOpen(tensor);
      return trace.parameter(request.types?.[i] ?? tensor.type, path);
    });
    const traced = tracedArguments(request, trace, fields.length);
    return withTrace(trace, () => runTraced(request, trace, fields, traced));
  } catch (error) {
    throw error instanceof KilnError ? error.at(location) : error;
  }
}

function tracedArguments({ fn, args, isStatic, types }: TraceRequest, trace: Trace, before: number): unknown[] {
  const names = parameterNames(fn);
  let position = before;
  return args.map((arg, i) => {
    if (isStatic(i)) return arg;
    const paths: string[] = [];
    visitLeaves(arg, (_, path) => paths.push(path), names[i] ?? `argument${i}`);
    const { leaves, structure } = tree.flatten(arg);
    let at = 0;
    return rebuild(structure, () => {
      const leaf: unknown = leaves[at];
      const path = paths[at++];
      if (!isArrayLeaf(leaf)) return leaf;
      if (leaf instanceof Tensor) assertOpen(leaf);
      return trace.parameter(types?.[position++] ?? typeOfArray(leaf), path);
    });
  });
}

function runTraced(request: TraceRequest, trace: Trace, fields: readonly Tensor[], args: unknown[]): TracedGraph {
  const { fn, label, receiver } = request;
  const call = (): unknown => atUserCode(() => Reflect.apply(fn, request.thisArg, args));
  const { result, assigned } = receiver ? withReplacedFields(receiver, fields, call) : { result: call(), assigned: [] };
  const outputs = flattenOutputs(result, label);
  const tensors = [...outputs.tensors];
  const effects = effectsOf(assigned, tensors);
  assertSomeOutput(tensors.length + effects.length, result, label);
  return {
    graph: trace.build(tensors),
    captures: trace.captures.map(({ tensor }) => tensor),
    structure: outputs.structure,
    resultCount: outputs.tensors.length,
    effects,
  };
}

/** @throws KilnError `async_function` for an async function or generator. */
export function assertSynchronous(fn: AnyFunction, label: string): void {
  const kind = Object.prototype.toString.call(fn).slice(8, -1);
  if (kind === 'Function') return;
  throw new KilnError('async_function', `${label}: the function is not synchronous`, {
    given: kind,
    expected: 'a plain function: tracing runs it once, from start to end',
    hint: 'await its inputs before and its results after the call',
  });
}
