/**
 * Gives the gradient of attention its own scores. Forward and backward use the same matrices; in a row kernel each is
 * computed again from queries, keys and the statistics of rows, but only as long as both are looked at together. When a
 * graph is cut in functions between the two, a matrix that both use would have to be stored. So what comes after the
 * attention gets a copy of the ops behind a barrier:
 *
 *     %p = divide(exp(q k - m), l)               %p = divide(exp(q k - m), l)
 *     %o = dot %p, %v                            %o = dot %p, %v
 *     ...                                  →     ...     q', m', l' = optimization_barrier q, m, l
 *     %dv = dot %p, %do                          %p' = divide(exp(q' k' - m'), l');  %dv = dot %p', %do
 */
import { internalError } from '../../base/error.ts';
import type { Graph, Op, Value } from '../../ir/types.ts';
import { nothing } from '../features.ts';
import { GraphUses, isFree } from '../fuse/graph-uses.ts';
import type { FusionTarget } from '../fuse/target.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { createOp, withOperands } from '../rewrite-emit.ts';
import { planAllStreams } from './plan-streams.ts';
import { dependsOnAny, type Stream } from './stream.ts';
import { findGenerated } from './stream-groups.ts';

/** Contractions that attention and a gradient of it take at least: scores, their use, one in the gradient. */
const fewestContractions = 3;

export const recomputeScores: Pass = {
  name: 'recomputeScores',
  run: (module, { target }) => mapGraphs(module, (graph) => withOwnScores(graph, target)),
};

function withOwnScores(graph: Graph, target: FusionTarget | undefined): Graph {
  const contractions = graph.ops.reduce((count, { opcode }) => count + Number(opcode === 'dot_general'), 0);
  if (contractions < fewestContractions) return graph;
  const analysis = new GraphUses(graph, nothing, target);
  const { plans } = planAllStreams(analysis);
  const isGenerated = findGenerated(analysis);
  const copies = new Map<number, Copier>();
  for (const streams of plans) {
    const [first, later] = split(streams, analysis);
    if (later.length === 0) continue;
    const copier = new Copier(first, later, analysis, isGenerated);
    for (const { members } of later)
      for (const member of members) if (!copier.isCopied(member)) copies.set(member, copier);
  }
  if (copies.size === 0) return graph;
  const ops: Op[] = [];
  graph.ops.forEach((op, position) => {
    const copier = copies.get(position);
    ops.push(
      copier
        ? withOperands(
            op,
            op.operands.map((operand) => copier.ownOf(operand, ops)),
          )
        : op,
    );
  });
  return { ...graph, ops };
}

/** The streams of a region that need nothing from what its contractions lead to, and those that do. */
function split(streams: readonly Stream[], analysis: GraphUses): readonly [readonly Stream[], readonly Stream[]] {
  const first: Stream[] = [];
  const later: Stream[] = [];
  const results = new Set<number>();
  for (const stream of streams) {
    if (results.size > 0 && dependsOnAny(stream.sources, results, analysis)) {
      later.push(stream);
      continue;
    }
    first.push(stream);
    for (const { kind, position } of stream.exits) if (kind === 'contraction') results.add(position);
  }
  return [first, later];
}

/** Copies what later streams share with the first ones of a region, each op when it is wanted for the first time. */
class Copier {
  readonly #analysis: GraphUses;
  readonly #shared: ReadonlySet<number>;
  readonly #own = new Map<Value, Value>();
  readonly #isGenerated: (value: Value) => boolean;
  /** Position of the last op of the first streams: what comes later is the gradient's own. */
  readonly #end: number;

  constructor(
    first: readonly Stream[],
    later: readonly Stream[],
    analysis: GraphUses,
    isGenerated: (value: Value) => boolean,
  ) {
    this.#analysis = analysis;
    const before = new Set(first.flatMap(({ members }) => [...members]));
    const { members } = first[0].region;
    const after = later.flatMap((stream) => [...stream.members]);
    this.#shared = new Set(after.filter((position) => before.has(position) && members.has(position)));
    this.#isGenerated = isGenerated;
    this.#end = Math.max(...first.flatMap(({ exits }) => exits.map(({ position }) => position)));
  }

  isCopied(position: number): boolean {
    return this.#shared.has(position);
  }

  /** The copy of a value that belongs to the gradient; what the copy takes is appended to `ops`. */
  ownOf(value: Value, ops: Op[]): Value {
    const waiting = [value];
    for (let top = waiting.at(-1); top; top = waiting.at(-1)) {
      const missing = this.#own.has(top) ? [] : this.#operandsToCopy(top).filter((operand) => !this.#own.has(operand));
      if (missing.length > 0) {
        waiting.push(...missing);
        continue;
      }
      waiting.pop();
      if (!this.#own.has(top)) this.#own.set(top, this.#copy(top, ops));
    }
    const own = this.#own.get(value);
    if (!own) throw internalError('a copy was made and lost');
    return own;
  }

  #copiedOp(value: Value): Op | undefined {
    const position = this.#analysis.positionOf(value);
    if (position === undefined || position > this.#end) return undefined;
    const op = this.#analysis.graph.ops[position];
    if (this.#shared.has(position)) return op;
    if (op.opcode === 'optimization_barrier' || op.operands.length === 0) return undefined;
    return isFree(op) || this.#isGenerated(value) ? op : undefined;
  }

  #operandsToCopy(value: Value): readonly Value[] {
    return this.#copiedOp(value)?.operands ?? [];
  }

  #copy(value: Value, ops: Op[]): Value {
    const copied = this.#copiedOp(value);
    if (copied) {
      const operands = copied.operands.map((operand) => this.#own.get(operand) ?? operand);
      const [result] = copied.results;
      const own: Value = { ...result };
      ops.push({ ...copied, operands, results: [own] } as Op);
      return own;
    }
    const position = this.#analysis.positionOf(value);
    if (position !== undefined) {
      const isOwn = position > this.#end || this.#analysis.graph.ops[position].operands.length === 0;
      if (isOwn) return value;
    }
    const location = position === undefined ? undefined : this.#analysis.graph.ops[position].location;
    const barrier = createOp('optimization_barrier', [value], {}, location);
    ops.push(barrier);
    return barrier.results[0];
  }
}
