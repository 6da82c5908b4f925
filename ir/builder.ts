/**
 * Builds graphs. Every op goes through its type rule here, so a graph from the builder is well typed:
 *
 *     const b = new GraphBuilder();
 *     const x = b.parameter({ dtype: 'float32', shape: [8, 4] }, 'x');
 *     const y = b.op('reduce', [b.op('tanh', [x])], { kind: 'sum', axes: [1] });
 *     const graph = b.build([y]);
 *
 * Tracing runs through `op` for every operation of the user's function, so it does little beside the type rule.
 */
import { type Dim, equalShapes } from '../base/dim.ts';
import type { DType } from '../base/dtype.ts';
import { internalError, KilnError } from '../base/error.ts';
import type { SourceLocation } from '../base/location.ts';
import { splat } from './literal.ts';
import type { OpAttributes, Opcode, PlainOpcode } from './opcodes.ts';
import { inferTypes } from './ops/index.ts';
import type { Func, Graph, Op, TensorType, Value } from './types.ts';

/** What an op may carry beside its meaning. */
export interface OpDetails {
  readonly location?: SourceLocation;
  /** Name of the (only) result. */
  readonly name?: string;
}

const noAttributes = {};
const noRegions: readonly Graph[] = [];
const noFunctions: ReadonlyMap<string, Func> = new Map();

export class GraphBuilder {
  readonly #parameters: Value[] = [];
  readonly #ops: Op[] = [];
  readonly #context: { readonly functions: ReadonlyMap<string, Func> };

  /** @param options.functions the functions that `call` may name; may grow while the graph is built */
  constructor(options: { readonly functions?: ReadonlyMap<string, Func> } = {}) {
    this.#context = { functions: options.functions ?? noFunctions };
  }

  parameter(type: TensorType, name?: string): Value {
    const value: Value = name === undefined ? { type } : { type, name };
    this.#parameters.push(value);
    return value;
  }

  /** Appends an op with one result and returns the result. */
  op<K extends PlainOpcode>(opcode: K, operands: readonly Value[]): Value;
  op<K extends Opcode>(opcode: K, operands: readonly Value[], attributes: OpAttributes[K], details?: OpDetails): Value;
  op(
    opcode: Opcode,
    operands: readonly Value[],
    attributes: OpAttributes[Opcode] = noAttributes,
    details?: OpDetails,
  ): Value {
    const results = this.results(opcode, operands, attributes, details);
    if (results.length !== 1) throw internalError(`${opcode} has ${results.length} results here, not one`);
    return results[0];
  }

  /**
   * Appends an op and returns its results.
   * @throws KilnError `shape_mismatch`, `dtype_mismatch`, `invalid_argument`, `invalid_size` or `unknown_size` that
   *   names the op and the constraint that does not hold, at `details.location`
   */
  results<K extends Opcode>(
    opcode: K,
    operands: readonly Value[],
    attributes: OpAttributes[K],
    details?: OpDetails,
  ): readonly Value[] {
    const operandTypes = operands.map((operand) => operand.type);
    let types: readonly TensorType[];
    try {
      types = inferTypes(opcode, operandTypes, attributes, this.#context);
    } catch (error) {
      throw error instanceof KilnError ? error.at(details?.location) : error;
    }
    const name = details?.name;
    const location = details?.location;
    const results = types.map((type): Value => (name === undefined ? { type } : { type, name }));
    const op =
      location === undefined
        ? { opcode, operands, attributes, regions: noRegions, results }
        : { opcode, operands, attributes, regions: noRegions, results, location };
    this.#ops.push(op as Op);
    return results;
  }

  /** Appends an op that exists already and keeps its values; its types are not checked again. */
  append(op: Op): void {
    this.#ops.push(op);
  }

  /** The graph of everything so far. The builder may go on; graphs handed out do not change. */
  build(results: readonly Value[]): Graph {
    return { parameters: [...this.#parameters], ops: [...this.#ops], results: [...results] };
  }
}

/** A constant of shape `[]`. */
export function scalar(builder: GraphBuilder, dtype: DType, value: number): Value {
  return builder.op('constant', [], { value: splat(dtype, [], value) });
}

/** An array whose elements are all `value`; its sizes may be symbolic. */
export function full(builder: GraphBuilder, type: TensorType, value: number): Value {
  const one = scalar(builder, type.dtype, value);
  return type.shape.length === 0 ? one : builder.op('broadcast_in_dim', [one], { shape: type.shape, axes: [] });
}

/** Zeros of a value's type. */
export const zerosLike = (builder: GraphBuilder, { type }: Value): Value => full(builder, type, 0);

/**
 * Broadcasts a value to a shape by NumPy's rule: shapes are aligned at their last axes, and size 1 repeats.
 * @throws KilnError `shape_mismatch` or `unknown_size` by the constraints of `broadcast_in_dim`
 */
export function broadcastTo(builder: GraphBuilder, value: Value, shape: readonly Dim[]): Value {
  const from = value.type.shape;
  if (equalShapes(from, shape)) return value;
  const axes = from.map((_, axis) => axis + shape.length - from.length);
  return builder.op('broadcast_in_dim', [value], { shape, axes });
}
