/**
 * A checkpointed function in a trace: it is traced into a function of the module that is marked `checkpoint`, and
 * called. Gradients compute its body again (`passes/grad/vjp-graph.ts`), everything else sees a call like any other.
 *
 *     %h = call %block.w, %x {function=@block}            func @block(...) -> (...) checkpoint { ... }
 *
 * In a trace that runs its ops the function runs too, so that values can be printed; what it made inside is released
 * when it returns.
 */
import { internalError } from '../base/error.ts';
import type { Value } from '../ir/types.ts';
import { arraysAsTensors, leavesOf } from './array-leaf.ts';
import { uniqueName } from './call.ts';
import { concreteOf, Trace, withTrace } from './graph-trace.ts';
import { atUserCode, currentLocation } from './location.ts';
import { assertSomeOutput, flattenOutputs } from './outputs.ts';
import { mapLeaves, rebuild } from './pytree.ts';
import { checkSource } from './source-check.ts';
import { Tensor } from './tensor.ts';
import { emitKnown, emitResults } from './trace.ts';
import { assertSynchronous } from './trace-function.ts';

type AnyFunction = (...args: never[]) => unknown;

/**
 * Calls a function so that gradients of `outer` compute it again.
 * @throws KilnError `async_function`, `unreadable_source`, `traced_branch`, `invalid_output`, and what the function
 *   throws
 */
export function callCheckpointed(outer: Trace, fn: AnyFunction, label: string, args: readonly unknown[]): unknown {
  assertSynchronous(fn, label);
  const tensors = args.map((arg) => arraysAsTensors(arg, outer.device));
  checkSource(fn, label, tensors, undefined);
  const inner = new Trace(outer.kind, label, outer.device, outer.shared);
  const sources: Tensor[] = [];
  const inside = tensors.map((arg) => parametersFor(arg, inner, sources));
  const kept = new Set<Tensor>();
  try {
    const outputs = withTrace(inner, () => {
      const result = atUserCode(() => Reflect.apply(fn, undefined, inside));
      const flat = flattenOutputs(result, label);
      assertSomeOutput(flat.tensors.length, result, label);
      return { values: flat.tensors.map((tensor) => inner.lift(tensor)), structure: flat.structure };
    });
    const operands = [...sources, ...inner.captures.map(({ tensor }) => tensor)];
    const results = emitCall(outer, inner, fn.name, operands, outputs.values);
    for (const { traced } of results.values()) if (traced?.concrete) kept.add(traced.concrete);
    let at = 0;
    return rebuild(outputs.structure, () => results.get(outputs.values[at++]));
  } finally {
    for (const tensor of inner.made) {
      if (kept.has(tensor)) outer.made.push(tensor);
      else tensor.release({ by: 'tidy' });
    }
  }
}

/** An argument with parameters of the trace in the place of its tensors; one that is no pytree stays. */
const parametersFor = (arg: unknown, trace: Trace, sources: Tensor[]): unknown =>
  leavesOf(arg).length === 0
    ? arg
    : mapLeaves(arg, (leaf) => {
        if (!(leaf instanceof Tensor)) return leaf;
        sources.push(leaf);
        return trace.parameter(leaf.type, undefined, trace.kind === 'recording' ? concreteOf(leaf) : undefined);
      });

/**
 * The tensors for the function's results. Every value is returned once, and what it merely hands through is what it was
 * given, so that cotangents are added up in the same order as without the call.
 */
function emitCall(
  outer: Trace,
  inner: Trace,
  name: string,
  operands: readonly Tensor[],
  outputs: readonly Value[],
): ReadonlyMap<Value, Tensor> {
  const { parameters } = inner.builder.build([]);
  const found = new Map(parameters.map((parameter, i) => [parameter, operands[i]]));
  const computed = [...new Set(outputs)].filter((value) => !found.has(value));
  if (computed.length === 0) return found;
  const { functions } = outer.shared;
  const func = uniqueName(name || 'checkpoint', functions);
  functions.set(func, { name: func, graph: inner.builder.build(computed), checkpoint: true });
  const attributes = { function: func };
  const location = currentLocation();
  const results =
    outer.kind === 'symbolic'
      ? emitResults('call', operands, attributes)
      : emitKnown(outer, { opcode: 'call', attributes, location }, operands, computed.map(elementsIn(inner)));
  results.forEach((tensor, i) => {
    found.set(computed[i], tensor);
  });
  return found;
}

const elementsIn =
  ({ concretes }: Trace) =>
  (value: Value): Tensor => {
    const concrete = concretes.get(value);
    if (!concrete) throw internalError('a value of a recording trace has no elements');
    return concrete;
  };
