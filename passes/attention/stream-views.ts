/**
 * How the kernel of a stream looks at its values: the outer loops have tokens `0..`, one for each axis of the batch and
 * of its rows; the axis within a row and the axes that contractions sum or keep have tokens of reductions.
 *
 *     scores f32[B,H,I,J], a stream over the queries     [[0],[1],[2],[1000]]
 *     the keys f32[B,H,J,D] of their contraction         [[0],[1],[1000],[1001]]
 *     the result f32[B,H,I,E]                            [[0],[1],[2],[1002]]
 */
import type { Dim } from '../../base/dim.ts';
import { internalError } from '../../base/error.ts';
import { otherAxes } from '../../ir/ops/rules.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';
import type { GraphAnalysis } from '../fuse/analysis.ts';
import type { FusionGroup } from '../fuse/fusion-group.ts';
import { type ExtentOf, firstReduceToken, operandViews, type ReduceTokens, type View } from '../fuse/view.ts';
import { acrossOnes, type Roles, type ScoreRegions } from './score-region.ts';
import type { Stream } from './stream.ts';

type Axes = View['axes'];

/** Extents of the outer loops. */
export const streamDomain = (stream: Stream): readonly Dim[] =>
  outerAxes(stream).map((axis) => stream.region.axes.extents[axis]);

const outerAxes = ({ region: { axes }, direction }: Stream): readonly number[] => [...axes.batch, ...axes[direction]];

/** Axes of the scores within a row. */
export const columnAxes = ({ region: { axes }, direction }: Stream): readonly number[] =>
  direction === 'queries' ? axes.keys : axes.queries;

export class StreamViews {
  readonly #stream: Stream;
  readonly #analysis: GraphAnalysis;
  readonly #tokens: ReduceTokens;
  readonly #extentOf: ExtentOf;
  readonly #regions: ScoreRegions;
  /** For each axis of the scores the token that walks it. */
  readonly #walked: readonly (readonly number[])[];
  readonly #views = new Map<Value, View>();

  constructor(
    stream: Stream,
    group: FusionGroup,
    { analysis, regions, tokens }: { analysis: GraphAnalysis; regions: ScoreRegions; tokens: ReduceTokens },
  ) {
    this.#stream = stream;
    this.#analysis = analysis;
    this.#tokens = tokens;
    this.#extentOf = (token) => (token < firstReduceToken ? group.domain[token] : tokens.extentOf(token));
    this.#regions = regions;
    this.#walked = this.#tokensOfScores();
  }

  /** For each output the tokens that walk its axes. */
  outputs(): ReadonlyMap<Value, Axes> {
    const { ops } = this.#analysis.graph;
    const axes = new Map<Value, Axes>();
    const following = [...this.#stream.members].sort((a, b) => a - b);
    for (const position of following) {
      const op = ops[position];
      const [value] = op.results;
      const view = this.#forward(op, position);
      if (view) this.#views.set(value, view);
      if (!this.#stream.outputs.has(value)) continue;
      if (!view) throw internalError(`a stream writes ${op.opcode}, but not along its rows`);
      axes.set(value, view.axes);
    }
    return axes;
  }

  /** Calls `want` for everything that the kernel takes from outside, with how it looks at it. */
  wants(want: (value: Value, view: View, consumer: Op) => void): void {
    const { ops } = this.#analysis.graph;
    for (const position of [...this.#stream.members].sort((a, b) => b - a)) {
      const op = ops[position];
      const view = this.#views.get(op.results[0]);
      if (!view) throw internalError(`a stream computes ${op.opcode}, but not along its rows`);
      const views = this.#operandViews(op, view);
      op.operands.forEach((operand, at) => {
        const producer = this.#analysis.positionOf(operand);
        const inside = producer !== undefined && this.#stream.members.has(producer);
        if (!inside) want(operand, views[at], op);
      });
    }
  }

  /** The view of an op's result from the views of its operands. */
  #forward(op: Op, position: number): View | undefined {
    const [value] = op.results;
    if (this.#stream.region.members.has(position)) return this.#viewOfScores(this.#regions.rolesOf(value));
    const exit = this.#stream.exits.find((other) => other.position === position);
    if (exit && op.opcode === 'dot_general') return this.#viewOfContraction(op, exit.operand);
    const row = this.#regions.rowValueOf(value, this.#stream.region);
    if (row) return { ...this.#viewOfScores(row.roles), place: 'loops' };
    const view = op.operands.map((operand) => this.#views.get(operand)).find((known) => known !== undefined);
    if (!view) return undefined;
    if (op.opcode === 'reshape') return { ...view, axes: acrossOnes<readonly number[]>(op, view.axes, []) };
    if (op.opcode !== 'transpose') return view;
    return { ...view, axes: op.attributes.permutation.map((axis) => view.axes[axis]) };
  }

  #operandViews(op: Op, view: View): readonly View[] {
    if (op.opcode !== 'dot_general') return operandViews(op, view, this.#tokens, this.#extentOf);
    const exit = this.#stream.exits.find(({ position }) => this.#analysis.graph.ops[position] === op);
    const side = exit ? op.operands.indexOf(exit.operand) : -1;
    const { contract, batch } = op.attributes;
    const summed =
      exit === undefined
        ? contract[0].map((axis) => this.#newToken(op.operands[0], axis, view))
        : this.#axesOf(exit.operand, contract[side]);
    const free = view.axes.slice(batch[0].length);
    return op.operands.map(({ type }, at): View => {
      const axes: (readonly number[])[] = type.shape.map(() => []);
      batch[at].forEach((axis, number) => {
        axes[axis] = view.axes[number];
      });
      contract[at].forEach((axis, number) => {
        axes[axis] = summed[number];
      });
      const own = otherAxes(type.shape.length, contract[at], batch[at]);
      const first = at === 0 ? 0 : free.length - own.length;
      own.forEach((axis, number) => {
        axes[axis] = free[first + number];
      });
      return { axes, place: 'operand', evaluations: view.evaluations };
    });
  }

  #tokensOfScores(): readonly (readonly number[])[] {
    const { extents } = this.#stream.region.axes;
    const outer = outerAxes(this.#stream);
    const columns = columnAxes(this.#stream);
    const evaluations = this.#analysis.elementsOf(this.#stream.region.roots[0].results[0]);
    const row: View = { axes: outer.map((_, token) => [token]), place: 'loops', evaluations };
    const within = columns.map((axis) => extents[axis]);
    return extents.map((_, axis) => {
      const column = columns.indexOf(axis);
      return [column < 0 ? outer.indexOf(axis) : this.#tokens.tokenFor(row, within, column, evaluations)];
    });
  }

  #viewOfScores(roles: Roles): View {
    const evaluations = this.#analysis.elementsOf(this.#stream.region.roots[0].results[0]);
    return { axes: roles.map((role) => (role < 0 ? [] : this.#walked[role])), place: 'reduction', evaluations };
  }

  /** What walks some axes of a member. */
  #axesOf(member: Value, axes: readonly number[]): Axes {
    const view = this.#viewOfScores(this.#regions.rolesOf(member));
    return axes.map((axis) => view.axes[axis]);
  }

  #viewOfContraction(op: OpOf<'dot_general'>, operand: Value): View {
    const side = op.operands[0] === operand ? 0 : 1;
    const other = op.operands[1 - side];
    const { contract, batch } = op.attributes;
    const rows = this.#axesOf(operand, otherAxes(operand.type.shape.length, contract[side], batch[side]));
    const shared = this.#axesOf(operand, batch[side]);
    const evaluations = this.#analysis.elementsOf(op.results[0]);
    const walked: View = { axes: rows, place: 'loops', evaluations };
    const inner = otherAxes(other.type.shape.length, contract[1 - side], batch[1 - side]).map((axis) =>
      this.#newToken(other, axis, walked),
    );
    const own = side === 0 ? [...rows, ...inner] : [...inner, ...rows];
    return { axes: [...shared, ...own], place: 'loops', evaluations };
  }

  #newToken({ type }: Value, axis: number, view: View): readonly number[] {
    const { shape } = type;
    return shape[axis] === 1 ? [] : [this.#tokens.tokenFor(view, shape, axis, view.evaluations)];
  }
}
