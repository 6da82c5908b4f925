/**
 * A group while it grows: one kernel in the making. Groups form a graph of their own, in which an edge means that one
 * reads what the other writes; it must stay free of cycles.
 */
import type { Dim } from '../../base/dim.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';
import { estimate } from './graph-uses.ts';
import { firstReduceToken, type ReduceTokens, unknown, type View, viewKey } from './view.ts';

export interface GroupOutput {
  readonly value: Value;
  /** For each axis of the value the tokens that walk it. */
  readonly axes: readonly (readonly number[])[];
}

export interface Demand {
  readonly views: View[];
  /** Ops in the group that use the value. */
  readonly consumers: Set<Op>;
}

export class FusionGroup {
  readonly id: number;
  /** Extents of the loops with tokens 0, 1, ... */
  domain: readonly Dim[];
  kind: 'map' | 'rows' | 'contraction' | 'scatter' | 'call' = 'map';
  /** Loops around the reductions, for kind `rows`: tokens. */
  rows: readonly number[] = [];
  /** The contraction, and how its axes are walked. */
  anchor: { readonly op: Op; readonly axes: readonly (readonly number[])[] } | undefined;
  /** The concatenation that is this group's only output: each operand is written by loops of its own. */
  pieces: OpOf<'concatenate'> | undefined;
  /** The op of a group of kind `scatter`. */
  scatter: Op | undefined;
  /** The op of a group of kind `call`, which is no kernel: it only has its place in the order. */
  call: OpOf<'call'> | undefined;
  /** Scratch rows of a stream, whose ops and outputs are decided before the walk (`passes/attention`). */
  scratch: ReadonlyMap<Value, readonly boolean[]> | undefined;
  readonly members = new Set<number>();
  readonly outputs: GroupOutput[] = [];
  /** Values read from memory, and values wanted whose op has not had its turn. */
  readonly reads = new Set<Value>();
  readonly wanted = new Map<Value, Demand>();
  /** How the values that are computed in the group are looked at. */
  readonly views = new Map<Value, readonly View[]>();
  readonly successors = new Set<FusionGroup>();
  /** Values that other groups write before this one runs, though it does not read them. */
  readonly awaited = new Set<Value>();
  readonly #predecessors = new Set<FusionGroup>();
  /** The first position at which this group or one that has to come after it stores something. */
  firstOutput: number;
  lastMember: number;
  #mergedInto: FusionGroup | undefined;
  #rounds: readonly number[] = [];
  #countedDomain: readonly Dim[] | undefined;
  #countedRows: readonly number[] | undefined;

  constructor(id: number, domain: readonly Dim[], position: number) {
    this.id = id;
    this.domain = domain;
    this.firstOutput = position;
    this.lastMember = position;
  }

  /** The group that this one is part of by now. */
  get current(): FusionGroup {
    let group: FusionGroup = this;
    while (group.#mergedInto) group = group.#mergedInto;
    if (this.#mergedInto && this.#mergedInto !== group) this.#mergedInto = group;
    return group;
  }

  get bufferCount(): number {
    return this.reads.size + this.wanted.size + this.outputs.length;
  }

  want(value: Value, view: View, consumer: Op): void {
    const demand = this.wanted.get(value);
    if (!demand) {
      this.wanted.set(value, { views: [view], consumers: new Set([consumer]) });
      return;
    }
    demand.consumers.add(consumer);
    if (!demand.views.some((other) => viewKey(other) === viewKey(view))) demand.views.push(view);
  }

  addOutput(value: Value, axes: GroupOutput['axes'], position: number): void {
    this.outputs.push({ value, axes });
    this.#storesAt(position);
  }

  /** Says that another group has to come after this one. */
  precede(other: FusionGroup): void {
    this.successors.add(other);
    other.#predecessors.add(this);
    this.#storesAt(other.firstOutput);
  }

  /** Notes a position in this group and all that come before it. */
  #storesAt(position: number): void {
    const waiting: FusionGroup[] = [this];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const group = next.current;
      if (group.firstOutput <= position) continue;
      group.firstOutput = position;
      waiting.push(...group.#predecessors);
    }
  }

  /** Remembers how the group looks at a value that it computes. */
  noteViews(value: Value, views: readonly View[]): void {
    this.views.set(value, mergeViews(this.views.get(value) ?? [], views));
  }

  /** How often the loops of some axes run, the loops around them included. */
  evaluationsOf(view: View, tokens: ReduceTokens): number {
    let most = 1;
    for (const axis of view.axes)
      for (const token of axis) {
        if (token === unknown) return view.evaluations;
        most = Math.max(most, token >= firstReduceToken ? tokens.evaluationsOf(token) : this.#roundsOf(token));
      }
    return most;
  }

  /** How often the loop of a token runs, with the loops around it: those of the rows come first. */
  #roundsOf(token: number): number {
    if (this.#countedDomain !== this.domain || this.#countedRows !== this.rows) {
      this.#countedDomain = this.domain;
      this.#countedRows = this.rows;
      const tokens = this.domain.map((_, at) => at);
      const order = [...this.rows, ...tokens.filter((at) => !this.rows.includes(at))];
      const counted = new Array<number>(tokens.length);
      let rounds = 1;
      for (const at of order) counted[at] = rounds *= estimate(this.domain[at]);
      this.#rounds = counted;
    }
    return this.#rounds[token];
  }

  /** Gives the loops the tokens that they have in another group, as the first step of becoming one with it. */
  renameLoops(loops: ReadonlyMap<number, number>, domain: readonly Dim[], tokens: ReduceTokens): void {
    const rename = (views: readonly View[]): View[] => views.map((view) => tokens.renamed(view, loops));
    const renameToken = (token: number): number => loops.get(token) ?? token;
    this.outputs.forEach(({ value, axes }, at) => {
      this.outputs[at] = { value, axes: axes.map((axis) => axis.map(renameToken)) };
    });
    for (const [value, demand] of this.wanted) this.wanted.set(value, { ...demand, views: rename(demand.views) });
    for (const [value, views] of this.views) this.views.set(value, rename(views));
    this.rows = this.rows.map(renameToken);
    this.domain = domain;
  }

  /** Takes over everything of another group with the same loops. */
  absorb(other: FusionGroup): void {
    for (const member of other.members) this.members.add(member);
    this.outputs.push(...other.outputs);
    for (const value of other.reads) this.reads.add(value);
    for (const [value, { views, consumers }] of other.wanted)
      for (const consumer of consumers) for (const view of views) this.want(value, view, consumer);
    for (const [value, views] of other.views) this.noteViews(value, views);
    for (const successor of other.successors) this.successors.add(successor);
    for (const value of other.awaited) this.awaited.add(value);
    for (const predecessor of other.#predecessors) this.#predecessors.add(predecessor);
    const [least, greatest] = [this.firstOutput, other.firstOutput].sort((a, b) => a - b);
    this.firstOutput = greatest;
    this.#storesAt(least);
    this.lastMember = Math.max(this.lastMember, other.lastMember);
    if (other.domain.length > this.domain.length) this.domain = other.domain;
    if (other.kind === 'rows' && this.kind !== 'rows') {
      this.kind = 'rows';
      this.rows = other.rows;
    }
    other.#mergedInto = this;
  }
}

const mergeViews = (a: readonly View[], b: readonly View[]): View[] => [
  ...a,
  ...b.filter((view) => !a.some((other) => viewKey(other) === viewKey(view))),
];

/** Groups looked at before a search gives up. */
const searchBound = 512;

/** Whether `to` reads something that depends on `from`; where the search is too long, it counts as so. */
export function dependsOn(to: FusionGroup, from: FusionGroup): boolean {
  const seen = new Set<FusionGroup>([from]);
  const waiting = [from];
  for (let group = waiting.pop(); group; group = waiting.pop()) {
    for (const other of group.successors) {
      const successor = other.current;
      if (successor === to) return true;
      if (seen.has(successor) || successor.firstOutput > to.lastMember) continue;
      if (seen.size > searchBound) return true;
      seen.add(successor);
      waiting.push(successor);
    }
  }
  return false;
}
