/**
 * Fusion: which ops share a kernel. The graph is walked from back to front; when an op has its turn, all groups that
 * want its result are known, and so is how each looks at it. Then one of these happens:
 *
 *     computed inside    every group that wants it computes it on the way; cheap values in several groups
 *     groups merged      groups with common loops that both want it become one
 *     stored by a group  one group writes it as a further output, the others read it
 *     a new group        the op is the root of a kernel of its own, which may grow upwards
 *
 *     %0 = exponential %x         wanted by the sum and by the division of one row kernel: computed inside
 *     %1 = reduce %0 {sum}        wanted once for a row by that kernel: computed inside
 *     %2 = divide %0, ...         a result: root of the group
 *
 * Values that are computed inside are recomputed with the same operations in the same order, so that fusion changes no
 * bit. Every step looks at one op and the groups that want it, and searches for cycles are bounded, so that the whole
 * takes time nearly proportional to the graph.
 */
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { planAllStreams, type StreamPlan } from '../attention/plan-streams.ts';
import type { Stream } from '../attention/stream.ts';
import { findGenerated, refusalToStream, streamGroup } from '../attention/stream-groups.ts';
import { nothing, type Without } from '../features.ts';
import { GraphAnalysis } from './analysis.ts';
import { buffersOf } from './buffers.ts';
import { haveCommonLoops, mergeGroups } from './common-loops.ts';
import { Duplicates } from './duplicates.ts';
import { dependsOn, FusionGroup } from './fusion-group.ts';
import { isContraction, isRowOp, isView, readBy } from './graph-uses.ts';
import type { Partition } from './partition.ts';
import { Refusals } from './refusals.ts';
import { outputAxes, type Question, type Refusal, refusalToInline, refuseSize, runsAcrossRows } from './rules.ts';
import { scheduleGroups } from './schedule.ts';
import { type FusionTarget, wasmTarget } from './target.ts';
import { type ExtentOf, firstReduceToken, operandViews, ReduceTokens, rowAxesIn, unknown, type View } from './view.ts';

/**
 * Decides which ops share a kernel.
 * @param without features to do without
 */
export function fuseGraph(graph: Graph, without: Without = nothing, target: FusionTarget = wasmTarget): Partition {
  return new Fuser(graph, without, target).run();
}

interface Verdict {
  readonly group: FusionGroup;
  readonly refusal: Refusal | undefined;
}

const storedOnce: Refusal = { rule: 'stored-once', detail: 'another kernel computes it anyway, and it is not cheap' };

class Fuser {
  readonly #analysis: GraphAnalysis;
  readonly #duplicates: Duplicates;
  readonly #tokens = new ReduceTokens();
  readonly #groups: FusionGroup[] = [];
  readonly #wantedBy = new Map<Value, Set<FusionGroup>>();
  /** Groups with a barrier that lets them start when a value is known, though they do not read it. */
  readonly #awaitedBy = new Map<Value, Set<FusionGroup>>();
  readonly #refusals = new Refusals();
  readonly #streams: StreamPlan;
  readonly #streamOf = new Map<Value, FusionGroup>();
  readonly #isGenerated: (value: Value) => boolean;

  constructor(graph: Graph, without: Without, target: FusionTarget) {
    this.#analysis = new GraphAnalysis(graph, without, target);
    this.#duplicates = new Duplicates(this.#analysis);
    this.#streams = planAllStreams(this.#analysis);
    this.#isGenerated = this.#streams.streams.length > 0 ? findGenerated(this.#analysis) : () => false;
  }

  run(): Partition {
    const { ops } = this.#analysis.graph;
    for (const stream of this.#streams.streams) this.#addStream(stream);
    for (let position = ops.length - 1; position >= 0; position--) this.#place(ops[position], position);
    const groups = this.#groups.filter((group) => group.current === group);
    return {
      ...scheduleGroups(groups, this.#analysis, this.#tokens),
      refusals: [...this.#streams.refusals, ...this.#refusals.all.reverse()],
      storageOf: (value) => this.#analysis.storageOf(value),
    };
  }

  #place(op: Op, position: number): void {
    if (op.opcode === 'call') {
      this.#placeCall(op, position);
      return;
    }
    const [value] = op.results;
    const stream = this.#streamOf.get(value);
    if (stream) {
      this.#readFrom(stream, op);
      return;
    }
    this.#computeInStreams(op, position);
    const groups = this.#groupsThatWant(value);
    const isResult = this.#analysis.isResult(value);
    if (!this.#analysis.producerOf(value)) return;
    if (groups.length === 0 && !isResult) {
      this.#awaitOperands(op);
      return;
    }
    if (isView(op) && groups.every((group) => group.members.size < this.#analysis.target.mostOps)) {
      for (const group of groups) this.#compute(op, position, group);
      this.#awaitOperands(op);
      return;
    }
    const verdicts = this.#mergeSiblings(
      op,
      groups.map((group) => this.#judge(op, group)),
    );
    const willing = verdicts.filter(({ refusal }) => !refusal).map(({ group }) => group);
    const everywhere = willing.length === verdicts.length;
    const duplicable = willing.length === 1 || this.#duplicates.allows(op, value, willing, false);
    if (!isResult && everywhere && duplicable) {
      if (willing.length > 1) this.#duplicates.note(op, value);
      for (const group of willing) this.#compute(op, position, group);
      this.#awaitOperands(op);
      return;
    }
    this.#store(op, position, verdicts);
  }

  /** Makes the group of a stream; what it takes from outside is wanted from here on. */
  #addStream(stream: Stream): void {
    const surroundings = { analysis: this.#analysis, regions: this.#streams.regions, tokens: this.#tokens };
    const group = streamGroup(stream, this.#groups.length, surroundings, (...wish) => this.#want(...wish));
    this.#groups.push(group);
    for (const value of stream.outputs) this.#streamOf.set(value, group);
  }

  /** What a stream writes, all others read. */
  #readFrom(stream: FusionGroup, op: Op): void {
    const [value] = op.results;
    for (const group of this.#groupsThatWant(value)) {
      this.#refuse(op, group, storedOnce);
      this.#read(group, value, stream);
    }
    for (const group of this.#groupsThatAwait(value)) if (group !== stream) stream.precede(group);
  }

  /** Says why what a group wants of an op comes from memory. */
  #refuse(op: Op, group: FusionGroup, refusal: Refusal): void {
    const consumers = op.results.flatMap((value) => [...(group.wanted.get(value)?.consumers ?? [])]);
    this.#refusals.add(op, consumers, refusal);
  }

  #read(group: FusionGroup, value: Value, writer: FusionGroup): void {
    group.wanted.delete(value);
    group.reads.add(value);
    writer.precede(group);
  }

  /** Streams compute masks and the like themselves, whatever other groups do. */
  #computeInStreams(op: Op, position: number): void {
    if (this.#streams.streams.length === 0 || !this.#analysis.producerOf(op.results[0])) return;
    for (const group of this.#groupsThatWant(op.results[0])) {
      if (group.scratch && !this.#judge(op, group).refusal) this.#compute(op, position, group);
    }
  }

  /** A call is no kernel, but stands between those that write its operands and those that read its results. */
  #placeCall(op: OpOf<'call'>, position: number): void {
    const call = new FusionGroup(this.#groups.length, [], position);
    this.#groups.push(call);
    call.kind = 'call';
    call.call = op;
    call.members.add(position);
    const detail = `a result of @${op.attributes.function}`;
    for (const result of op.results) {
      for (const group of this.#groupsThatWant(result)) {
        if (group.kind !== 'call') this.#refuse(op, group, { rule: 'call', detail });
        this.#read(group, result, call);
      }
      for (const group of this.#groupsThatAwait(result)) this.#follow(group, call, result);
    }
    for (const operand of op.operands) {
      const axes = operand.type.shape.map(() => [unknown]);
      const evaluations = this.#analysis.elementsOf(operand);
      this.#want(call, operand, { axes, place: 'operand', evaluations }, op);
    }
  }

  /** Writes the value to memory, from a group that computes it anyway or from a new one. */
  #store(op: Op, position: number, verdicts: readonly Verdict[]): void {
    const [value] = op.results;
    const hosting = this.#hostFor(op, verdicts);
    const others = verdicts.filter(({ group }) => group !== hosting);
    const readers = others.filter(
      ({ group, refusal }) => refusal || !this.#duplicates.allows(op, value, [group], true),
    );
    const isRead = readers.length > 0 || this.#analysis.isResult(value);
    const host = hosting ?? (isRead ? this.#newGroup(op, position) : undefined);
    if (others.length > readers.length) this.#duplicates.note(op, value);
    if (host) for (const group of this.#groupsThatAwait(value)) this.#follow(group, host, value);
    const demand = hosting?.wanted.get(value);
    if (hosting && demand) {
      const axes = outputAxes(op, demand.views, hosting, this.#analysis.target);
      if (axes && isRead) hosting.addOutput(value, axes, position);
      this.#compute(op, position, hosting);
    }
    for (const { group, refusal } of others) {
      if (!readers.some((reader) => reader.group === group)) {
        this.#compute(op, position, group);
        continue;
      }
      this.#refuse(op, group, refusal ?? storedOnce);
      if (host) this.#read(group, value, host);
    }
  }

  #judge(op: Op, group: FusionGroup): Verdict {
    const [value] = op.results;
    const views = group.wanted.get(value)?.views ?? [];
    const question = { op, value, views, group, analysis: this.#analysis, tokens: this.#tokens };
    return { group, refusal: group.scratch ? this.#judgeInStream(question) : refusalToInline(question) };
  }

  #judgeInStream(question: Question): Refusal | undefined {
    return refuseSize(question) ?? refusalToStream(question, this.#isGenerated);
  }

  /** Makes one group of those that want a value which should not be computed twice, where their loops allow it. */
  #mergeSiblings(op: Op, verdicts: readonly Verdict[]): readonly Verdict[] {
    const [value] = op.results;
    const willing = verdicts.filter(({ refusal }) => !refusal).map(({ group }) => group);
    if (this.#analysis.without.has('fuse/mergeSiblings')) return verdicts;
    if (willing.length < 2 || this.#duplicates.allows(op, value, willing, false)) return verdicts;
    const kept: FusionGroup[] = [];
    for (const group of willing) {
      const partner = kept.find((other) => this.#mayMerge(other, group));
      if (partner) mergeGroups(partner, group, this.#analysis, this.#tokens);
      else kept.push(group);
    }
    if (kept.length === willing.length) return verdicts;
    const refused = verdicts.filter(({ refusal }) => refusal);
    return [...refused, ...kept.map((group) => this.#judge(op, group))];
  }

  #mayMerge(a: FusionGroup, b: FusionGroup): boolean {
    return haveCommonLoops(a, b, this.#analysis) && !dependsOn(a, b) && !dependsOn(b, a) && this.#areOfOneLevel(a, b);
  }

  /** A group that computes the value anyway and that no other reader comes before. */
  #hostFor(op: Op, verdicts: readonly Verdict[]): FusionGroup | undefined {
    if (this.#analysis.without.has('fuse/multiOutput')) return undefined;
    const [value] = op.results;
    const later = [...verdicts.map(({ group }) => group), ...this.#groupsThatAwait(value)];
    for (const { group, refusal } of verdicts) {
      const demand = group.wanted.get(value);
      if (refusal || !demand || !outputAxes(op, demand.views, group, this.#analysis.target)) continue;
      if (runsAcrossRows(value, demand.views, group, this.#analysis) || !this.#mayWrite(op, group)) continue;
      const isFirst = (other: FusionGroup): boolean =>
        other === group || (!dependsOn(group, other) && this.#isNotAfterStreamOf(group, other));
      if (later.every(isFirst)) return group;
    }
    return undefined;
  }

  /** Whether a group may bind one more buffer to write a value into that it computes anyway. */
  #mayWrite(op: Op, group: FusionGroup): boolean {
    const addition = { computed: op.results[0], operands: readBy(op), outputs: 1 };
    return buffersOf([group], this.#analysis, addition) <= this.#analysis.target.mostBuffers;
  }

  /** Whether no stream can come between two groups that become one. */
  #areOfOneLevel(...groups: readonly FusionGroup[]): boolean {
    if (this.#streams.streams.length === 0) return true;
    return new Set(groups.flatMap((group) => group.outputs.map(({ value }) => this.#streams.levelOf(value)))).size <= 1;
  }

  /** Whether a group can not need a stream that a reader of it comes before. */
  #isNotAfterStreamOf(group: FusionGroup, reader: FusionGroup): boolean {
    if (this.#streams.streams.length === 0) return true;
    const levels = ({ call, outputs }: FusionGroup): number[] =>
      (call?.results ?? outputs.map(({ value }) => value)).map((value) => this.#streams.levelOf(value));
    const [own, readers] = [Math.max(...levels(group)), Math.min(...levels(reader))];
    return reader.scratch ? readers > own : readers >= own;
  }

  #newGroup(op: Op, position: number): FusionGroup {
    const [value] = op.results;
    const loops = this.#analysis.loopsOf(value);
    const group = new FusionGroup(this.#groups.length, loops.domain, position);
    this.#groups.push(group);
    const { axes } = loops;
    group.addOutput(value, axes, position);
    if (op.opcode === 'concatenate') group.pieces = op;
    if (op.opcode === 'scatter') {
      group.kind = 'scatter';
      group.scatter = op;
    }
    this.#computeWith(op, position, group, [{ axes, place: 'loops', evaluations: this.#analysis.elementsOf(value) }]);
    return group;
  }

  #compute(op: Op, position: number, group: FusionGroup): void {
    const demand = group.wanted.get(op.results[0]);
    group.wanted.delete(op.results[0]);
    this.#computeWith(op, position, group, demand?.views ?? []);
  }

  #computeWith(op: Op, position: number, group: FusionGroup, views: readonly View[]): void {
    group.members.add(position);
    if (isContraction(op)) {
      group.kind = 'contraction';
      group.anchor = { op, axes: views[0].axes };
    }
    const inLoops = views.find((view) => view.place === 'loops');
    if ((op.opcode === 'reduce' || isRowOp(op)) && group.kind === 'map' && inLoops) {
      group.kind = 'rows';
      group.rows = rowAxesIn(op, inLoops)
        .flat()
        .sort((a, b) => a - b);
    }
    group.noteViews(op.results[0], views);
    if (op.opcode === 'optimization_barrier') {
      for (const awaited of op.operands.slice(1)) this.#await(group, awaited);
    }
    if (op.results[0].type.shape.includes(0)) return; // nothing is computed of it
    if (group.pieces === op) {
      for (const operand of op.operands) this.#want(group, operand, this.#pieceView(operand), op);
      return;
    }
    const extentOf: ExtentOf = (token) =>
      token < firstReduceToken ? group.domain[token] : this.#tokens.extentOf(token);
    for (const view of views) {
      const counted = { ...view, evaluations: group.evaluationsOf(view, this.#tokens) };
      operandViews(op, counted, this.#tokens, extentOf).forEach((operandView, at) => {
        this.#want(group, op.operands[at], operandView, op);
      });
    }
  }

  /** An operand of a concatenation that is written part by part: computed once for each element. */
  #pieceView(operand: Value): View {
    const axes = operand.type.shape.map((size) => (size === 1 ? [] : [unknown]));
    return { axes, place: 'loops', evaluations: this.#analysis.elementsOf(operand) };
  }

  #want(group: FusionGroup, value: Value, view: View, consumer: Op): void {
    if (!this.#analysis.producerOf(value)) {
      group.reads.add(value);
      return;
    }
    group.want(value, view, consumer);
    const wanting = this.#wantedBy.get(value);
    if (wanting) wanting.add(group);
    else this.#wantedBy.set(value, new Set([group]));
  }

  #await(group: FusionGroup, value: Value): void {
    const waiting = this.#awaitedBy.get(value);
    if (waiting) waiting.add(group);
    else this.#awaitedBy.set(value, new Set([group]));
  }

  /** Groups that wait for a value which no kernel writes wait for what it is computed from. */
  #awaitOperands(op: Op): void {
    for (const group of this.#groupsThatAwait(op.results[0])) {
      for (const operand of op.operands) this.#await(group, operand);
    }
  }

  /** Lets a group come after the one that writes what it waits for. */
  #follow(group: FusionGroup, writer: FusionGroup, value: Value): void {
    if (group === writer) return;
    group.awaited.add(value);
    writer.precede(group);
  }

  #groupsThatAwait(value: Value): FusionGroup[] {
    const waiting = this.#awaitedBy.get(value);
    return waiting ? [...new Set([...waiting].map((group) => group.current))] : [];
  }

  #groupsThatWant(value: Value): FusionGroup[] {
    const groups = new Set([...(this.#wantedBy.get(value) ?? [])].map((group) => group.current));
    return [...groups].filter((group) => group.wanted.has(value)).sort((a, b) => a.id - b.id);
  }
}
