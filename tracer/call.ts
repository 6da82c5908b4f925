/**
 * A compiled function called while another function is traced: it becomes a function of the module under
 * construction, and the call an op. Calls with the same signature share one function, so N equal layers are traced
 * once.
 *
 *     %h = call %x, %w {function=@layer}
 */
import { KilnError } from '../base/error.ts';
import type { Func, TensorType } from '../ir/types.ts';
import { typeOfArray } from './array-leaf.ts';
import type { Compilation, SignedCall } from './compilation.ts';
import type { Trace } from './graph-trace.ts';
import { rebuild } from './pytree.ts';
import { applyEffects } from './receiver.ts';
import type { Tensor } from './tensor.ts';
import { emitResults } from './trace.ts';
import { type TracedGraph, traceFunction } from './trace-function.ts';
import { uploadView } from './typed-arrays.ts';

/** A function that is in the module already. */
interface TracedCall {
  readonly name: string;
  readonly traced: TracedGraph;
}

export function callInTrace(callee: Compilation, trace: Trace, thisArg: unknown, args: readonly unknown[]): unknown {
  const signed = callee.sign(thisArg, args);
  const operands = signed.arrays.map((array) => (ArrayBuffer.isView(array) ? uploadView(array, trace.device) : array));
  const { name, traced } = functionFor(callee, trace, signed);
  const results = emitResults('call', [...(operands as readonly Tensor[]), ...traced.captures], { function: name });
  applyEffects(traced.effects, thisArg as object, results);
  let at = 0;
  return rebuild(traced.structure, () => results[at++]);
}

/** The function for a signature, traced unless this module has it and all it captured can still be reached. */
function functionFor(callee: Compilation, { shared, device }: Trace, signed: SignedCall): TracedCall {
  let known = shared.calls.get(callee) as Map<string, TracedCall> | undefined;
  if (!known) {
    known = new Map();
    shared.calls.set(callee, known);
  }
  const before = known.get(signed.key);
  if (before?.traced.captures.every(({ traced }) => !traced?.trace.closed)) return before;
  if (callee.underWay.has(signed.key)) {
    throw new KilnError('invalid_argument', `${callee.label}: the function calls itself while it is traced`, {
      hint: 'write the recursion as a loop, or compile only the outer function',
    });
  }
  callee.underWay.add(signed.key);
  try {
    return traceCallee(callee, { shared, device }, signed, known);
  } finally {
    callee.underWay.delete(signed.key);
  }
}

function traceCallee(
  callee: Compilation,
  { shared, device }: Pick<Trace, 'shared' | 'device'>,
  signed: SignedCall,
  known: Map<string, TracedCall>,
): TracedCall {
  const types: TensorType[] = signed.arrays.map(typeOfArray);
  const traced = traceFunction({
    fn: callee.fn,
    label: callee.label,
    kind: 'symbolic',
    device,
    args: signed.args,
    isStatic: callee.options.isStatic,
    receiver: signed.receiver,
    thisArg: signed.thisArg,
    shared,
    types,
  });
  const name = uniqueName(callee.options.name, shared.functions);
  shared.functions.set(name, { name, graph: traced.graph });
  const made = { name, traced };
  known.set(signed.key, made);
  return made;
}

/** An identifier that no function of the module has; `main` is the one that is entered. */
export function uniqueName(wanted: string, functions: ReadonlyMap<string, Func>): string {
  const base = wanted.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?![A-Za-z_])/, '_');
  if (base !== 'main' && !functions.has(base)) return base;
  let count = 2;
  while (functions.has(`${base}_${count}`)) count++;
  return `${base}_${count}`;
}
