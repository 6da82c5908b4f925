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
  /** `read` and `shared` name a value: one from memory, one that is computed in the box and used in many places. */
  readonly kind: 'op' | 'read' | 'shared' | 'result';
  /** The ops it stands for; of a value's name the op that makes the value, if one does. */
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
  const { nodes, edges } = new Contents(index, cluster);
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

/** Uses of a value in a box from which on it is drawn by name beside each of them. */
const mostEdges = 3;

/** Names beside one op above which they are drawn as one, and how many its title lists. */
const mostNames = 6;
const mostListed = 24;

/** The nodes and edges of a box while they are put together. */
class Contents {
  readonly nodes: DrawnNode[] = [];
  readonly edges: DrawnEdge[] = [];
  readonly #index: FunctionIndex;
  readonly #stored: ReadonlySet<number>;
  /** The op node of each value that is computed here. */
  readonly #nodeOf = new Map<number, number>();
  readonly #uses = new Map<number, number>();

  constructor(index: FunctionIndex, { ops, writes }: Cluster) {
    this.#index = index;
    this.#stored = new Set(writes);
    const { func } = index;
    const results = new Set(func.results);
    const shown = ops
      .map((op) => ({ op, ...func.ops[op] }))
      .filter((op) => op.scalar === undefined || op.results.some((value) => results.has(value)));
    for (const { op, results: values, operands } of shown) {
      const node = this.#addOp(op);
      for (const value of values) this.#nodeOf.set(value, node);
      for (const value of operands) this.#uses.set(value, (this.#uses.get(value) ?? 0) + 1);
    }
    for (const { results: values, operands } of shown) {
      const read = [...new Set(operands)].filter((value) => !index.scalars.has(value));
      this.#addOperands(read, this.#nodeOf.get(values[0]) ?? 0);
    }
    const written = new Map<number, number[]>();
    func.results.forEach((value, number) => {
      const from = this.#stored.has(value) ? this.#nodeOf.get(value) : undefined;
      if (from !== undefined) written.set(from, [...(written.get(from) ?? []), number]);
    });
    for (const [from, numbers] of written) this.#addResults(from, numbers);
  }

  #addOp(position: number): number {
    const { func, scalars } = this.#index;
    const op = func.ops[position];
    const node = this.nodes.push({
      kind: 'op',
      ops: [position],
      family: familyOf(op.opcode),
      label: labelOf(op, scalars),
      type:
        op.results.length > 2
          ? `${op.results.length} results`
          : op.results.map((value) => func.values[value].type).join(', '),
      title: op.text,
      stored: op.results.some((value) => this.#stored.has(value)),
    });
    return node - 1;
  }

  /**
   * What is read is drawn once for each op that uses it, and so is a value with many uses: parts that share nothing
   * else stay apart, such as the updates of all parameters by one rate.
   */
  #addOperands(values: readonly number[], to: number): void {
    const isNamed = (value: number): boolean => !this.#nodeOf.has(value) || (this.#uses.get(value) ?? 0) > mostEdges;
    const named = values.filter(isNamed);
    for (const value of values) {
      const from = this.#nodeOf.get(value);
      if (from !== undefined && !isNamed(value)) this.edges.push({ from, to, title: this.#titleOf(value) });
    }
    if (named.length > mostNames) this.#addNames(named, to);
    else for (const value of named) this.edges.push({ from: this.#addName(value), to, title: this.#titleOf(value) });
  }

  #addName(value: number): number {
    const { func, producers } = this.#index;
    const producer = producers.get(value);
    const isOwn = this.#nodeOf.has(value);
    const origin = isOwn ? 'computed in this box' : producer === undefined ? 'an input' : 'read from memory';
    const node = this.nodes.push({
      kind: isOwn ? 'shared' : 'read',
      ops: producer === undefined ? [] : [producer],
      family: 'other',
      label: func.values[value].name,
      title: `${this.#titleOf(value)}, ${origin}`,
      stored: false,
    });
    return node - 1;
  }

  /** One node for all operands of an op that has many, such as a call. */
  #addNames(values: readonly number[], to: number): void {
    const title = this.#listOf(values);
    const label = `${values.length} values`;
    const from = this.nodes.push({ kind: 'read', ops: [], family: 'other', label, title, stored: false }) - 1;
    this.edges.push({ from, to, title });
  }

  /** The results of the function that an op computes. */
  #addResults(from: number, numbers: readonly number[]): void {
    const { results } = this.#index.func;
    const groups = numbers.length > mostNames ? [numbers] : numbers.map((number) => [number]);
    for (const group of groups) {
      const label = group.length === 1 ? `result ${group[0]}` : `${group.length} results`;
      const title = this.#listOf(group.map((number) => results[number]));
      const node = {
        kind: 'result',
        ops: [],
        family: 'other',
        label,
        title: `${label}: ${title}`,
        stored: false,
      } as const;
      this.edges.push({ from, to: this.nodes.push(node) - 1, title });
    }
  }

  #listOf(values: readonly number[]): string {
    const shown = values.slice(0, mostListed).map((value) => this.#titleOf(value));
    const rest = values.length - shown.length;
    return [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n');
  }

  #titleOf(value: number): string {
    const { name, type } = this.#index.func.values[value];
    return `${name}: ${type}`;
  }
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
