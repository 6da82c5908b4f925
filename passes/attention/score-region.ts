/**
 * Score regions: the values between contractions that are as large as a matrix of scores, one number for each pair of a
 * query and a key.
 *
 *     %s = dot_general %q, %k         root         f32[B,H,I,J]: batch axes [0,1], query axes [2], key axes [3]
 *     %m = reduce %s {max, axes=[3]}  exit         a statistic of rows, f32[B,H,I]
 *     %e = exponential(%s - %m)       member       elementwise, with the statistic repeated over keys
 *     %o = dot_general %p, %v         exit         contracts the keys
 *
 * A region is closed under elementwise ops: whatever depends on a root and has its shape belongs to it. What leaves it
 * does so through exits: contractions over the keys or the queries, reductions over them, and other uses, for which the
 * value has to be stored. Masks and biases are no members; they come from outside, and many regions may share them.
 */
import { type Dim, equalDims, equalShapes } from '../../base/dim.ts';
import { traitsOf } from '../../ir/ops/index.ts';
import { otherAxes } from '../../ir/ops/rules.ts';
import type { Op, OpOf, Value } from '../../ir/types.ts';
import type { GraphUses } from '../fuse/graph-uses.ts';

/** Which axes of the scores are outer loops of a kernel: `queries` with the keys as rows within, or the other way. */
export type Direction = 'queries' | 'keys';

/** The axes of scores but for those of size 1, numbered: those that both operands of the roots walk, and one's own. */
export interface ScoreAxes {
  readonly extents: readonly Dim[];
  readonly batch: readonly number[];
  readonly queries: readonly number[];
  readonly keys: readonly number[];
}

/** For each axis of a value its number among the axes of the scores; -1 for an axis of size 1. */
export type Roles = readonly number[];

export interface Exit {
  /** Of the op that takes the value out; of the member itself if it is stored. */
  readonly position: number;
  /** The member that leaves the region. */
  readonly operand: Value;
  readonly kind: 'contraction' | 'statistic' | 'store';
  readonly direction: Direction;
}

export interface ScoreRegion {
  readonly axes: ScoreAxes;
  /** Positions of the ops that make members; the contractions among them are the roots. */
  readonly members: ReadonlySet<number>;
  readonly roots: readonly OpOf<'dot_general'>[];
  /** In the order of the graph. */
  readonly exits: readonly Exit[];
}

/** A value made of statistics of rows alone. */
export interface RowValue {
  readonly direction: Direction;
  readonly roles: Roles;
  /** Positions of the reductions that it comes from. */
  readonly statistics: readonly number[];
}

/** Statistics that a row value comes from, at most; others are taken for values from outside. */
const mostStatistics = 16;

export interface ScoreRegions {
  readonly regions: readonly ScoreRegion[];
  regionOf(value: Value): ScoreRegion | undefined;
  /** The axes of a member. */
  rolesOf(member: Value): Roles;
  /** How a value comes from the statistics of a region; `undefined`: it does not, or not row by row. */
  rowValueOf(value: Value, region: ScoreRegion): RowValue | undefined;
}

export const noRegions: ScoreRegions = {
  regions: [],
  regionOf: () => undefined,
  rolesOf: () => [],
  rowValueOf: () => undefined,
};

/** A region while members are found. */
class Draft {
  readonly axes: ScoreAxes;
  members: number[] = [];
  #joined: Draft | undefined;

  constructor(axes: ScoreAxes) {
    this.axes = axes;
  }

  get current(): Draft {
    let draft: Draft = this;
    while (draft.#joined) draft = draft.#joined;
    if (this.#joined) this.#joined = draft;
    return draft;
  }

  join(other: Draft): Draft {
    const [large, small] = this.members.length >= other.members.length ? [this, other] : [other, this];
    if (large === small) return large;
    for (const member of small.members) large.members.push(member);
    small.members = [];
    small.#joined = large;
    return large;
  }
}

interface Member {
  readonly draft: Draft;
  readonly roles: Roles;
}

export function findScoreRegions(analysis: GraphUses): ScoreRegions {
  const found = new Map<Value, Member>();
  const { ops } = analysis.graph;
  ops.forEach((op, position) => {
    const member = op.opcode === 'dot_general' ? rootOf(op) : continuationOf(op, found);
    if (!member) return;
    member.draft.members.push(position);
    found.set(op.results[0], member);
  });
  const finished = new Map<Draft, ScoreRegion>();
  const drafts = new Set<Draft>();
  for (const { draft } of found.values()) drafts.add(draft.current);
  for (const draft of drafts) {
    const region = finish(draft, found, analysis);
    if (region) finished.set(draft, region);
  }
  const regionOf = (value: Value): ScoreRegion | undefined => {
    const member = found.get(value);
    return member && finished.get(member.draft.current);
  };
  const rolesOf = (value: Value): Roles => found.get(value)?.roles ?? [];
  const rowValues = finished.size > 0 ? findRowValues(analysis, regionOf, rolesOf) : new Map<Value, never>();
  return {
    regions: [...finished.values()].sort((a, b) => a.exits[0].position - b.exits[0].position),
    regionOf,
    rolesOf,
    rowValueOf(value, region) {
      const row = rowValues.get(value);
      return row?.region === region ? row : undefined;
    },
  };
}

function rootOf({ operands, attributes, results }: OpOf<'dot_general'>): Member | undefined {
  const { contract, batch } = attributes;
  const { shape } = results[0].type;
  const shared = batch[0].length;
  const own = operands[0].type.shape.length - contract[0].length - shared;
  const wide = shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const numbers = (from: number, to: number): number[] =>
    wide.flatMap((axis, number) => (axis >= from && axis < to ? [number] : []));
  const axes: ScoreAxes = {
    extents: wide.map((axis) => shape[axis]),
    batch: numbers(0, shared),
    queries: numbers(shared, shared + own),
    keys: numbers(shared + own, shape.length),
  };
  if (axes.queries.length + axes.keys.length === 0) return undefined;
  return { draft: new Draft(axes), roles: shape.map((_, axis) => wide.indexOf(axis)) };
}

/** The region that an op's result belongs to, if it continues one element by element, or two of equal axes. */
function continuationOf(op: Op, found: ReadonlyMap<Value, Member>): Member | undefined {
  const operands = membersOf(op, found);
  if (operands.length === 0) return undefined;
  const [first] = operands;
  const roles = rolesAfter(op, first.roles);
  if (!roles) return undefined;
  let draft = first.draft.current;
  for (let at = 1; at < operands.length; at++) {
    const other = operands[at];
    if (!isEqual(first.roles, other.roles) || !haveEqualAxes(draft.axes, other.draft.axes)) return undefined;
    draft = draft.join(other.draft.current);
  }
  return { draft, roles };
}

const noMembers: readonly never[] = [];

/** What is known of the operands of an op; most ops have none, so nothing is made for them. */
function membersOf<T>({ operands }: Op, found: ReadonlyMap<Value, T>): readonly T[] {
  let members: T[] | undefined;
  for (const operand of operands) {
    const member = found.get(operand);
    if (member === undefined) continue;
    members ??= [];
    members.push(member);
  }
  return members ?? noMembers;
}

/** The axes of an op's result, if its elements are elements of its operands, or computed from one of each. */
function rolesAfter(op: Op, roles: Roles): Roles | undefined {
  if (traitsOf(op.opcode).elementwise) return roles;
  if (op.opcode === 'transpose') return op.attributes.permutation.map((axis) => roles[axis]);
  if (op.opcode === 'reshape' && changesOnes(op)) return acrossOnes(op, roles, -1);
  return undefined;
}

/** Whether a reshape does no more than to add and drop axes of size 1. */
export function changesOnes({ operands, attributes }: OpOf<'reshape'>): boolean {
  const isWide = (size: Dim): boolean => size !== 1;
  return equalShapes(operands[0].type.shape.filter(isWide), attributes.shape.filter(isWide));
}

/** What belongs to each axis of a reshape's result, from what belongs to those of its operand. */
export function acrossOnes<T>({ operands, attributes }: OpOf<'reshape'>, axes: readonly T[], none: T): T[] {
  const wide = axes.filter((_, axis) => operands[0].type.shape[axis] !== 1);
  let next = 0;
  return attributes.shape.map((size) => (size === 1 ? none : wide[next++]));
}

export const isEqual = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((number, at) => number === b[at]);

const haveEqualAxes = (a: ScoreAxes, b: ScoreAxes): boolean =>
  isEqual(a.batch, b.batch) && isEqual(a.queries, b.queries) && isEqual(a.keys, b.keys);

/** The region of a draft; `undefined` where no contraction leaves it, so that nothing could be gained. */
function finish(draft: Draft, found: ReadonlyMap<Value, Member>, analysis: GraphUses): ScoreRegion | undefined {
  const { ops } = analysis.graph;
  const members = new Set(draft.members);
  const exits: Exit[] = [];
  const stored = new Set<number>();
  const store = (member: number): void => {
    const position = storedAt(member, analysis);
    if (stored.has(position)) return;
    stored.add(position);
    exits.push({ position, operand: ops[position].results[0], kind: 'store', direction: 'queries' });
  };
  for (const member of draft.members) {
    const [operand] = ops[member].results;
    if (analysis.isResult(operand)) store(member);
    for (const position of analysis.usesOf(operand)) {
      if (members.has(position)) continue;
      const exit = exitOf(ops[position], position, operand, draft, found);
      if (exit) exits.push(exit);
      else store(member);
    }
  }
  if (!exits.some(({ kind }) => kind === 'contraction')) return undefined;
  exits.sort((a, b) => a.position - b.position);
  const roots = draft.members.sort((a, b) => a - b).flatMap((member) => asRoot(ops[member]));
  return { axes: draft.axes, members, roots, exits };
}

/** The member whose memory a member would lie in: itself, or what it is a mere view of. */
function storedAt(member: number, analysis: GraphUses): number {
  const [value] = analysis.graph.ops[member].results;
  return analysis.positionOf(analysis.storageOf(value)) ?? member;
}

const asRoot = (op: Op): OpOf<'dot_general'>[] => (op.opcode === 'dot_general' ? [op] : []);

function exitOf(
  op: Op,
  position: number,
  operand: Value,
  draft: Draft,
  found: ReadonlyMap<Value, Member>,
): Exit | undefined {
  const roles = found.get(operand)?.roles ?? [];
  if (op.opcode === 'reduce') {
    const direction = directionOver(op.attributes.axes, roles, draft.axes);
    if (direction) return { position, operand, kind: 'statistic', direction };
  }
  if (op.opcode === 'dot_general') {
    const side = op.operands[0] === operand ? 0 : 1;
    const { contract, batch } = op.attributes;
    const direction = directionOver(contract[side], roles, draft.axes);
    const isInside = found.get(op.operands[1 - side])?.draft.current === draft;
    if (direction && !isInside && haveSame(rolesAt(batch[side], roles), draft.axes.batch))
      return { position, operand, kind: 'contraction', direction };
  }
  return undefined;
}

const rolesAt = (axes: readonly number[], roles: Roles): number[] =>
  axes.map((axis) => roles[axis]).filter((role) => role >= 0);

/** The kernel in which a sum over some axes runs within a row. */
function directionOver(axes: readonly number[], roles: Roles, { queries, keys }: ScoreAxes): Direction | undefined {
  if (axes.length === 0) return undefined;
  const summed = rolesAt(axes, roles);
  if (keys.length > 0 && haveSame(summed, keys)) return 'queries';
  if (queries.length > 0 && haveSame(summed, queries)) return 'keys';
  if (summed.length > 0) return undefined;
  return keys.length === 0 ? 'queries' : queries.length === 0 ? 'keys' : undefined;
}

const haveSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((axis) => b.includes(axis));

type KnownRows = RowValue & { readonly region: ScoreRegion };

/** Statistics of rows and what is computed from them row by row, up to where they are repeated over the scores. */
function findRowValues(
  analysis: GraphUses,
  regionOf: (value: Value) => ScoreRegion | undefined,
  rolesOf: (value: Value) => Roles,
): ReadonlyMap<Value, KnownRows> {
  const known = new Map<Value, KnownRows>();
  const { ops } = analysis.graph;
  // What is no row value must be repeated where a row value is, too: else the result varies along the row.
  const varies = (value: Value, axis: number): boolean =>
    value.type.shape[axis] !== 1 && walks(analysis.positionOf(value), axis);
  const walks = (position: number | undefined, axis: number): boolean => {
    const op = position === undefined ? undefined : ops[position];
    if (op?.opcode !== 'broadcast_in_dim') return true;
    const at = op.attributes.axes.indexOf(axis);
    return at >= 0 && op.operands[0].type.shape[at] !== 1;
  };
  for (let position = 0; position < ops.length; position++) {
    const op = ops[position];
    const [result] = op.results;
    if (op.opcode === 'reduce') {
      const [operand] = op.operands;
      const region = regionOf(operand);
      const roles = rolesOf(operand);
      const direction = region && directionOver(op.attributes.axes, roles, region.axes);
      const kept = otherAxes(operand.type.shape.length, op.attributes.axes).map((axis) => roles[axis]);
      if (region && direction) known.set(result, { region, direction, roles: kept, statistics: [position] });
      continue;
    }
    const rows = membersOf(op, known);
    if (rows.length === 0 || regionOf(result)) continue;
    const [first, ...others] = rows;
    const roles = op.opcode === 'broadcast_in_dim' ? rolesOfBroadcast(op, first.roles) : rolesAfter(op, first.roles);
    const agree = others.every(
      (other) =>
        other.region === first.region && other.direction === first.direction && isEqual(other.roles, first.roles),
    );
    const isElementwise = traitsOf(op.opcode).elementwise;
    const foreign = isElementwise ? op.operands.filter((operand) => !known.has(operand)) : [];
    const isRow = foreign.every((operand) => !roles?.some((role, axis) => role < 0 && varies(operand, axis)));
    const statistics = [...new Set(rows.flatMap((row) => row.statistics))];
    if (roles && agree && isRow && statistics.length <= mostStatistics)
      known.set(result, { ...first, roles, statistics });
  }
  return known;
}

/** New axes get no number: along them the value is repeated. */
function rolesOfBroadcast({ operands, attributes }: OpOf<'broadcast_in_dim'>, roles: Roles): Roles {
  const { axes, shape } = attributes;
  const result = shape.map((): number => -1);
  axes.forEach((to, at) => {
    if (equalDims(operands[0].type.shape[at], shape[to])) result[to] = roles[at];
  });
  return result;
}
