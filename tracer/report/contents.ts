/**
 * What is drawn inside a box: a node for each op, small ones for what is read from memory and for results, edges
 * between them. Numbers stand in the label of the op that uses them. Parts that look alike, such as the updates of
 * thirty parameters, are drawn once.
 *
 *     read %x ─┐
 *     read %w ─┴ dot_general f32[8,2] ── multiply · 0.5 f32[8,2] ── result 0
 */
import type { Cluster } from './clusters.ts';
import type { FunctionData, OpData } from './data.ts';
import { type Family, familyOf } from './families.ts';

export interface DrawnNode {
  readonly kind: 'op' | 'read' | 'result';
  /** The ops it stands for; of a read the op that makes the value, if one does. */
  readonly ops: readonly number[];
  readonly family: Family;
  readonly label: string;
  /** Type of the result; absent on small nodes, whose title says it. */
  readonly type?: string;
  readonly title: string;
  /** Whether its value is written to memory. */
  readonly stored: boolean;
}

export interface DrawnEdge {
  readonly from: number;
  readonly to: number;
  /** Name and type of the value. */
  readonly title: string;
}

/** Nodes that hang together. */
export interface Part {
  readonly nodes: readonly DrawnNode[];
  /** Positions in `nodes`. */
  readonly edges: readonly DrawnEdge[];
  /** How many parts of the box look like this one, itself included. */
  readonly copies: number;
}

/** From how many equal parts on only one is drawn. */
const fewestCopies = 3;

export function contentsOf(index: FunctionIndex, cluster: Cluster): Part[] {
  const { nodes, edges } = nodesOf(index, cluster);
  return mergeCopies(partsOf(nodes, edges), index.func);
}

/** A function, and what is asked of it again and again. */
export interface FunctionIndex {
  readonly func: FunctionData;
  /** Values that are one number everywhere, as text. */
  readonly scalars: ReadonlyMap<number, string>;
  /** The op that makes each value. */
  readonly producers: ReadonlyMap<number, number>;
}

export function indexOf(func: FunctionData): FunctionIndex {
  const scalars = new Map<number, string>();
  for (const { scalar, results } of func.ops) if (scalar !== undefined) scalars.set(results[0], shortNumber(scalar));
  const producers = new Map(func.ops.flatMap(({ results }, op) => results.map((value) => [value, op] as const)));
  return { func, scalars, producers };
}

/** An op with its numbers written out, and dots for other operands: `subtract 1 ·`. */
function labelOf({ opcode, note, operands }: OpData, scalars: FunctionIndex['scalars']): string {
  const name = note === undefined ? opcode : `${opcode} ${note}`;
  if (opcode === 'call' || !operands.some((value) => scalars.has(value))) return name;
  return [name, ...operands.map((value) => scalars.get(value) ?? '·')].join(' ');
}

/** Seven digits tell enough of a number. */
function shortNumber(text: string): string {
  const value = Number(text);
  if (text.length <= 9 || !Number.isFinite(value)) return text;
  const rounded = Number(value.toPrecision(7));
  const shortest = [String(rounded), rounded.toExponential().replace('e+', 'e')];
  return shortest[1].length < shortest[0].length ? shortest[1] : shortest[0];
}

interface Contents {
  readonly nodes: DrawnNode[];
  readonly edges: DrawnEdge[];
}

function nodesOf({ func, scalars, producers }: FunctionIndex, { ops, writes }: Cluster): Contents {
  const results = new Set(func.results);
  const stored = new Set(writes);
  const shown = ops.filter(
    (op) => func.ops[op].scalar === undefined || func.ops[op].results.some((v) => results.has(v)),
  );
  const nodes: DrawnNode[] = [];
  const edges: DrawnEdge[] = [];
  const nodeOf = new Map<number, number>();
  const titleOf = (value: number): string => `${func.values[value].name}: ${func.values[value].type}`;
  for (const position of shown) {
    const op = func.ops[position];
    const node = nodes.push({
      kind: 'op',
      ops: [position],
      family: familyOf(op.opcode),
      label: labelOf(op, scalars),
      type: op.results.map((value) => func.values[value].type).join(', '),
      title: op.text,
      stored: op.results.some((value) => stored.has(value)),
    });
    for (const value of op.results) nodeOf.set(value, node - 1);
  }
  const reads = new Map<string, number>();
  for (const position of shown) {
    const op = func.ops[position];
    const to = nodeOf.get(op.results[0]) ?? 0;
    for (const value of new Set(op.operands)) {
      if (scalars.has(value)) continue;
      let from = nodeOf.get(value);
      if (from === undefined) {
        // Read once for each op that uses it, so that parts which share nothing but memory stay apart.
        const key = `${value} ${to}`;
        from = reads.get(key) ?? nodes.push(readNode(func, value, producers.get(value))) - 1;
        reads.set(key, from);
      }
      edges.push({ from, to, title: titleOf(value) });
    }
  }
  func.results.forEach((value, number) => {
    const from = nodeOf.get(value);
    if (from === undefined || !stored.has(value)) return;
    const label = `result ${number}`;
    const title = `${label}: ${titleOf(value)}`;
    const to = nodes.push({ kind: 'result', ops: [], family: 'other', label, title, stored: false }) - 1;
    edges.push({ from, to, title: titleOf(value) });
  });
  return { nodes, edges };
}

function readNode(func: FunctionData, value: number, producer: number | undefined): DrawnNode {
  const { name, type } = func.values[value];
  const title = `${name}: ${type}, ${producer === undefined ? 'an input' : 'read from memory'}`;
  return {
    kind: 'read',
    ops: producer === undefined ? [] : [producer],
    family: 'other',
    label: name,
    title,
    stored: false,
  };
}

/** Splits nodes into those that hang together. */
function partsOf(nodes: readonly DrawnNode[], edges: readonly DrawnEdge[]): Part[] {
  const leader = nodes.map((_, at) => at);
  const find = (at: number): number => {
    let root = at;
    while (leader[root] !== root) root = leader[root];
    for (let next = at; next !== root; ) [next, leader[next]] = [leader[next], root];
    return root;
  };
  for (const { from, to } of edges) {
    const [a, b] = [find(from), find(to)];
    leader[Math.max(a, b)] = Math.min(a, b);
  }
  const members = new Map<number, number[]>();
  nodes.forEach((_, at) => {
    const root = find(at);
    const list = members.get(root);
    if (list) list.push(at);
    else members.set(root, [at]);
  });
  const position = new Map<number, number>();
  for (const list of members.values()) for (const [inPart, at] of list.entries()) position.set(at, inPart);
  const edgesOf = new Map<number, DrawnEdge[]>([...members.keys()].map((root) => [root, []]));
  for (const { from, to, title } of edges) {
    edgesOf.get(find(from))?.push({ from: position.get(from) ?? 0, to: position.get(to) ?? 0, title });
  }
  return [...members].map(([root, list]) => ({
    nodes: list.map((at) => nodes[at]),
    edges: edgesOf.get(root) ?? [],
    copies: 1,
  }));
}

/** Draws one of several parts that have the same ops in the same places; it stands for the ops of all. */
function mergeCopies(parts: readonly Part[], func: FunctionData): Part[] {
  const alike = new Map<string, Part[]>();
  for (const part of parts) {
    const nodes = part.nodes.map(({ kind, ops }) => (kind === 'op' ? func.ops[ops[0]].opcode : kind));
    const key = `${nodes.join()};${part.edges.map(({ from, to }) => `${from}-${to}`).join()}`;
    const list = alike.get(key);
    if (list) list.push(part);
    else alike.set(key, [part]);
  }
  return [...alike.values()].flatMap((list) => {
    if (list.length < fewestCopies) return list;
    const [first] = list;
    const nodes = first.nodes.map((node, at) => ({ ...node, ops: list.flatMap((part) => part.nodes[at].ops) }));
    return [{ ...first, nodes, copies: list.length }];
  });
}
