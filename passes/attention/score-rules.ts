/**
 * Which score regions become streams, and what a stream computes on the way. A stream reads its keys and values again
 * for every block of rows and may compute scores that another stream has computed before; in return, no matrix of
 * scores is written or read.
 *
 *     softmax(q kᵀ) v          has statistics of rows and batch axes: a stream
 *     tanh(x w1) w2            has neither; a stream if the scores are twice as large as all that it reads and writes
 */
import type { OpOf, Value } from '../../ir/types.ts';
import { estimate, type GraphUses } from '../fuse/graph-uses.ts';
import type { Refusal } from '../fuse/rules.ts';
import { isEqual, type Roles, type ScoreRegion, type ScoreRegions } from './score-region.ts';
import type { Stream } from './stream.ts';
import { countReadBuffers } from './stream-buffers.ts';

/** Products in one score, at most: deeper ones are not worth computing twice. */
const deepestScore = 256;
/** Scores in one row, at most: they lie in scratch memory. */
const longestRow = 2 ** 16;
/** How much larger than all else scores without statistics have to be. */
const statelessGain = 2;
/** Exits of a region, at most: each is compared with the streams before it. */
const mostExits = 64;

/** Why the scores of a region are stored, as far as the region alone tells. */
export function refuseRegion(region: ScoreRegion, regions: ScoreRegions, analysis: GraphUses): Refusal | undefined {
  const { roots, exits, members } = region;
  if (members.size > analysis.target.mostOps || exits.length > mostExits)
    return { rule: 'code-size', detail: `${members.size} ops on scores with ${exits.length} uses` };
  const depth = Math.max(...roots.map(depthOf));
  if (depth > deepestScore) return { rule: 'score-depth', detail: `${depth} products in a score` };
  const row = Math.max(length(region, region.axes.keys), length(region, region.axes.queries));
  if (row > longestRow) return { rule: 'score-row', detail: `${row} scores in a row` };
  if (!paysOff(region, regions, analysis))
    return {
      rule: 'score-size',
      detail: `${analysis.elementsOf(roots[0].results[0])} scores are not much beside their operands`,
    };
  return undefined;
}

/** Why a stream can not be one kernel; what it would compute is left to ordinary fusion, which stores scores for it. */
export function refuseStream(stream: Stream, analysis: GraphUses): Refusal | undefined {
  const buffers = countReadBuffers(stream.sources, analysis) + stream.outputs.size;
  if (buffers <= analysis.target.mostBuffers) return undefined;
  return { rule: 'bindings', detail: `a kernel would have ${buffers} buffers` };
}

/** Why the streams of a region are not worth having. */
export function refuseStreams(streams: readonly Stream[]): Refusal | undefined {
  const idle = streams.find(({ exits }) => !exits.some(({ kind }) => kind === 'contraction'));
  return idle && { rule: 'score-use', detail: 'a kernel would compute scores only to store or to reduce them' };
}

function paysOff(region: ScoreRegion, regions: ScoreRegions, analysis: GraphUses): boolean {
  const { roots, exits, axes } = region;
  const { ops } = analysis.graph;
  const scores = analysis.elementsOf(roots[0].results[0]);
  if (hasStatistics(region, regions, analysis)) {
    if (axes.batch.length > 0) return true;
    const least = hasExponentials(region, analysis) ? 0.5 : 1;
    const isStored = exits.some(({ kind }) => kind === 'store');
    return !isStored && roots.every(({ operands }) => least * total(operands, analysis) <= scores);
  }
  const taken = new Set(roots.flatMap(({ operands }) => operands));
  for (const { kind, position, operand } of exits) {
    if (kind === 'store') return false;
    for (const value of [...ops[position].operands, ...ops[position].results]) if (value !== operand) taken.add(value);
  }
  return statelessGain * total([...taken], analysis) <= scores;
}

/** Whether scores are exponentiated, as in a softmax. */
export const hasExponentials = ({ members }: ScoreRegion, { graph }: GraphUses): boolean =>
  [...members].some((member) => graph.ops[member].opcode === 'exponential');

const total = (values: readonly Value[], analysis: GraphUses): number =>
  values.reduce((sum, value) => sum + analysis.elementsOf(value), 0);

/** Whether scores are combined with one number for each row: one that follows from the row, or comes from outside. */
function hasStatistics(region: ScoreRegion, regions: ScoreRegions, analysis: GraphUses): boolean {
  return [...region.members].some((member) => {
    const op = analysis.graph.ops[member];
    if (op.opcode === 'dot_general') return false;
    const roles = regions.rolesOf(op.results[0]);
    return op.operands.some(
      (operand) => regions.rowValueOf(operand, region) || isRepeatedOverKeys(operand, roles, region, analysis),
    );
  });
}

/** Whether a value is repeated along the keys, and only along them. */
function isRepeatedOverKeys(value: Value, roles: Roles, { axes }: ScoreRegion, analysis: GraphUses): boolean {
  const position = analysis.positionOf(value);
  const op = position === undefined ? undefined : analysis.graph.ops[position];
  if (op?.opcode !== 'broadcast_in_dim') return false;
  const { shape } = op.operands[0].type;
  const walked = op.attributes.axes.filter((_, at) => shape[at] !== 1).map((axis) => roles[axis]);
  const repeated = axes.extents.flatMap((_, axis) => (walked.includes(axis) ? [] : [axis]));
  return repeated.length > 0 && isEqual(repeated, axes.keys);
}

const depthOf = ({ attributes, operands }: OpOf<'dot_general'>): number =>
  attributes.contract[0].reduce((depth, axis) => depth * estimate(operands[0].type.shape[axis]), 1);

const length = ({ axes }: ScoreRegion, numbers: readonly number[]): number =>
  numbers.reduce((product, number) => product * estimate(axes.extents[number]), 1);
