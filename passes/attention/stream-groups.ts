/**
 * Streams as groups of fusion. Their kernels are decided before the walk over the graph; what they take from outside
 * takes part in it like the wishes of any other group.
 */
import type { Op, Value } from '../../ir/types.ts';
import type { GraphAnalysis } from '../fuse/analysis.ts';
import { FusionGroup } from '../fuse/fusion-group.ts';
import { type GraphUses, isAnchor, isFree } from '../fuse/graph-uses.ts';
import { costText, type Question, type Refusal, refusalToOperand } from '../fuse/rules.ts';
import type { ReduceTokens, View } from '../fuse/view.ts';
import type { ScoreRegions } from './score-region.ts';
import type { Stream } from './stream.ts';
import { streamScratch } from './stream-scratch.ts';
import { StreamViews, streamDomain } from './stream-views.ts';

/** How many times larger scores have to be than what a value is made of, for it never to be stored. */
const narrowing = 8;
/** Operations for a score that are computed on the way, though another kernel computes them too. */
const cheapScore = 8;

export function streamGroup(
  stream: Stream,
  id: number,
  surroundings: { analysis: GraphAnalysis; regions: ScoreRegions; tokens: ReduceTokens },
  want: (group: FusionGroup, value: Value, view: View, consumer: Op) => void,
): FusionGroup {
  const { analysis, regions } = surroundings;
  const domain = streamDomain(stream);
  const group = new FusionGroup(id, domain, Math.max(...stream.members));
  group.kind = 'rows';
  group.rows = domain.map((_, token) => token);
  group.scratch = streamScratch(stream, regions, analysis);
  for (const member of stream.members) group.members.add(member);
  const views = new StreamViews(stream, group, surroundings);
  for (const [value, axes] of views.outputs()) group.addOutput(value, axes, analysis.positionOf(value) ?? 0);
  views.wants((value, view, consumer) => want(group, value, view, consumer));
  return group;
}

/** Why a stream does not compute something that it takes from outside; `undefined`: it does. */
export function refusalToStream(question: Question, isGenerated: (value: Value) => boolean): Refusal | undefined {
  const { op, value, views, group, analysis, tokens } = question;
  if (isAnchor(op) || op.opcode === 'scatter')
    return { rule: 'contraction-in-rows', detail: `${op.opcode} is not part of the scores` };
  if (isFree(op)) return undefined;
  if (views.some(({ place }) => place === 'operand')) return refusalToOperand(question);
  if (analysis.isEpilogue(value))
    return { rule: 'epilogue', detail: `${op.opcode} goes with the contraction that makes its operand` };
  const elements = analysis.elementsOf(value);
  const evaluations = Math.max(...views.map((view) => group.evaluationsOf(view, tokens)));
  if (isGenerated(value) && evaluations < narrowing * elements) return undefined;
  const cone = analysis.coneOf(value);
  const most = evaluations <= elements ? cheapScore : analysis.target.cheapFlops;
  if (cone <= most || cone * evaluations <= analysis.target.launchCost) return undefined;
  return { rule: 'recomputation', detail: `${costText(cone)} for each of ${evaluations} scores` };
}

/** Values that are made of positions and of little memory, such as masks of dropout: computed rather than stored. */
export function findGenerated(analysis: GraphUses): (value: Value) => boolean {
  const generated = new Set<Value>();
  for (const op of analysis.graph.ops) {
    const [value] = op.results;
    if (!value || isAnchor(op) || op.opcode === 'call') continue;
    const made = op.operands.every(
      (operand) => generated.has(operand) || analysis.elementsOf(operand) * narrowing <= analysis.elementsOf(value),
    );
    if (made && (op.operands.length > 0 || isFree(op))) generated.add(value);
  }
  return (value) => generated.has(value);
}
