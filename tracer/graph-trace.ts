/**
 * Traces: one run of a user's function on tensors that record what is done to them. Traces nest; the innermost is the
 * one that ops are written into. A value from outside, be it a concrete tensor or a value of an outer trace, is
 * lifted: it becomes a further parameter of the inner graph (a capture), so the inner graph is closed and a
 * derivative taken of it can not be confused with one taken outside.
 *
 *     grad((x) => grad((y) => x.mul(y))(x))(a)
 *       outer trace: parameters x
 *       inner trace: parameters y, captures [x of the outer trace]
 *
 * A trace of kind `symbolic` only records. One of kind `recording` (a gradient outside `compile`) also runs each op
 * at once, so its tensors have values that can be printed.
 */
import { internalError } from '../base/error.ts';
import { GraphBuilder } from '../ir/builder.ts';
import type { Func, Graph, TensorType, Value } from '../ir/types.ts';
import { currentLocation } from './location.ts';
import { leakedTracer, Tensor } from './tensor.ts';

export type TraceKind = 'symbolic' | 'recording';

/** A parameter that stands for something from outside the trace. */
export interface Capture {
  readonly tensor: Tensor;
  readonly value: Value;
}

/** What the functions of one module under construction share. */
export interface TracedFunctions {
  /** Callees, in an order in which they come before their callers. */
  readonly functions: Map<string, Func>;
  /** Functions traced in this module already, by compiled function and signature. */
  readonly calls: Map<object, Map<string, unknown>>;
}

export class Trace {
  readonly kind: TraceKind;
  /** What is traced, for messages: `compile(step)`. */
  readonly label: string;
  /** Name of the device the graph will run on. */
  readonly device: string;
  readonly shared: TracedFunctions;
  readonly builder: GraphBuilder;
  readonly captures: Capture[] = [];
  /** In a recording trace: the elements of every value. */
  readonly concretes = new Map<Value, Tensor>();
  /** In a recording trace: the tensors that its ops have made. */
  readonly made: Tensor[] = [];
  closed = false;
  readonly #lifted = new Map<Tensor, Value>();

  constructor(kind: TraceKind, label: string, device: string, shared: TracedFunctions) {
    this.kind = kind;
    this.label = label;
    this.device = device;
    this.shared = shared;
    this.builder = new GraphBuilder({ functions: shared.functions });
  }

  /** A new parameter of the graph as a traced tensor; `concrete` holds its elements in a recording trace. */
  parameter(type: TensorType, name?: string, concrete?: Tensor): Tensor {
    const value = this.builder.parameter(type, name);
    if (concrete) this.concretes.set(value, concrete);
    return Tensor.traced(this, value, concrete);
  }

  /** The value that stands for a tensor in this trace's graph. @throws KilnError `leaked_tracer` */
  lift(tensor: Tensor): Value {
    const { traced } = tensor;
    if (traced?.trace === this) return traced.value;
    const before = this.#lifted.get(tensor);
    if (before) return before;
    if (traced) assertOpen(tensor);
    else tensor.assertUsable();
    const value = this.builder.parameter(tensor.type);
    this.#lifted.set(tensor, value);
    this.captures.push({ tensor, value });
    if (this.kind === 'recording') this.concretes.set(value, concreteOf(tensor));
    return value;
  }

  build(results: readonly Tensor[]): Graph {
    return this.builder.build(results.map((tensor) => this.lift(tensor)));
  }
}

/** The tensor that holds the elements. @throws KilnError `internal` for one that is only traced */
export function concreteOf(tensor: Tensor): Tensor {
  if (!tensor.traced) return tensor;
  if (tensor.traced.concrete) return tensor.traced.concrete;
  throw internalError(`${tensor.signature} of ${tensor.traced.trace.label} has no elements`);
}

const stack: Trace[] = [];

/** The innermost trace, or `undefined` outside all traces. */
export const currentTrace = (): Trace | undefined => stack[stack.length - 1];

/** A trace's shared state for a module that starts here, or the one under construction. */
export const sharedFunctions = (): TracedFunctions =>
  currentTrace()?.shared ?? { functions: new Map(), calls: new Map() };

/** Runs `body` with `trace` innermost. Whatever happens, the trace is closed and the stack is as before. */
export function withTrace<T>(trace: Trace, body: () => T): T {
  const depth = stack.length;
  stack.push(trace);
  try {
    return body();
  } finally {
    stack.length = depth;
    trace.closed = true;
  }
}

/** @throws KilnError `leaked_tracer` for a traced tensor whose trace has ended. */
export function assertOpen(tensor: Tensor, what = 'an operation'): void {
  const { traced } = tensor;
  if (traced?.trace.closed) throw leakedTracer(tensor, traced.trace, what, currentLocation());
}
