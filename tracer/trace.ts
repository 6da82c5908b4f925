/**
 * `emit`: how every operation writes one primitive. Inside a trace the primitive is recorded in the innermost graph;
 * outside it runs at once. Type rules are checked by the graph builder; an error points at the user's line and leaves
 * the trace as it was.
 *
 *     const add = (a: Tensor, b: Tensor) => emit('add', [a, b], {});
 */
import { internalError, KilnError } from '../base/error.ts';
import type { OpAttributes, Opcode } from '../ir/opcodes.ts';
import type { Op, Value } from '../ir/types.ts';
import { runPrimitive } from './eager.ts';
import { assertOpen, concreteOf, currentTrace, type Trace } from './graph-trace.ts';
import { currentLocation } from './location.ts';
import { Tensor } from './tensor.ts';

export { currentTrace } from './graph-trace.ts';

/**
 * Emits one op with one result.
 * @param operands tensors of the innermost trace, of outer traces or concrete ones; the latter two are lifted
 * @param device where an op without operands runs outside all traces; the session's device unless given
 * @throws KilnError whatever the op's type rule says, `leaked_tracer`, `use_after_dispose`
 */
export function emit<K extends Opcode>(
  opcode: K,
  operands: readonly Tensor[],
  attributes: OpAttributes[K],
  device?: string,
): Tensor {
  const trace = currentTrace();
  return trace ? emitInto(trace, opcode, operands, attributes) : emitNow(opcode, operands, attributes, device);
}

/**
 * Emits an op with any number of results into the innermost trace, such as a call.
 * @throws KilnError as `emit` does; `internal` outside a symbolic trace
 */
export function emitResults<K extends Opcode>(
  opcode: K,
  operands: readonly Tensor[],
  attributes: OpAttributes[K],
): readonly Tensor[] {
  const trace = currentTrace();
  if (trace?.kind !== 'symbolic') throw internalError(`${opcode} is emitted outside a symbolic trace`);
  const location = currentLocation();
  const values = operands.map((operand) => trace.lift(operand));
  return trace.builder.results(opcode, values, attributes, { location }).map((value) => Tensor.traced(trace, value));
}

function emitNow<K extends Opcode>(
  opcode: K,
  operands: readonly Tensor[],
  attributes: OpAttributes[K],
  device: string | undefined,
): Tensor {
  for (const operand of operands) assertOpen(operand, opcode);
  try {
    return runPrimitive(opcode, operands, attributes, device);
  } catch (error) {
    throw error instanceof KilnError ? error.at(currentLocation()) : error;
  }
}

function emitInto<K extends Opcode>(
  trace: Trace,
  opcode: K,
  operands: readonly Tensor[],
  attributes: OpAttributes[K],
): Tensor {
  const location = currentLocation();
  try {
    const values = operands.map((operand) => trace.lift(operand));
    const value = trace.builder.op(opcode, values, attributes, { location });
    if (trace.kind === 'symbolic') return Tensor.traced(trace, value);
    const concrete = runPrimitive(opcode, operands.map(concreteOf), attributes, trace.device);
    trace.concretes.set(value, concrete);
    trace.made.push(concrete);
    return Tensor.traced(trace, value, concrete);
  } catch (error) {
    throw error instanceof KilnError ? error.at(location) : error;
  }
}

/** Records an op of another graph over tensors of its operands' types; the type rule has run on it before. */
export function emitCopy(trace: Trace, op: Op, operands: readonly Tensor[]): readonly Tensor[] {
  const values = operands.map((operand) => trace.lift(operand));
  const results = op.results.map(({ type, name }): Value => (name === undefined ? { type } : { type, name }));
  const { opcode, attributes, regions } = op;
  trace.builder.append({ opcode, operands: values, attributes, regions, results, location: currentLocation() } as Op);
  return results.map((value) => Tensor.traced(trace, value));
}

/** Records an op in a trace that runs its ops, with results that have been computed already. */
export function emitKnown(
  trace: Trace,
  { opcode, attributes, location }: Pick<Op, 'opcode' | 'attributes' | 'location'>,
  operands: readonly Tensor[],
  concretes: readonly Tensor[],
): readonly Tensor[] {
  const values = operands.map((operand) => trace.lift(operand));
  return trace.builder.results(opcode, values, attributes, location ? { location } : {}).map((value, i) => {
    trace.concretes.set(value, concretes[i]);
    return Tensor.traced(trace, value, concretes[i]);
  });
}
