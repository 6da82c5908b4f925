/**
 * Recognises row kernels with contractions, such as attention: parallel loops around the body of a row, in which some
 * inner loops are contractions whose right factor is the same for all rows. Their rows can be computed in blocks, one
 * phase after the other for all rows of the block:
 *
 *     parallel b { parallel i { parallel j { reduce d {q[b,i,d] * k[b,j,d]} ...; store s[j] }      contraction
 *                               reduce j {load s[j]} -> %m; ...; store p[j]                        rows
 *                               parallel d { reduce j {p[j] * v[b,j,d]} ...; store o[b,i,d] } } }  contraction
 *
 * What a row keeps in scratch memory is kept for each row of the block, and so are values that one phase hands to
 * another. The position on the row axis becomes `$block + $slot`: the first row of the block and the row within it.
 */
import { ceilDivDims, type Dim, isStatic, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { internalError } from '../../../base/error.ts';
import type {
  Axis,
  IndexExpression,
  Kernel,
  KernelNode,
  KernelScratch,
  Let,
  Loop,
  ScalarId,
} from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { placeFactors, productsOf, sumsOfProducts } from '../../common/products.ts';
import type { Unit } from '../../common/units.ts';
import { definitionsOf, freeValues, mapIndices, valueDTypes, walk } from '../../common/walk.ts';
import { type Contraction, leastProducts, mayBeColumn } from '../contraction/match.ts';

/** Names of the axes that the row axis is replaced by. */
export const firstAxis = '$block';
export const slotAxis = '$slot';

/** Scratch elements that the rows of a block should take, about: they stay in the cache with the right factors. */
const blockElements = 1 << 15;
const mostRows = 16;

export type Phase =
  | { readonly kind: 'contraction'; readonly contraction: Contraction }
  /** Runs for each row of the block. */
  | { readonly kind: 'rows'; readonly nodes: readonly KernelNode[] };

export interface RowKernel {
  readonly row: Axis;
  /** The other parallel axes, outermost first. */
  readonly outer: readonly Axis[];
  /** Rows of a block: a multiple of those of a register tile. */
  readonly rows: number;
  readonly phases: readonly Phase[];
  /** Scratch memory for one row: its size is also the distance from row to row. */
  readonly arrays: readonly KernelScratch[];
}

/** What of a kernel the match depends on. */
export interface RowContext {
  readonly kernel: Kernel;
  /** Memory that the kernel stores to. */
  readonly written: ReadonlySet<string>;
  /** Makes names of scratch arrays unique in the module. */
  readonly prefix: string;
}

/** The row kernel that a unit is, if it is one. */
export function matchRows({ lets, nodes }: Unit, context: RowContext): RowKernel | undefined {
  const loops: Loop[] = [];
  let body: readonly KernelNode[] = nodes;
  while (body.length === 1 && body[0].kind === 'loop' && body[0].mode === 'parallel') {
    loops.push(body[0]);
    body = body[0].body;
  }
  if (body.length < 2 || !body.some(mayContract) || body.some((node) => node.kind === 'sort')) return undefined;
  const axes = loops.map((loop) => loop.axis);
  let best: Fission | undefined;
  for (const row of axes) {
    const fission = new Fission(row, axes, lets, body, context);
    if (fission.products >= Math.max(leastProducts, best?.products ?? 0)) best = fission;
  }
  return best?.finish();
}

const mayContract = (node: KernelNode): boolean =>
  node.kind === 'loop' && node.body.some((inner) => inner.kind === 'reduce' && inner.order === 'blocks');

/** The body of a row taken apart, with one of the axes as the row. */
class Fission {
  readonly row: Axis;
  readonly outer: readonly Axis[];
  readonly context: RowContext;
  /** Multiplications of its contractions, about. */
  readonly products: number;
  readonly #dtypes: ReadonlyMap<ScalarId, DType>;
  readonly #phases: readonly Phase[];
  /** Arrays that hold the scratch memory of the kernel. */
  readonly #scratch: readonly KernelScratch[];
  /** Row values that are computed again wherever they are needed, in order. */
  readonly #plain: readonly Let[];
  /** Loads that give a row value in other phases than its own, by the value. */
  readonly #reloads: ReadonlyMap<ScalarId, Let>;

  constructor(
    row: Axis,
    axes: readonly Axis[],
    lets: readonly Let[],
    body: readonly KernelNode[],
    context: RowContext,
  ) {
    this.row = row;
    this.outer = axes.filter((axis) => axis !== row);
    this.context = context;
    this.#dtypes = valueDTypes([...lets, ...body]);
    const arrays = rowArrays(body, context);
    this.#scratch = [...arrays.values()];
    const nodes = this.#inBlock([...lets, ...body], arrays);
    this.#plain = plainLets(nodes, this.#changing());
    const plain = new Set<KernelNode>(this.#plain);
    const rest = nodes.filter((node) => !plain.has(node));
    this.#reloads = new Map(rest.flatMap(definitionsOf).map((id) => [id, this.#reload(id)]));
    this.#phases = this.#split(rest);
    this.products = this.#phases.reduce((sum, phase) => sum + (phase.kind === 'rows' ? 0 : this.#productsOf(phase)), 0);
  }

  #productsOf({ contraction: { column, sums } }: Extract<Phase, { kind: 'contraction' }>): number {
    return productsOf([...this.outer, this.row, column], sums);
  }

  /** Memory whose contents change while the kernel runs. */
  #changing(): ReadonlySet<string> {
    const { buffers } = this.context.kernel;
    const shared = buffers.flatMap(({ inPlaceOf }) => (inPlaceOf === undefined ? [] : [buffers[inPlaceOf].name]));
    return new Set([...this.context.written, ...shared, ...this.#scratch.map(({ name }) => name)]);
  }

  /** The nodes with the position on the row axis taken apart, and with scratch memory of their own for each row. */
  #inBlock(nodes: readonly KernelNode[], arrays: ReadonlyMap<string, KernelScratch>): readonly KernelNode[] {
    const position = { offset: 0, terms: [axisTerm(firstAxis), axisTerm(slotAxis)] };
    return renameMemory(mapIndices(nodes, new Map([[this.row.name, position]])), arrays);
  }

  #valueArray(id: ScalarId): string {
    return `${this.context.prefix}value${id}`;
  }

  #reload(id: ScalarId): Let {
    const index = { offset: 0, terms: [axisTerm(slotAxis)] };
    const dtype = this.#dtypes.get(id)!;
    return { kind: 'let', id, dtype, expression: { kind: 'load', memory: this.#valueArray(id), index } };
  }

  /** The phases, those of rows without what they need from others. */
  #split(nodes: readonly KernelNode[]): readonly Phase[] {
    const phases: Phase[] = [];
    let rows: KernelNode[] = [];
    const close = (): void => {
      if (rows.length > 0) phases.push({ kind: 'rows', nodes: rows });
      rows = [];
    };
    for (const node of nodes) {
      const contraction = this.#contraction(node);
      if (!contraction) rows.push(node);
      else {
        close();
        phases.push({ kind: 'contraction', contraction });
      }
    }
    close();
    return phases;
  }

  #contraction(node: KernelNode): Contraction | undefined {
    if (node.kind !== 'loop' || node.mode !== 'parallel' || !mayBeColumn(node.axis)) return undefined;
    const { written } = this.context;
    const before = [...this.#reloads.values(), ...this.#plain];
    const found = sumsOfProducts(node.body, before, (memory) => !written.has(memory));
    const sums = found && placeFactors(found.sums, new Set([slotAxis]), new Set([node.axis.name]));
    if (!found || !sums || sums.some(({ right }) => right.axes.has(firstAxis))) return undefined;
    const outside = new Set<KernelNode>(before);
    const isOutside = (inner: KernelNode): inner is Let => outside.has(inner);
    return {
      sums,
      row: { name: slotAxis, extent: this.row.extent },
      column: node.axis,
      outer: [...this.outer, { name: firstAxis, extent: this.row.extent }],
      lets: found.epilogue.filter(isOutside),
      epilogue: found.epilogue.filter((inner) => !isOutside(inner)),
    };
  }

  finish(): RowKernel {
    const handed = new Set<ScalarId>();
    const needed = this.#phases.map((phase) => {
      const own = phase.kind === 'rows' ? this.#needsOf(phase.nodes) : letsOf(phase.contraction);
      for (const { id } of own) if (this.#reloads.has(id)) handed.add(id);
      return own;
    });
    const phases = this.#phases.map((phase, i): Phase => {
      if (phase.kind === 'contraction') return phase;
      const values = phase.nodes.flatMap(definitionsOf).filter((id) => handed.has(id));
      const stores = values.map((id): KernelNode => {
        const index = { offset: 0, terms: [axisTerm(slotAxis)] };
        return { kind: 'store', memory: this.#valueArray(id), index, value: id, combine: 'assign' };
      });
      return { kind: 'rows', nodes: [...needed[i], ...phase.nodes, ...stores] };
    });
    const values = [...handed].map((id) => ({ name: this.#valueArray(id), dtype: this.#dtypes.get(id)!, size: 1 }));
    const { row, outer } = this;
    return { row, outer, rows: this.#rows(), phases, arrays: [...this.#scratch, ...values] };
  }

  /** What a phase needs from outside: row values of other phases, and those computed wherever they are needed. */
  #needsOf(nodes: readonly KernelNode[]): readonly Let[] {
    const defined = new Set(nodes.flatMap(definitionsOf));
    const pending = nodes.flatMap((node) => [...freeValues(node)]);
    const needed = new Set<ScalarId>();
    const plain = new Map(this.#plain.map((node) => [node.id, node]));
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      if (needed.has(id) || defined.has(id)) continue;
      needed.add(id);
      const definition = plain.get(id);
      if (definition) pending.push(...freeValues(definition));
    }
    const all = [...this.#reloads.values(), ...this.#plain];
    return all.filter(({ id }) => needed.has(id));
  }

  #rows(): number {
    const elements = this.#scratch.reduce((sum, { size }) => sum + likelyExtent(size), 0);
    const most = Math.max(4 * Math.floor(Math.min(blockElements / Math.max(elements, 1), mostRows) / 4), 4);
    const { extent } = this.row;
    const blocks = isStatic(extent) ? Math.max(Math.ceil(extent / most), 1) : 1;
    return isStatic(extent) ? 4 * Math.ceil(extent / blocks / 4) : most;
  }
}

const axisTerm = (axis: string): IndexExpression['terms'][number] => ({
  coefficient: 1,
  factor: { kind: 'axis', axis },
});

/** What the arrays of scratch memory that some nodes use become in a block. */
function rowArrays(nodes: readonly KernelNode[], { kernel, prefix }: RowContext): ReadonlyMap<string, KernelScratch> {
  const stored = new Set([...walk(nodes)].map((node) => (node.kind === 'store' ? node.memory : undefined)));
  const used = kernel.scratch.filter(({ name }) => stored.has(name));
  return new Map(
    used.map(({ name, dtype, size }) => [name, { name: prefix + name, dtype, size: padded(size) }] as const),
  );
}

/** Elements of a row whose neighbours begin at vectors, and which vectors may be stored to whole. */
const padded = (size: Dim): Dim => (isStatic(size) ? 4 * Math.ceil(size / 4) : mulDims(ceilDivDims(size, 4), 4));

/** Lets that are the same wherever in the row they are computed. */
function plainLets(nodes: readonly KernelNode[], changing: ReadonlySet<string>): readonly Let[] {
  const plain = new Map<ScalarId, Let>();
  for (const node of nodes) {
    if (node.kind !== 'let') continue;
    const { expression } = node;
    if (expression.kind === 'load' && changing.has(expression.memory)) continue;
    if ([...freeValues(node)].every((id) => plain.has(id))) plain.set(node.id, node);
  }
  return [...plain.values()];
}

const letsOf = ({ sums, lets }: Contraction): readonly Let[] => [
  ...lets,
  ...sums.flatMap(({ left, right }) => [...left.lets, ...right.lets]),
];

/** Memory under other names, with the position of the row in the block added to its indices. */
function renameMemory(nodes: readonly KernelNode[], arrays: ReadonlyMap<string, KernelScratch>): readonly KernelNode[] {
  const shifted = (index: IndexExpression, { size }: KernelScratch): IndexExpression => ({
    ...index,
    terms: [...index.terms, { coefficient: size, factor: { kind: 'axis', axis: slotAxis } }],
  });
  return nodes.map((node): KernelNode => {
    if (node.kind === 'loop' || node.kind === 'reduce') return { ...node, body: renameMemory(node.body, arrays) };
    if (node.kind === 'store') {
      const array = arrays.get(node.memory);
      return array ? { ...node, memory: array.name, index: shifted(node.index, array) } : node;
    }
    if (node.kind === 'sort') throw internalError('a row kernel with contractions sorts nothing');
    const { expression } = node;
    const array = expression.kind === 'load' ? arrays.get(expression.memory) : undefined;
    if (!array || expression.kind !== 'load') return node;
    return { ...node, expression: { ...expression, memory: array.name, index: shifted(expression.index, array) } };
  });
}
