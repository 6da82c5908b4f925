/**
 * Weights that lie along the sum are turned, once, where a single row is multiplied by them: then the columns of the
 * result lie side by side in memory, and a register tile reads the weight where it is.
 *
 *     %y = dot_general %x, %w {contract=[[1],[1]]}           %x: f32[1,512], %w: f32[2048,512], which is held
 *     %t = transpose %w;  %y = dot_general %x, %t {contract=[[1],[0]]}        the same products in the same order
 *
 * For more rows weights are packed (`codegen/wasm/keep-packed.ts`), which turns them too.
 */
import { isStatic } from '../../base/dim.ts';
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import type { GraphUses } from '../fuse/graph-uses.ts';
import type { StorageBudget } from './choose-stored.ts';

/** Rows of a product that is no contraction while its weight lies along the sum. */
const mostRows = 1;
/** Elements of a factor from which on that matters. */
const leastElements = 1 << 13;
const leastColumns = 16;

export interface TurnRequest {
  readonly graph: Graph;
  readonly uses: GraphUses;
  readonly fixed: ReadonlySet<Value>;
  readonly budget: StorageBudget;
  readonly copies: number;
}

/** The graph with turned factors, and those factors; the same graph when there are none. */
export function turnFactors(request: TurnRequest): { readonly graph: Graph; readonly turned: ReadonlySet<Value> } {
  const { graph, fixed } = request;
  const known = new Map<string, Op>();
  const numbers = new Map<Value, number>();
  const ops: Op[] = [];
  for (const op of graph.ops) {
    const turned = op.opcode === 'dot_general' && !fixed.has(op.results[0]) ? turnedProduct(op, request) : undefined;
    if (!turned) {
      ops.push(op);
      continue;
    }
    // Several products with one weight share what is kept of it.
    const { source } = turned;
    if (!numbers.has(source)) numbers.set(source, numbers.size);
    const key = `${numbers.get(source)}:${turned.permutation}`;
    let transpose = known.get(key);
    if (!transpose) {
      transpose = transposeOf(source, turned.permutation);
      known.set(key, transpose);
      ops.push(transpose);
    }
    ops.push(turned.product(transpose.results[0]));
  }
  if (known.size === 0) return { graph, turned: new Set() };
  return { graph: { ...graph, ops }, turned: new Set([...known.values()].flatMap(({ results }) => results)) };
}

interface TurnedProduct {
  readonly source: Value;
  readonly permutation: readonly number[];
  product(factor: Value): Op;
}

function turnedProduct(op: OpOf<'dot_general'>, request: TurnRequest): TurnedProduct | undefined {
  const { contract, batch } = op.attributes;
  // Axes that become neighbours would be summed as one, in other blocks.
  if (contract[0].length !== 1) return undefined;
  for (const side of [1, 0] as const) {
    const [source, other] = [op.operands[side], op.operands[1 - side]];
    if (!isHeld(source, request) || request.fixed.has(other)) continue;
    const [depth] = contract[side];
    const shape = source.type.shape.map(Number);
    const free = shape.flatMap((_, axis) => (axis === depth || batch[side].includes(axis) ? [] : [axis]));
    const columns = free.reduce((product, axis) => product * shape[axis], 1);
    const inner = shape.findLastIndex((size) => size > 1);
    const isSmall = columns < leastColumns || columns * shape[depth] < leastElements;
    if (inner !== depth || isSmall || !hasFewRows(other, contract[1 - side], batch[1 - side])) continue;
    const bytes = request.copies * request.uses.bytesOf(source);
    if (!request.budget.take(bytes, bytes)) continue;
    const permutation = [...batch[side], depth, ...free];
    return { source, permutation, product: (factor) => withFactor(op, side, factor) };
  }
  return undefined;
}

/** Whether a value is a parameter or constant that stays the same. */
function isHeld(value: Value, { uses, fixed }: TurnRequest): boolean {
  return fixed.has(value) && uses.producerOf(uses.storageOf(value)) === undefined;
}

function hasFewRows({ type }: Value, contract: readonly number[], batch: readonly number[]): boolean {
  let rows = 1;
  for (const [axis, size] of type.shape.entries()) {
    if (contract.includes(axis) || batch.includes(axis)) continue;
    if (!isStatic(size)) return false;
    rows *= size;
  }
  return rows <= mostRows;
}

function transposeOf(source: Value, permutation: readonly number[]): Op {
  const { dtype, shape } = source.type;
  const result: Value = { type: { dtype, shape: permutation.map((axis) => shape[axis]) } };
  return { opcode: 'transpose', operands: [source], attributes: { permutation }, regions: [], results: [result] };
}

/** The product with a factor whose axes are batch, depth, free ones. */
function withFactor(op: OpOf<'dot_general'>, side: 0 | 1, factor: Value): Op {
  const batches = op.attributes.batch[side].length;
  const replaced = <T>(pair: readonly [T, T], value: T): readonly [T, T] =>
    side === 0 ? [value, pair[1]] : [pair[0], value];
  return {
    ...op,
    operands: op.operands.map((operand, at) => (at === side ? factor : operand)),
    attributes: {
      contract: replaced(op.attributes.contract, [batches]),
      batch: replaced(
        op.attributes.batch,
        Array.from({ length: batches }, (_, at) => at),
      ),
    },
  };
}
