/**
 * Several small products that share an operand are computed as one: queries, keys and values of one input, gradients of
 * several weights of one layer. The other operands are joined along an axis of their own, and each result is a part of
 * the whole:
 *
 *     dot(x, q[64,32]), dot(x, k[64,32])      = parts of dot(x, concatenate(q, k): [64,64])
 *
 * Every sum has the same terms in the same order, so the bits are the same. Joining reads the other operands through
 * choices of where an element lies, which costs about four operations for each of theirs; a launch and a reading of the
 * shared operand are saved, about a microsecond. So what is small is joined, and constants, whose join is made when
 * compiling. Projections to queries, keys and values of 64 columns and more are faster apart.
 */
import { addDims, type Dim } from '../../base/dim.ts';
import type { Graph, Op, OpOf, Value } from '../../ir/types.ts';
import { estimateCount } from '../fuse/graph-uses.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { asOp, createOp, otherAxes, withOperands } from '../rewrite-emit.ts';

type Dot = OpOf<'dot_general'>;

/** Operations to read one element of a joined operand. */
const joinCost = 4;
/**
 * Operations to copy an element that would otherwise have been written where it is wanted, or gone on in a register.
 */
const exposedCost = 16;
/** What is saved with each kernel, and with each reading of an element of the shared operand, which is in a cache. */
const [savedLaunch, savedReading] = [10_000, 1];
/** Products that are joined, at most. */
const mostProducts = 8;

interface Member {
  readonly op: Dot;
  readonly position: number;
}

/** Products that differ in one operand only, along its first own axis. */
interface Family {
  readonly side: 0 | 1;
  readonly axis: number;
  readonly members: Member[];
}

/** Where the operands and results of products are made and used first, and by what. */
class Uses {
  readonly made = new Map<Value, number>();
  readonly first = new Map<Value, number>();
  readonly users = new Map<Value, Op[]>();
  readonly results: ReadonlySet<Value>;

  constructor(graph: Graph, families: readonly Family[]) {
    this.results = new Set(graph.results);
    const wanted = new Set(
      families.flatMap(({ members }) => members.flatMap(({ op }) => [...op.operands, ...op.results])),
    );
    graph.ops.forEach((op, position) => {
      for (const operand of op.operands) {
        if (!wanted.has(operand)) continue;
        if (!this.first.has(operand)) this.first.set(operand, position);
        const users = this.users.get(operand);
        if (users) users.push(op);
        else this.users.set(operand, [op]);
      }
      for (const result of op.results) if (wanted.has(result)) this.made.set(result, position);
    });
  }

  /** An op that is now computed elsewhere. */
  move(op: Dot, place: number): void {
    for (const operand of op.operands) this.first.set(operand, Math.min(this.first.get(operand) ?? place, place));
    this.made.set(op.results[0], place);
  }
}

const isView = ({ opcode }: Op): boolean =>
  opcode === 'slice' || opcode === 'reshape' || opcode === 'transpose' || opcode === 'dot_general';

/** All families of a graph with at least two members. */
function familiesOf(graph: Graph): Family[] {
  const numbers = new Map<Value, number>();
  const numberOf = (value: Value): number => {
    const number = numbers.get(value) ?? numbers.size;
    numbers.set(value, number);
    return number;
  };
  const families = new Map<string, Family>();
  graph.ops.forEach((op, position) => {
    if (op.opcode !== 'dot_general') return;
    const { contract, batch } = op.attributes;
    for (const side of [0, 1] as const) {
      const other = op.operands[1 - side];
      const [axis] = otherAxes(other.type.shape.length, contract[1 - side], batch[1 - side]);
      if (axis === undefined) continue;
      const shape = other.type.shape.map((size, i) => (i === axis ? '*' : String(size)));
      const key = `${side} ${numberOf(op.operands[side])} ${contract.join('|')} ${batch.join('|')} ${shape}`;
      const family = families.get(key);
      if (family) family.members.push({ op, position });
      else families.set(key, { side, axis, members: [{ op, position }] });
    }
  });
  return [...families.values()].filter(({ members }) => members.length > 1);
}

/** Whether joining saves more than it costs. */
function pays({ side, members }: Family, graph: Graph, uses: Uses): boolean {
  const shared = estimateCount(members[0].op.operands[side].type.shape);
  let cost = 0;
  for (const { op } of members) {
    const other = op.operands[1 - side];
    const made = uses.made.get(other);
    const isKnown = made !== undefined && graph.ops[made].opcode === 'constant';
    if (!isKnown) cost += joinCost * estimateCount(other.type.shape);
    const [result] = op.results;
    const isExposed = uses.results.has(result) || !(uses.users.get(result) ?? []).every(isView);
    if (isExposed) cost += exposedCost * estimateCount(result.type.shape);
  }
  return cost < (members.length - 1) * (savedLaunch + savedReading * shared);
}

/**
 * Where the joint product can stand: at the first member, if all is known there, or the last, if nothing is used
 * before.
 */
function placeOf({ side, members }: Family, uses: Uses): number | undefined {
  const positions = members.map(({ position }) => position);
  const [first, last] = [Math.min(...positions), Math.max(...positions)];
  if (members.every(({ op }) => (uses.made.get(op.operands[1 - side]) ?? -1) < first)) return first;
  const isUnused = ({ op }: Member): boolean => (uses.first.get(op.results[0]) ?? Infinity) > last;
  return members.every(isUnused) ? last : undefined;
}

/** The joint product, and for each member the part that is its result. */
function joined({ side, axis, members }: Family): { readonly ops: Op[]; readonly parts: Value[] } {
  const [{ op: model }] = members;
  const others = members.map(({ op }) => op.operands[1 - side]);
  const join = createOp('concatenate', others, { axis }, model.location);
  const shared = model.operands[side];
  const operands = side === 0 ? [shared, join.results[0]] : [join.results[0], shared];
  const product = createOp('dot_general', operands, model.attributes, model.location);
  const { contract, batch } = model.attributes;
  const ownAxes = otherAxes(shared.type.shape.length, contract[side], batch[side]).length;
  const place = batch[0].length + (side === 0 ? ownAxes : 0);
  const { shape } = product.results[0].type;
  const ops: Op[] = [asOp(join), asOp(product)];
  let start: Dim = 0;
  const parts = members.map(({ op }, i) => {
    const end = addDims(start, others[i].type.shape[axis]);
    const slice = createOp(
      'slice',
      product.results,
      {
        start: shape.map((_, at) => (at === place ? start : 0)),
        limit: shape.map((size, at) => (at === place ? end : size)),
        strides: shape.map(() => 1),
      },
      op.location,
    );
    start = end;
    ops.push(asOp(slice));
    return slice.results[0];
  });
  return { ops, parts };
}

function withJointProducts(graph: Graph): Graph {
  const families = familiesOf(graph);
  if (families.length === 0) return graph;
  const uses = new Uses(graph, families);
  const taken = new Set<Op>();
  const inserted = new Map<number, Op[]>();
  const replaced = new Map<Value, Value>();
  for (const family of families) {
    const members = family.members.filter(({ op }) => !taken.has(asOp(op))).slice(0, mostProducts);
    const rest = { ...family, members };
    const place = members.length > 1 && pays(rest, graph, uses) ? placeOf(rest, uses) : undefined;
    if (place === undefined) continue;
    const { ops, parts } = joined(rest);
    inserted.set(place, ops);
    members.forEach(({ op }, i) => {
      taken.add(asOp(op));
      replaced.set(op.results[0], parts[i]);
      uses.move(op, place);
    });
  }
  if (taken.size === 0) return graph;
  const resolve = (value: Value): Value => replaced.get(value) ?? value;
  const ops = graph.ops.flatMap((op, position) => {
    const kept = taken.has(op) ? [] : [op];
    return [...(inserted.get(position) ?? []), ...kept].map((each) =>
      each.operands.some((operand) => replaced.has(operand)) ? withOperands(each, each.operands.map(resolve)) : each,
    );
  });
  return { ...graph, ops, results: graph.results.map(resolve) };
}

/** Joins small products with a common operand. Changes no bit. Dead products must be gone: all are taken for wanted. */
export const batchSharedMatmuls: Pass = {
  name: 'batchSharedMatmuls',
  run: (module) => mapGraphs(module, withJointProducts),
};
