/**
 * One derivative of a function at given arguments: the function is traced into a graph of its own, the graph is turned
 * into its vector-Jacobian product, and that is replayed where the caller is. Inside a symbolic trace it is inlined
 * there. Outside `compile` the trace records while its ops run, so values can be printed; then the backward ops run
 * one by one.
 *
 *     differentiate(loss, [p, x], { argnums: [0], ... })
 *       outputs    [loss]
 *       pullback([1]) → gradients, one for each tensor in p
 */
import { isFloat } from '../base/dtype.ts';
import { KilnError } from '../base/error.ts';
import type { Graph, Value } from '../ir/types.ts';
import { vjpGraph } from '../passes/grad/index.ts';
import { currentDeviceName } from '../runtime/session.ts';
import { arraysAsTensors, leavesOf } from './array-leaf.ts';
import { concreteOf, currentTrace, sharedFunctions, Trace, withTrace } from './graph-trace.ts';
import { atUserCode } from './location.ts';
import { flattenOutputs } from './outputs.ts';
import { mapLeaves, rebuild, type TreeStructure, tree } from './pytree.ts';
import { type ReplayContext, replay } from './replay.ts';
import { checkSource } from './source-check.ts';
import { Tensor } from './tensor.ts';
import { assertSynchronous } from './trace-function.ts';

type AnyFunction = (...args: never[]) => unknown;

export interface DifferentiateRequest {
  readonly fn: AnyFunction;
  /** For messages: `grad(loss)`. */
  readonly label: string;
  readonly args: readonly unknown[];
  /** Positions of the arguments to differentiate with respect to. */
  readonly argnums: readonly number[];
  /** Whether the function returns `[output, aux]`. */
  readonly hasAux: boolean;
}

/** A function at a point, with the way back. */
export class Derivative {
  /** The differentiated outputs, as tensors of where the caller is. */
  readonly outputs: readonly Tensor[];
  readonly structure: TreeStructure;
  /** What else the function returned, its tensors likewise. */
  readonly aux: unknown;
  /** The trees of the arguments that gradients are taken with respect to. */
  readonly argStructures: readonly ArgumentTree[];
  readonly #graph: Graph;
  readonly #values: Map<Value, Tensor>;
  readonly #context: ReplayContext;
  readonly #seeds: readonly Value[];
  readonly #gradients: readonly Value[];

  /**
   * @param whole the vector-Jacobian product of what was traced
   * @param values tensors for its parameters, and for all that is known already
   * @param context the functions it calls, and elements of its values that were computed while it was traced
   */
  constructor(
    whole: Graph,
    traced: TracedOutputs,
    values: Map<Value, Tensor>,
    context: ReplayContext,
    argStructures: readonly ArgumentTree[],
  ) {
    const { outputs, auxTree, graph } = traced;
    const results = whole.results.slice(0, graph.results.length);
    this.#graph = whole;
    this.#values = values;
    this.#context = context;
    this.#seeds = whole.parameters.slice(graph.parameters.length);
    this.#gradients = whole.results.slice(graph.results.length);
    this.argStructures = argStructures;
    this.structure = outputs.structure;
    replay(whole, values, results, context);
    const tensors = results.map((value) => values.get(value)!);
    this.outputs = tensors.splice(0, outputs.tensors.length);
    let next = 0;
    this.aux = rebuild(auxTree.structure, () => {
      const leaf = auxTree.leaves[next++];
      return leaf instanceof Tensor ? tensors.shift() : leaf;
    });
  }

  /**
   * Gradients for cotangents of the outputs: one for each tensor in the differentiated arguments.
   * @param made takes the gradients, and what else is computed and lasts, when it runs outside all traces
   */
  pullback(cotangents: readonly Tensor[], made: Tensor[]): readonly Tensor[] {
    const values = new Map(this.#values);
    this.#seeds.forEach((seed, i) => {
      values.set(seed, cotangents[i]);
    });
    // Inside a trace nothing that is made has to be released.
    const known = currentTrace() ? undefined : new Set(values.keys());
    replay(this.#graph, values, this.#gradients, this.#context);
    if (known) for (const [value, tensor] of values) if (!known.has(value)) made.push(tensor);
    return this.#gradients.map((value) => values.get(value)!);
  }
}

/** An argument that is differentiated: its tree, and which leaves are tensors. */
export interface ArgumentTree {
  readonly structure: TreeStructure;
  readonly leaves: readonly unknown[];
}

/**
 * @param made takes every concrete tensor that tracing made, when it runs outside all traces
 * @throws KilnError `not_differentiable`, `invalid_argument`, and all that a trace can meet
 */
export function differentiate(request: DifferentiateRequest, made: Tensor[]): Derivative {
  const { fn, label, hasAux } = request;
  assertSynchronous(fn, label);
  checkSource(fn, label, request.args, undefined);
  const outer = currentTrace();
  const trace = new Trace(
    outer?.kind ?? 'recording',
    label,
    outer?.device ?? deviceOf(request.args),
    sharedFunctions(),
  );
  const sources: Tensor[] = [];
  const { args, argStructures } = parametersFor(request, trace, sources);
  try {
    const traced = withTrace(trace, () => {
      const result = atUserCode(() => Reflect.apply(fn, undefined, args));
      const [main, aux] = hasAux ? splitAux(result, label) : [result, undefined];
      const outputs = flattenOutputs(main, label);
      const auxTree = tree.flatten(aux);
      const auxTensors = (auxTree.leaves as readonly unknown[]).filter((leaf) => leaf instanceof Tensor);
      return { outputs, auxTree, graph: trace.build([...outputs.tensors, ...auxTensors]) };
    });
    return derivativeOf(trace, traced, sources, argStructures);
  } finally {
    if (outer?.kind === 'recording') outer.made.push(...trace.made);
    else made.push(...trace.made);
  }
}

const deviceOf = (args: readonly unknown[]): string => {
  for (const arg of args) {
    const found = leavesOf(arg).find((leaf) => leaf instanceof Tensor);
    if (found?.handle) return found.handle.device.name;
  }
  return currentDeviceName();
};

interface TracedOutputs {
  readonly outputs: { readonly tensors: readonly Tensor[]; readonly structure: TreeStructure };
  readonly auxTree: { readonly leaves: readonly unknown[]; readonly structure: TreeStructure };
  readonly graph: Graph;
}

function derivativeOf(
  trace: Trace,
  traced: TracedOutputs,
  sources: readonly Tensor[],
  argStructures: readonly ArgumentTree[],
): Derivative {
  const whole = vjpGraph(traced.graph, {
    wrt: sources.map((_, i) => i),
    outputs: traced.outputs.tensors.map((_, i) => i),
    functions: trace.shared.functions,
  });
  const values = new Map<Value, Tensor>(sources.map((tensor, i) => [whole.parameters[i], tensor]));
  for (const { value, tensor } of trace.captures) values.set(value, tensor);
  const isOutside = trace.kind === 'recording' && currentTrace() === undefined;
  if (isOutside) for (const [value, tensor] of trace.concretes) values.set(value, tensor);
  const context = { functions: trace.shared.functions, device: trace.device, computed: trace.concretes };
  return new Derivative(whole, traced, values, context, argStructures);
}

/** The arguments with parameters of the trace in the place of the tensors that are differentiated. */
function parametersFor(
  { args, argnums, label }: DifferentiateRequest,
  trace: Trace,
  sources: Tensor[],
): { readonly args: readonly unknown[]; readonly argStructures: readonly ArgumentTree[] } {
  const concrete = args.map((arg) => arraysAsTensors(arg, trace.device));
  const replaced = [...concrete];
  const argStructures = argnums.map((position) => {
    if (!Number.isInteger(position) || position < 0 || position >= args.length) {
      throw new KilnError('invalid_argument', `${label}: there is no argument ${position}`, {
        given: `argnums ${argnums.join(', ')} with ${args.length} arguments`,
      });
    }
    const before = sources.length;
    replaced[position] = mapLeaves(concrete[position], (leaf) => {
      if (!(leaf instanceof Tensor)) return leaf;
      assertFloat(leaf, position, label);
      sources.push(leaf);
      return trace.parameter(leaf.type, undefined, trace.kind === 'recording' ? concreteOf(leaf) : undefined);
    });
    if (sources.length === before) {
      throw new KilnError('not_differentiable', `${label}: argument ${position} holds no tensor`, {
        given: String(args[position]),
        hint: 'pass tensor(value) instead of a plain number, or choose other argnums',
      });
    }
    return tree.flatten(concrete[position]) as ArgumentTree;
  });
  return { args: replaced, argStructures };
}

function assertFloat(leaf: Tensor, position: number, label: string): void {
  if (isFloat(leaf.dtype)) return;
  throw new KilnError('not_differentiable', `${label}: argument ${position} holds a tensor that is not a float`, {
    given: leaf.signature,
    expected: 'float tensors to differentiate with respect to',
    hint: "pass it as another argument and choose argnums, or convert it: x.astype('float32')",
  });
}

function splitAux(result: unknown, label: string): readonly [unknown, unknown] {
  if (Array.isArray(result) && result.length === 2) return [result[0], result[1]];
  throw new KilnError('invalid_output', `${label}: with hasAux the function returns [output, aux]`, {
    given: Array.isArray(result) ? `an array of ${result.length}` : String(result),
  });
}
