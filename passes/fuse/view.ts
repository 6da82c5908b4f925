/**
 * How a group looks at a value: which of the group's loops walk each of the value's axes. Views start at a group's
 * root, where axis `k` is walked by loop `k`, and go up through the ops.
 *
 *     root f32[B,N], tokens 0 and 1       the row maximum f32[B], broadcast:  axes [[0]]
 *     inside the reduce that makes it:    its operand f32[B,N]:               axes [[0],[1000]]
 *
 * A loop is named by a token: `0..` for the loops of the group's domain, from `firstReduceToken` on for the axes of
 * reductions; `unknown` where an axis moves in any other way.
 */
import { type Dim, equalDims } from '../../base/dim.ts';
import { otherAxes } from '../../ir/ops/rules.ts';
import type { Op, OpOf } from '../../ir/types.ts';
import { reshapeSegments } from '../lower/index-algebra.ts';
import { estimateCount, isRowOp } from './graph-uses.ts';

export const unknown = -1;
export const firstReduceToken = 1000;

/** Where in a kernel a value is computed. */
export type Place =
  /** In the loops of the group. */
  | 'loops'
  /** Under a reduction or window. */
  | 'reduction'
  /** As operand of a contraction, which is packed and read many times. */
  | 'operand'
  /** In a scatter. */
  | 'scatter';

export interface View {
  /** For each axis of the value, the loops that walk it, outermost first; none for an axis of size 1. */
  readonly axes: readonly (readonly number[])[];
  readonly place: Place;
  /** How often an element is computed in one run of the kernel, were it not hoisted. */
  readonly evaluations: number;
}

interface ReducedAxis {
  /** How the reduction's result is looked at. */
  readonly view: View;
  readonly extents: readonly Dim[];
  readonly axis: number;
  readonly evaluations: number;
}

/** Tokens of reduced axes: the same for the same rows and extents, so that reductions over one row share views. */
export class ReduceTokens {
  readonly #numbers = new Map<string, number>();
  readonly #axes: ReducedAxis[] = [];

  tokenFor(view: View, extents: readonly Dim[], axis: number, evaluations: number): number {
    const key = `${view.place} ${view.axes.join(';')} | ${extents} | ${axis}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = firstReduceToken + this.#axes.push({ view, extents, axis, evaluations }) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  extentOf(token: number): Dim {
    const { extents, axis } = this.#axes[token - firstReduceToken];
    return extents[axis];
  }

  evaluationsOf(token: number): number {
    return this.#axes[token - firstReduceToken].evaluations;
  }

  /** A view as seen from another group, whose loops have other tokens. */
  renamed({ axes, place, evaluations }: View, loops: ReadonlyMap<number, number>): View {
    return { axes: axes.map((axis) => axis.map((token) => this.#renamedToken(token, loops))), place, evaluations };
  }

  #renamedToken(token: number, loops: ReadonlyMap<number, number>): number {
    if (token < firstReduceToken) return loops.get(token) ?? token;
    const { view, extents, axis, evaluations } = this.#axes[token - firstReduceToken];
    return this.tokenFor(this.renamed(view, loops), extents, axis, evaluations);
  }
}

/** The extent of a group's loop, or of an axis of a reduction. */
export type ExtentOf = (token: number) => Dim;

/** The views of an op's operands, from a view of its result. */
export function operandViews(op: Op, view: View, tokens: ReduceTokens, extentOf: ExtentOf): readonly View[] {
  switch (op.opcode) {
    case 'broadcast_in_dim': {
      const { shape } = op.operands[0].type;
      return [{ ...view, axes: shape.map((size, axis) => (size === 1 ? [] : view.axes[op.attributes.axes[axis]])) }];
    }
    case 'transpose': {
      const axes: (readonly number[])[] = new Array(view.axes.length);
      op.attributes.permutation.forEach((from, to) => {
        axes[from] = view.axes[to];
      });
      return [{ ...view, axes }];
    }
    case 'reshape':
      return [{ ...view, axes: reshapedAxes(op, view, extentOf) }];
    case 'reverse':
      return [{ ...view, axes: view.axes.map((axis, at) => (op.attributes.axes.includes(at) ? lost(axis) : axis)) }];
    case 'slice':
    case 'pad':
    case 'concatenate':
    case 'dynamic_slice':
    case 'dynamic_update_slice':
      return op.operands.map(({ type }) => resizedView(op, type.shape, view));
    case 'gather':
      return gatherViews(op, view);
    case 'reduce':
      return [reduceView(op, view, tokens)];
    case 'sort':
    case 'cumulative':
      return [rowView(op, view, tokens)];
    case 'dot_general':
    case 'convolution':
      return op.operands.map(({ type }) => contractionView(op, type.shape));
    case 'reduce_window': {
      const taps = op.attributes.window.reduce((product, size) => product * size, 1);
      const axes = view.axes.map((axis, at) => (op.attributes.window[at] === 1 ? axis : lost(axis)));
      return [{ axes, place: 'reduction', evaluations: view.evaluations * taps }];
    }
    case 'scatter':
      return op.operands.map(({ type }) => ({
        axes: type.shape.map(() => [unknown]),
        place: 'scatter',
        evaluations: estimateCount(type.shape),
      }));
    case 'optimization_barrier':
      return [view];
    default:
      return op.operands.map(() => view);
  }
}

const lost = (axis: readonly number[]): readonly number[] => (axis.length === 0 ? axis : [unknown]);

/** Axes of equal size stay; an axis of another size is read in part. Scalars (starts, padding) have no axes. */
function resizedView(op: Op, shape: readonly Dim[], view: View): View {
  const result = op.results[0].type.shape;
  if (shape.length !== result.length) return { ...view, axes: [] };
  if (shape.length === 0) return { ...view, axes: [] };
  const partial = op.opcode === 'concatenate' ? op.attributes.axis : -1;
  const axes = shape.map((size, axis) => {
    if (size === 1) return [];
    return axis !== partial && equalDims(size, result[axis]) && isIdentity(op, axis) ? view.axes[axis] : [unknown];
  });
  return { ...view, axes };
}

function isIdentity(op: Op, axis: number): boolean {
  if (op.opcode === 'slice') return equalDims(op.attributes.start[axis], 0) && op.attributes.strides[axis] === 1;
  if (op.opcode === 'pad') return equalDims(op.attributes.low[axis], 0) && op.attributes.interior[axis] === 0;
  return true;
}

/** Axes of a reshape's operand: whole loops of the result's axes where the extents of loops say so. */
function reshapedAxes(op: OpOf<'reshape'>, view: View, extentOf: ExtentOf): (readonly number[])[] {
  const from = op.attributes.shape;
  const to = op.operands[0].type.shape;
  const axes: (readonly number[])[] = to.map((size) => (size === 1 ? [] : [unknown]));
  for (const { fromStart, fromEnd, toStart, toEnd } of reshapeSegments(from, to)) {
    const tokens = view.axes.slice(fromStart, fromEnd).flat();
    const wide = axes.flatMap((_, axis) => (axis >= toStart && axis < toEnd && to[axis] !== 1 ? [axis] : []));
    if (tokens.includes(unknown)) continue;
    if (wide.length === 1) axes[wide[0]] = tokens;
    else {
      const sizes = wide.map((axis) => to[axis]);
      for (const part of reshapeSegments(tokens.map(extentOf), sizes)) {
        const walked = tokens.slice(part.fromStart, part.fromEnd);
        if (part.toEnd - part.toStart === 1) axes[wide[part.toStart]] = walked;
      }
    }
  }
  return axes;
}

function gatherViews(op: OpOf<'gather'>, view: View): readonly View[] {
  const { offset_axes, collapsed_axes, slice_sizes, index_vector_axis } = op.attributes;
  const [operand, indices] = op.operands;
  let window = 0;
  const axes = operand.type.shape.map((size, axis): readonly number[] => {
    if (collapsed_axes.includes(axis)) return lost([unknown]);
    const walked = view.axes[offset_axes[window++]];
    return equalDims(slice_sizes[axis], size) ? walked : lost(walked);
  });
  const batch = otherAxes(view.axes.length, offset_axes);
  let next = 0;
  const where = indices.type.shape.map((_, axis) => (axis === index_vector_axis ? [] : view.axes[batch[next++]]));
  return [
    { ...view, axes },
    { ...view, axes: where },
  ];
}

function reduceView(op: OpOf<'reduce'>, view: View, tokens: ReduceTokens): View {
  const { shape } = op.operands[0].type;
  const { axes: reduced } = op.attributes;
  const extents = reduced.map((axis) => shape[axis]);
  const evaluations = view.evaluations * estimateCount(extents);
  let kept = 0;
  const axes = shape.map((size, axis): readonly number[] => {
    if (!reduced.includes(axis)) return view.axes[kept++];
    return size === 1 ? [] : [tokens.tokenFor(view, extents, reduced.indexOf(axis), evaluations)];
  });
  return { axes, place: 'reduction', evaluations };
}

/** The axes of a view that walk the rows of an op: all but the one that a sort or a running sum goes along. */
export const rowAxesIn = (op: Op, { axes }: View): View['axes'] =>
  isRowOp(op) ? axes.toSpliced(op.attributes.axis, 1) : axes;

/** A row is made once, whatever of it is wanted and how often. */
function rowView(op: OpOf<'sort'> | OpOf<'cumulative'>, view: View, tokens: ReduceTokens): View {
  const { axis } = op.attributes;
  const { shape } = op.operands[0].type;
  const rows = rowAxesIn(op, view);
  const evaluations = estimateCount(shape);
  const token = tokens.tokenFor({ ...view, axes: rows }, [shape[axis]], 0, evaluations);
  return { axes: rows.toSpliced(axis, 0, shape[axis] === 1 ? [] : [token]), place: 'reduction', evaluations };
}

function contractionView(op: OpOf<'dot_general'> | OpOf<'convolution'>, shape: readonly Dim[]): View {
  let taps = 1;
  if (op.opcode === 'convolution') taps = estimateCount(op.operands[1].type.shape.slice(2));
  return {
    axes: shape.map((size) => (size === 1 ? [] : [unknown])),
    place: 'operand',
    evaluations: estimateCount(shape) * taps,
  };
}

export const viewKey = ({ axes, place }: View): string => `${place} ${axes.join(';')}`;
