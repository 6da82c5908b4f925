/**
 * Streams: the kernels that compute what leaves a score region, each of which computes the members it needs again
 * instead of reading them from memory.
 *
 *     attention            one stream over the queries: {m, l, o}
 *     its gradient         one over the queries: {sum(dP*P), dQ}, one over the keys: {dK, dV}, which read m and l
 *
 * Exits are handed to streams in the order of the graph. An exit joins a stream of its direction unless something that
 * it reads depends on what that stream writes.
 */
import { traitsOf } from '../../ir/ops/index.ts';
import type { Value } from '../../ir/types.ts';
import { type GraphUses, isFree, isView } from '../fuse/graph-uses.ts';
import { changesOnes, type Direction, type Exit, type ScoreRegion, type ScoreRegions } from './score-region.ts';
import { countReadBuffers } from './stream-buffers.ts';

export interface Stream {
  readonly region: ScoreRegion;
  readonly direction: Direction;
  readonly exits: readonly Exit[];
  /** Positions of all ops that the kernel computes: members of the region, exits, and what lies between them. */
  readonly members: ReadonlySet<number>;
  /** What the kernel takes from outside the region: operands of contractions, masks, statistics of other streams. */
  readonly sources: ReadonlySet<Value>;
  /** Results of exits and of what follows them in the kernel that others need. */
  readonly outputs: ReadonlySet<Value>;
}

class Draft {
  readonly region: ScoreRegion;
  readonly direction: Direction;
  readonly exits: Exit[] = [];
  readonly members = new Set<number>();
  readonly sources = new Set<Value>();
  readonly outputs = new Set<Value>();

  constructor(region: ScoreRegion, direction: Direction) {
    this.region = region;
    this.direction = direction;
  }
}

/** Ops looked at before a search for a dependence gives up and takes it for granted. */
const searchBound = 512;
/** Ops after a contraction that its stream takes over, at most. */
const longestEpilogue = 8;

export function planStreams(region: ScoreRegion, regions: ScoreRegions, analysis: GraphUses): Stream[] {
  return new Planner(region, regions, analysis).run();
}

class Planner {
  readonly #region: ScoreRegion;
  readonly #regions: ScoreRegions;
  readonly #analysis: GraphUses;
  readonly #streams: Draft[] = [];
  /** The stream of each exit, by position of the op; of stored members, by value. */
  readonly #streamAt = new Map<number, Draft>();
  readonly #storedBy = new Map<Value, Draft>();

  constructor(region: ScoreRegion, regions: ScoreRegions, analysis: GraphUses) {
    this.#region = region;
    this.#regions = regions;
    this.#analysis = analysis;
  }

  run(): Stream[] {
    for (const exit of this.#region.exits) this.#place(exit);
    for (const stream of this.#streams) this.#extend(stream);
    for (const stream of this.#streams) this.#findOutputs(stream);
    return this.#streams;
  }

  #place(exit: Exit): void {
    if (exit.kind === 'store' && this.#storedBy.has(exit.operand)) return;
    for (const stream of this.#streams.toReversed()) {
      if (stream.direction !== exit.direction) continue;
      const cone = this.#coneOf(exit, stream);
      const written = new Set(stream.exits.map(({ position }) => position));
      if (dependsOnAny(cone.sources, written, this.#analysis) || !this.#fitsInto(stream, exit, cone)) continue;
      this.#add(exit, stream, cone);
      return;
    }
    const stream = new Draft(this.#region, exit.direction);
    this.#streams.push(stream);
    this.#add(exit, stream, this.#coneOf(exit, stream));
  }

  /** Whether one kernel may bind what several contractions of a stream read and write. */
  #fitsInto({ exits, sources }: Draft, { kind }: Exit, cone: Cone): boolean {
    const contractions = exits.filter((exit) => exit.kind === 'contraction').length;
    if (kind !== 'contraction' || contractions === 0) return true;
    const read = countReadBuffers([...sources, ...cone.sources], this.#analysis);
    return read + contractions + 1 <= this.#analysis.target.mostBuffers;
  }

  #add(exit: Exit, stream: Draft, { members, sources }: Cone): void {
    stream.exits.push(exit);
    for (const member of members) stream.members.add(member);
    for (const source of sources) stream.sources.add(source);
    if (exit.kind === 'store') this.#storedBy.set(exit.operand, stream);
    else this.#streamAt.set(exit.position, stream);
  }

  /** What an exit takes to compute in a stream, and what that reads from outside. */
  #coneOf(exit: Exit, stream: Draft): Cone {
    const cone: Cone = { members: new Set(), sources: new Set() };
    const waiting: Value[] = [exit.operand];
    if (exit.kind !== 'store') {
      cone.members.add(exit.position);
      for (const operand of this.#operandsAt(exit.position)) if (operand !== exit.operand) waiting.push(operand);
    }
    const seen = new Set<Value>(waiting);
    for (let value = waiting.pop(); value; value = waiting.pop()) {
      const position = this.#analysis.positionOf(value);
      if (position === undefined || !this.#isInside(value, position, stream)) {
        cone.sources.add(value);
        continue;
      }
      if (stream.members.has(position)) continue;
      cone.members.add(position);
      for (const operand of this.#operandsAt(position)) {
        if (seen.has(operand)) continue;
        seen.add(operand);
        if (this.#isAligned(operand, value)) waiting.push(operand);
        else cone.sources.add(operand);
      }
    }
    return cone;
  }

  #operandsAt(position: number): readonly Value[] {
    return this.#analysis.graph.ops[position].operands;
  }

  /** Whether a stream computes a value itself: members of the region, and what follows from its own statistics. */
  #isInside(value: Value, position: number, stream: Draft): boolean {
    if (this.#region.members.has(position)) {
      const storing = this.#storedBy.get(value);
      return storing === undefined || storing === stream;
    }
    const rows = this.#regions.rowValueOf(value, this.#region);
    if (rows?.direction !== stream.direction) return false;
    return rows.statistics.some((statistic) => this.#streamAt.get(statistic) === stream);
  }

  /** Whether an operand of a member that comes from statistics has them in the rows they are of. */
  #isAligned(operand: Value, member: Value): boolean {
    const rows = this.#regions.rowValueOf(operand, this.#region);
    if (!rows || this.#regions.regionOf(member) !== this.#region) return true;
    const roles = this.#regions.rolesOf(member);
    return rows.roles.every((role, axis) => role === -1 || role === roles[axis]);
  }

  /** Lets contractions go on to what follows them alone: transposes, casts, factors that were there before. */
  #extend(stream: Draft): void {
    const { ops } = this.#analysis.graph;
    const first = Math.min(...this.#region.members);
    for (const { kind, position } of stream.exits) {
      if (kind !== 'contraction') continue;
      let [value] = ops[position].results;
      let written = value;
      const passed: number[] = [];
      for (let length = 0; length < longestEpilogue; length++) {
        const next = this.#epilogueOf(value, first);
        if (next === undefined) break;
        passed.push(next);
        [value] = ops[next].results;
        if (isView(ops[next])) continue; // it lies where its operand does, which is written
        for (const member of passed.splice(0)) stream.members.add(member);
        for (const operand of ops[next].operands)
          if (!stream.members.has(this.#analysis.positionOf(operand) ?? -1)) stream.sources.add(operand);
        written = value;
      }
      stream.outputs.add(written);
    }
  }

  #epilogueOf(value: Value, first: number): number | undefined {
    const [position, ...others] = this.#analysis.usesOf(value);
    if (position === undefined || others.length > 0 || this.#analysis.isResult(value)) return undefined;
    if (this.#regions.regionOf(value)) return undefined;
    const op = this.#analysis.graph.ops[position];
    if (op.opcode === 'transpose') return position;
    if (op.opcode === 'reshape') return changesOnes(op) ? position : undefined;
    if (!traitsOf(op.opcode).elementwise || op.operands.filter((operand) => operand === value).length > 1)
      return undefined;
    const early = op.operands.every(
      (other) => other === value || this.#isConstant(other) || (this.#analysis.positionOf(other) ?? -1) < first,
    );
    return early && op.results[0].type.shape.length === value.type.shape.length ? position : undefined;
  }

  /** Whether a value is one number, repeated or not: it depends on nothing, wherever it stands. */
  #isConstant(value: Value): boolean {
    const op = this.#analysis.producerOf(value);
    return op?.opcode === 'constant' || (op?.opcode === 'broadcast_in_dim' && this.#isConstant(op.operands[0]));
  }

  /** Statistics, and what the kernel makes of them, that somebody else needs; stored members. */
  #findOutputs(stream: Draft): void {
    const { ops } = this.#analysis.graph;
    for (const [value, storing] of this.#storedBy) if (storing === stream) stream.outputs.add(value);
    const wanted = new Set<Value>();
    for (const position of [...stream.members].sort((a, b) => b - a)) {
      const op = ops[position];
      const [value] = op.results;
      if (this.#region.members.has(position) || stream.outputs.has(value)) continue;
      if (!wanted.has(value) && !this.#isNeededOutside(value, stream)) continue;
      if (isFree(op)) for (const operand of op.operands) wanted.add(operand);
      else stream.outputs.add(value);
    }
  }

  #isNeededOutside(value: Value, stream: Draft): boolean {
    if (this.#analysis.isResult(value)) return true;
    if (this.#streams.some((other) => other !== stream && other.sources.has(value))) return true;
    return this.#analysis
      .usesOf(value)
      .some((position) => !stream.members.has(position) && !this.#isMemberElsewhere(position));
  }

  #isMemberElsewhere(position: number): boolean {
    return this.#streams.some((other) => other.members.has(position));
  }
}

/** Whether any of some values needs one of some ops; where the search is too long, it counts as so. */
export function dependsOnAny(values: Iterable<Value>, positions: ReadonlySet<number>, analysis: GraphUses): boolean {
  const first = Math.min(...positions);
  const seen = new Set<number>();
  const waiting: number[] = [];
  const look = (value: Value): void => {
    const position = analysis.positionOf(value);
    if (position === undefined || position < first || seen.has(position)) return;
    seen.add(position);
    waiting.push(position);
  };
  for (const value of values) look(value);
  for (let position = waiting.pop(); position !== undefined; position = waiting.pop()) {
    if (positions.has(position) || seen.size > searchBound) return true;
    for (const operand of analysis.graph.ops[position].operands) look(operand);
  }
  return false;
}

interface Cone {
  readonly members: Set<number>;
  readonly sources: Set<Value>;
}
