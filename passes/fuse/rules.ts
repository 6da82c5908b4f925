/**
 * The decisions of fusion, each a function with a name. A rule that keeps two ops apart answers with its name and the
 * numbers it saw; `docs/fusion.md` says each in words.
 *
 * Costs are compared in one unit, an operation on one element of a vector; the target says what a launch costs.
 */
import type { Op, Value } from '../../ir/types.ts';
import { type GraphAnalysis, operandFlops } from './analysis.ts';
import { buffersOf } from './buffers.ts';
import type { FusionGroup, GroupOutput } from './fusion-group.ts';
import { estimate, isAnchor, isContraction, isFree, isRowOp, readBy } from './graph-uses.ts';
import type { FusionRule } from './rule-names.ts';
import type { FusionTarget } from './target.ts';
import { firstReduceToken, type ReduceTokens, rowAxesIn, unknown, type View } from './view.ts';

export interface Refusal {
  readonly rule: FusionRule;
  readonly detail: string;
}

export interface Question {
  readonly op: Op;
  readonly value: Value;
  readonly views: readonly View[];
  readonly group: FusionGroup;
  readonly analysis: GraphAnalysis;
  readonly tokens: ReduceTokens;
}

/** Why an op can not be computed inside a group that uses it; `undefined`: it can. */
export function refusalToInline(question: Question): Refusal | undefined {
  const { op, group } = question;
  if (group.kind === 'call') {
    return { rule: 'call', detail: `an operand of @${group.call?.attributes.function}` };
  }
  const outright = refuseSize(question) ?? refuseLeftOut(question);
  if (outright) return outright;
  switch (op.opcode) {
    case 'scatter':
      return { rule: 'scatter', detail: `the consumer is a kernel of kind ${question.group.kind}` };
    case 'dot_general':
    case 'convolution':
      return refuseContraction(question);
    case 'reduce':
      return refuseReduction(question);
    case 'sort':
    case 'cumulative':
      return refuseSort(question);
    case 'reduce_window':
      return refuseWindow(question);
    default:
      return (
        refuseEpilogue(question) ??
        refusalToOperand(question) ??
        refuseScatterOperand(question) ??
        refuseRecomputation(question)
      );
  }
}

export function refuseSize({ op, value, group, analysis }: Question): Refusal | undefined {
  const { target } = analysis;
  const most = isFree(op) ? 2 * target.mostOps : target.mostOps;
  if (group.members.size >= most) return { rule: 'code-size', detail: `the kernel has ${group.members.size} ops` };
  const buffers = buffersOf([group], analysis, { computed: value, operands: readBy(op) });
  // Reading the value binds a buffer too: what adds none does no harm, however many there are.
  if (buffers <= target.mostBuffers || buffers <= buffersOf([group], analysis)) return undefined;
  return { rule: 'bindings', detail: `the kernel would have ${buffers} buffers` };
}

/** What a compile is told to do without, to see what it is worth. */
function refuseLeftOut({ op, views, analysis: { without } }: Question): Refusal | undefined {
  if (without.size === 0 || isFree(op)) return undefined;
  const inOperand = views.some(({ place }) => place === 'operand') && 'fuse/prologues';
  const feature = isContraction(op) ? 'fuse/epilogues' : isAnchor(op) ? 'fuse/reductions' : 'fuse/elementwise';
  const missing = [feature, inOperand].find((name) => name && without.has(name));
  return missing ? { rule: 'left-out', detail: `without ${missing}` } : undefined;
}

/** A contraction takes an epilogue that computes one element from one element of its result. */
function refuseContraction({ op, views, group }: Question): Refusal | undefined {
  if (group.anchor)
    return { rule: 'one-contraction', detail: `the kernel computes a ${group.anchor.op.opcode} already` };
  if (group.kind !== 'map')
    return { rule: 'contraction-in-rows', detail: `the consumer is a kernel of kind ${group.kind}` };
  const [view] = views;
  if (views.length > 1 || view.place !== 'loops' || !coversDomain(view.axes, group)) {
    return { rule: 'contraction-epilogue', detail: `the consumer does not read each element of ${op.opcode} once` };
  }
  return undefined;
}

/** A reduction is computed once for each row of the loops that use it. */
function refuseReduction(question: Question): Refusal | undefined {
  const { op, value, views, group, analysis, tokens: reduceTokens } = question;
  if (group.pieces) return { rule: 'reduction-in-concatenate', detail: 'each operand has loops of its own' };
  const operandElements = analysis.elementsOf(op.operands[0]);
  if (group.kind === 'contraction' || group.kind === 'scatter') {
    return { rule: 'reduction-in-contraction', detail: `the consumer is a kernel of kind ${group.kind}` };
  }
  const inLoops = views.filter((view) => view.place === 'loops').map((view) => view.axes.flat());
  if (inLoops.some((tokens) => !sameTokens(tokens, inLoops[0]))) {
    return { rule: 'other-rows', detail: 'the consumer reads it along different axes' };
  }
  for (const view of views) {
    const tokens = view.axes.flat();
    if (tokens.includes(unknown) || view.place === 'operand' || view.place === 'scatter') {
      return { rule: 'reduction-index', detail: 'the consumer reads it at other places than its own row' };
    }
    if (view.place === 'reduction') {
      const own = tokens.filter((token) => token < firstReduceToken);
      if (tokens.length === own.length && sameTokens(own, group.rows)) continue;
      const elements = Math.max(analysis.elementsOf(value), 1);
      const extra = group.evaluationsOf(view, reduceTokens) - elements;
      const work = (operandElements / elements) * (1 + analysis.workOf(op.operands[0]));
      const { launchCost, serialWork } = analysis.target;
      if (extra * work <= launchCost && (elements + extra) * work <= serialWork) continue;
      return {
        rule: 'nested-reduction',
        detail: `${extra} sums more than ${elements}, ${Math.round(work)} operations each`,
      };
    }
    const rows = refuseRows(tokens, group, operandElements, analysis.target);
    if (rows) return rows;
  }
  return undefined;
}

/** A sort or a running sum goes where a reduction over its rows would, but not inside one that runs over other rows. */
function refuseSort(question: Question): Refusal | undefined {
  const { op, group } = question;
  const views = question.views.map((view) => ({ ...view, axes: rowAxesIn(op, view) }));
  const refusal = refuseReduction({ ...question, views });
  if (refusal) return refusal;
  const nested = views.find(
    ({ place, axes }) => place === 'reduction' && (group.kind !== 'rows' || !sameTokens(axes.flat(), group.rows)),
  );
  return nested && { rule: 'other-rows', detail: 'a reduction inside the kernel reads whole rows of other axes' };
}

function refuseRows(
  tokens: readonly number[],
  group: FusionGroup,
  elements: number,
  { serialElements, leastRows, leastColumns }: FusionTarget,
): Refusal | undefined {
  if (new Set(tokens).size !== tokens.length) {
    return { rule: 'reduction-index', detail: 'the consumer reads a diagonal' };
  }
  if (group.kind === 'rows' && !sameTokens(tokens, group.rows)) {
    return { rule: 'other-rows', detail: `rows over axes [${tokens}] in a kernel with rows over [${group.rows}]` };
  }
  const inner = group.domain.flatMap((size, token) => (size === 1 || tokens.includes(token) ? [] : [token]));
  if (inner.length === 0) return undefined;
  const most = Math.max(
    elements,
    group.domain.reduce<number>((count, size) => count * estimate(size), 1),
  );
  const small = most <= serialElements;
  const rows = tokens.reduce((count, token) => count * estimate(group.domain[token]), 1);
  if (rows < leastRows && most > rows * serialElements) {
    return { rule: 'whole-reduction', detail: `${most} elements in ${rows === 1 ? 'one row' : `${rows} rows`}` };
  }
  const last = Math.max(...tokens);
  if (inner[inner.length - 1] < last && estimate(group.domain[last]) < leastColumns && !small) {
    return { rule: 'strided-rows', detail: `the last axis of [${group.domain}] is not part of a row, and short` };
  }
  return walkRowsApart(group.outputs, tokens)
    ? undefined
    : { rule: 'other-rows', detail: 'an output walks rows and columns as one axis' };
}

/** Whether no axis of an output is walked by loops of the rows and by others together. */
export const walkRowsApart = (outputs: readonly GroupOutput[], rows: readonly number[]): boolean =>
  outputs.every(({ axes }) => axes.every((axis) => axis.length <= 1 || axis.every((token) => rows.includes(token))));

export const sameTokens = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((token) => b.includes(token));

/** A window reads each element several times: only what is used once for each result goes with it. */
function refuseWindow({ views, group }: Question): Refusal | undefined {
  const [view] = views;
  const once = views.length === 1 && view.place === 'loops' && coversDomain(view.axes, group) && group.kind === 'map';
  return once
    ? undefined
    : { rule: 'window-epilogue', detail: 'the consumer reads elements of the window more than once' };
}

/** What a value costs, in words: the cone of a reduction or contraction is infinite. */
export const costText = (cone: number): string =>
  cone === Number.POSITIVE_INFINITY ? 'a reduction or contraction' : `${cone} operations`;

/** Operands of contractions are packed over and over: only what is nearly free is computed on the way. */
export function refusalToOperand({ op, value, views, analysis }: Question): Refusal | undefined {
  if (!views.some((view) => view.place === 'operand') || isFree(op)) return undefined;
  const cone = analysis.coneOf(value);
  if (cone > operandFlops) return { rule: 'operand-cost', detail: `${costText(cone)} each time an operand is packed` };
  const source = analysis.sourceBytesOf(value);
  if (source > 1.25 * analysis.bytesOf(value))
    return { rule: 'operand-bytes', detail: `${source} bytes to read instead of ${analysis.bytesOf(value)}` };
  const ready = op.operands.every((operand) => analysis.isReady(operand));
  return ready
    ? undefined
    : { rule: 'operand-of-producer', detail: `${op.opcode} goes with the kernel that makes its operand` };
}

/** What a contraction can do to its own result on the way to memory is not left to a consumer that reads it again. */
function refuseEpilogue({ op, value, group, analysis }: Question): Refusal | undefined {
  if (group.kind === 'map' || !analysis.isEpilogue(value)) return undefined;
  return { rule: 'epilogue', detail: `${op.opcode} goes with the contraction that makes its operand` };
}

/**
 * The updates of a scatter run one after the other; what feeds them is computed beforehand, unless it is nearly free.
 */
function refuseScatterOperand({ op, value, group, analysis }: Question): Refusal | undefined {
  if (group.kind !== 'scatter' || isFree(op)) return undefined;
  const cone = analysis.coneOf(value);
  if (cone <= analysis.target.cheapFlops) return undefined;
  // Of what has loops of its own, such as a sum, nobody has counted the operations.
  const work = Number.isFinite(cone) ? `${cone} operations` : op.opcode;
  return { rule: 'scatter-cost', detail: `${work} in a loop that runs in order` };
}

/** Work that a kernel would do more often than the op alone, against a launch and the traffic it saves. */
function refuseRecomputation(question: Question): Refusal | undefined {
  const { value, views, group, analysis, tokens } = question;
  if (becomesRow(question)) return undefined;
  const elements = analysis.elementsOf(value);
  const work = analysis.workOf(value);
  // What follows from indices alone, such as a causal mask, costs no more to compute than to load.
  if (work <= analysis.target.cheapFlops && analysis.sourceBytesOf(value) === 0) return undefined;
  const counts = views.map((view) => group.evaluationsOf(view, tokens));
  const rowReuse = group.kind === 'rows' && counts.every((count) => count <= elements);
  const evaluations = rowReuse ? Math.max(...counts) : counts.reduce((sum, count) => sum + count, 0);
  const extra = (work + analysis.loadsOf(value) - 1) * (evaluations - elements); // its own load falls away
  const { launchCost, byteCost } = analysis.target;
  const saved = launchCost + 2 * byteCost * analysis.bytesOf(value);
  if (extra <= saved) return undefined;
  return {
    rule: 'recomputation',
    detail: `${evaluations} evaluations of ${elements} elements, ${work} operations each`,
  };
}

/** Whether a value is one element a row for a group that is going to compute the reduction behind it, row by row. */
function becomesRow(question: Question): boolean {
  const { value, views, group, analysis } = question;
  const op = group.kind === 'map' ? analysis.rowSourceOf(value) : undefined;
  if (!op || analysis.isProbablyStored(op.results[0])) return false;
  if (views.some(({ place }) => place !== 'loops')) return false;
  return !refuseReduction({ ...question, op, value: op.results[0] });
}

/** Whether tokens walk every loop of a group exactly once. */
function coversDomain(axes: readonly (readonly number[])[], group: FusionGroup): boolean {
  const tokens = axes.flat();
  const loops = group.domain.flatMap((size, token) => (size === 1 ? [] : [token]));
  return sameTokens(tokens, loops);
}

/** How a group could write a value whose elements it computes anyway; `undefined`: it can not. */
export function outputAxes(
  op: Op,
  views: readonly View[],
  group: FusionGroup,
  { mostBuffers }: FusionTarget,
): GroupOutput['axes'] | undefined {
  if (group.kind === 'scatter' || group.kind === 'call' || group.pieces || group.outputs.length >= mostBuffers / 2)
    return undefined;
  const inLoops = views.find((view) => view.place === 'loops');
  if (op.opcode === 'reduce' && group.kind === 'map' && inLoops) return inLoops.axes; // these become the rows
  if (isRowOp(op) && group.kind === 'map') return inLoops && wholeSort(inLoops);
  for (const { axes, place } of views) {
    const tokens = axes.flat();
    if (tokens.includes(unknown) || place === 'operand') continue;
    const whole = place === 'loops' && coversDomain(axes, group);
    if (whole && group.kind !== 'rows') return axes;
    if (group.kind !== 'rows' || new Set(tokens).size !== tokens.length) continue;
    const rows = tokens.filter((token) => group.rows.includes(token));
    const inRow = tokens.every((token) => rows.includes(token) || token >= firstReduceToken);
    const apart = axes.every((axis) => axis.length <= 1 || axis.every((token) => rows.includes(token)));
    if (sameTokens(rows, group.rows) && apart && (whole || inRow)) return axes;
  }
  return undefined;
}

/**
 * The axes of the result of a sort or a running sum in the loops of a group whose rows it is going to make, if each
 * walks one of them.
 */
function wholeSort({ axes }: View): GroupOutput['axes'] | undefined {
  const tokens = axes.flat();
  const distinct = new Set(tokens).size === tokens.length && axes.every((axis) => axis.length <= 1);
  return distinct && !tokens.includes(unknown) ? axes : undefined;
}

/**
 * Whether a group sums along the very rows that a value is going to be computed in: a column sum over the result of a
 * normalisation. It reads the value from memory, so that the value goes with its rows.
 */
export function runsAcrossRows(
  value: Value,
  views: readonly View[],
  { kind, rows }: FusionGroup,
  analysis: GraphAnalysis,
): boolean {
  const axes = kind === 'rows' ? analysis.rowAxesOf(value) : undefined;
  return (
    axes !== undefined &&
    views.every(
      (view) =>
        !sameTokens(
          axes.flatMap((axis) => view.axes[axis]),
          rows,
        ),
    )
  );
}
