/**
 * Scratch rows that take turns in the same memory. Within one iteration of the outer loops the phases of a row run one
 * after the other; a row whose last reader has run is free for the next, and so is one that is read, element by
 * element, by the very loop that fills the next:
 *
 *     parallel j { store s0[j] = score }; reduce j { load s0[j] } -> m
 *     parallel j { load s0[j]; store s1[j] = exp(score - m) }              s1 may be s0
 */
import { equalDims } from '../../base/dim.ts';
import type { IndexExpression, Kernel, KernelNode, KernelScratch, Sort } from '../../ir/kernel.ts';
import { forEachNode, indexText } from './loops.ts';

interface Life {
  readonly scratch: KernelScratch;
  /** First and last phase that touches it. */
  readonly first: number;
  readonly last: number;
  /** How the first and the last phase touch it, where that is element by element. */
  readonly filled: Elements | undefined;
  readonly read: Elements | undefined;
}

/** Accesses of a loop to the one element of each iteration: its index, and their places in the body of the loop. */
interface Elements {
  readonly index: string;
  readonly places: readonly number[];
}

/** The kernel with as few scratch rows as its phases need. */
export function shareScratch(kernel: Kernel): Kernel {
  if (kernel.scratch.length < 2) return kernel;
  const names = new Map<string, string>();
  const shared: KernelScratch[] = [];
  for (const phases of rowBodies(kernel.body)) assign(phases, kernel.scratch, names, shared);
  const isComplete = kernel.scratch.every(({ name }) => names.has(name));
  if (!isComplete || shared.length === kernel.scratch.length) return kernel;
  return { ...kernel, scratch: shared, body: rename(kernel.body, names) };
}

/** The innermost runs of nodes that hold all phases of a row: several nodes, or one that is no loop. */
function rowBodies(nodes: readonly KernelNode[]): readonly (readonly KernelNode[])[] {
  return nodes.flatMap((node) => {
    if (node.kind !== 'loop') return [];
    let rows = node.body;
    for (let [only] = rows; rows.length === 1 && only.kind === 'loop'; [only] = rows) rows = only.body;
    return [rows];
  });
}

/** Finds a place for each row that some phases touch: that of an earlier one, or a new one at the end of `shared`. */
function assign(
  phases: readonly KernelNode[],
  scratch: readonly KernelScratch[],
  names: Map<string, string>,
  shared: KernelScratch[],
): void {
  const lives = livesIn(phases, scratch).sort((a, b) => a.first - b.first);
  const open: { readonly name: string; life: Life }[] = [];
  for (const life of lives) {
    const { name: own, dtype, size } = life.scratch;
    const free = open.find(
      ({ life: before }) =>
        before.scratch.dtype === dtype && equalDims(before.scratch.size, size) && mayFollow(before, life),
    );
    if (free) {
      free.life = life;
      names.set(own, free.name);
      continue;
    }
    const name = `s${shared.length}`;
    shared.push({ ...life.scratch, name });
    open.push({ name, life });
    names.set(own, name);
  }
}

function mayFollow(before: Life, next: Life): boolean {
  if (before.last < next.first) return true;
  const { read } = before;
  const { filled } = next;
  if (before.last !== next.first || !read || !filled) return false;
  return read.index === filled.index && Math.max(...read.places) < Math.min(...filled.places);
}

function livesIn(phases: readonly KernelNode[], scratch: readonly KernelScratch[]): Life[] {
  return scratch.flatMap((row): Life[] => {
    const touched = phases.flatMap((phase, at) => (touches(phase, row.name) ? [at] : []));
    const [first] = touched;
    const last = touched.at(-1);
    if (first === undefined || last === undefined) return [];
    const elements = (at: number): Elements | undefined => elementsOf(phases[at], row.name);
    return [{ scratch: row, first, last, filled: elements(first), read: elements(last) }];
  });
}

function touches(phase: KernelNode, name: string): boolean {
  let found = false;
  forEachNode([phase], (node) => {
    found ||= accessOf(node, name) !== undefined || sortsIn(node, name);
  });
  return found;
}

const sortsIn = (node: KernelNode, name: string): boolean =>
  node.kind === 'sort' && (node.keys === name || node.values === name || node.positions === name);

/** The index at which a node loads from a row or stores to it. */
function accessOf(node: KernelNode, name: string): IndexExpression | undefined {
  if (node.kind === 'store') return node.memory === name ? node.index : undefined;
  if (node.kind !== 'let' || node.expression.kind !== 'load') return undefined;
  return node.expression.memory === name ? node.expression.index : undefined;
}

/**
 * All accesses of a loop to a row, if each stands in the loop itself and touches the element of its iteration alone.
 */
function elementsOf(phase: KernelNode, name: string): Elements | undefined {
  if (phase.kind !== 'loop' || phase.mode !== 'parallel') return undefined;
  const places: number[] = [];
  let index: string | undefined;
  for (const [place, node] of phase.body.entries()) {
    const access = accessOf(node, name);
    if (!access) {
      if (touches(node, name)) return undefined;
      continue;
    }
    const [term, ...others] = access.terms;
    const walks = term?.factor.kind === 'axis' && term.factor.axis === phase.axis.name && others.length === 0;
    const text = indexText(access);
    if (!walks || (index ?? text) !== text) return undefined;
    index = text;
    places.push(place);
  }
  return index === undefined ? undefined : { index, places };
}

function rename(nodes: readonly KernelNode[], names: ReadonlyMap<string, string>): KernelNode[] {
  return nodes.map((node): KernelNode => {
    if (node.kind === 'store') return { ...node, memory: names.get(node.memory) ?? node.memory };
    if (node.kind === 'sort') return renameSort(node, names);
    if (node.kind !== 'let') return { ...node, body: rename(node.body, names) };
    const { expression } = node;
    if (expression.kind !== 'load') return node;
    return { ...node, expression: { ...expression, memory: names.get(expression.memory) ?? expression.memory } };
  });
}

function renameSort(node: Sort, names: ReadonlyMap<string, string>): Sort {
  const { keys, values, positions } = node;
  return {
    ...node,
    keys: names.get(keys) ?? keys,
    ...(values !== undefined && { values: names.get(values) ?? values }),
    ...(positions !== undefined && { positions: names.get(positions) ?? positions }),
  };
}
