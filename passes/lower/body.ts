/**
 * Building the body of a kernel. Every scalar is placed in the outermost loop in which all it depends on is known, so
 * that what belongs to a row is computed once for the row, and equal expressions are computed once:
 *
 *     emit exp(x[i,j] - max[i])      parallel i { reduce r -> max(i)        placed by depending on i alone
 *                                      parallel j { load, subtract, exponential } }
 *
 * A `Scope` is a run of nodes under construction: a kernel's top level, the inside of a loop or of a reduce.
 */
import { type Dim, dimBounds } from '../../base/dim.ts';
import { computeDType, type DType, isFloat, isHalf } from '../../base/dtype.ts';
import { internalError } from '../../base/error.ts';
import { roundFloat } from '../../base/half.ts';
import {
  type Accumulator,
  type Axis,
  type Carried,
  type KernelNode,
  type Let,
  type Loop,
  reductionBlock,
  type ScalarExpression,
  type ScalarId,
  type ScalarOpcode,
  type Sort,
  type Store,
  type SumOrder,
} from '../../ir/kernel.ts';
import type { CompareDirection } from '../../ir/opcodes.ts';
import { type Index, IndexAlgebra, zeroIndex } from './index-algebra.ts';

export interface Scope {
  readonly nodes: KernelNode[];
  readonly depth: number;
  readonly parent: Scope | undefined;
  /** Nothing but constants and sizes leaves this scope: the scheduler wants all of an operand in one place. */
  readonly closed: boolean;
}

/** Axes to be built as several: inner extents by axis name, outermost first. */
export type AxisSplits = ReadonlyMap<string, readonly Dim[]>;

export interface RunningRow {
  /** The scratch row. */
  readonly memory: string;
  readonly dtype: DType;
  readonly length: Dim;
  readonly opcode: 'add' | 'multiply';
  readonly identity: number;
}

interface Defined {
  readonly scope: Scope;
  readonly dtype: DType;
}

export class BodyBuilder {
  readonly algebra = new IndexAlgebra();
  readonly root: Scope = { nodes: [], depth: 0, parent: undefined, closed: false };
  readonly #splits: AxisSplits;
  readonly #axisScopes = new Map<string, Scope>();
  readonly #values: Defined[] = [];
  readonly #known = new Map<string, ScalarId>();
  readonly #open = new Set<Scope>([this.root]);
  #current: Scope = this.root;
  /** Reductions go no further out than this. */
  #floor: Scope = this.root;
  #axisCount = 0;

  readonly #rounds: boolean;

  /**
   * @param precision `strict` rounds what is computed of floats of 16 bits, `fast` only what is converted and stored
   */
  constructor(splits: AxisSplits = new Map(), precision: 'fast' | 'strict' = 'strict') {
    this.#splits = splits;
    this.#rounds = precision === 'strict';
  }

  get current(): Scope {
    return this.#current;
  }

  dtypeOf(id: ScalarId): DType {
    return this.#values[id].dtype;
  }

  /** Whether a value can be used where building is now. */
  isVisible(id: ScalarId): boolean {
    return this.#open.has(this.#values[id].scope);
  }

  constant(of: DType, exact: number): ScalarId {
    const [dtype, value] = [computeDType(of), isHalf(of) ? roundFloat(of, exact) : exact];
    return this.#let(dtype, { kind: 'constant', value }, `${dtype} ${Object.is(value, -0) ? '-0' : value}`, this.root);
  }

  size(of: DType, size: Dim): ScalarId {
    if (typeof size === 'number') return this.constant(of, size);
    const dtype = computeDType(of);
    return this.#roundedTo(of, this.#let(dtype, { kind: 'size', size }, `${dtype} size ${size}`, this.root));
  }

  /** An index as an int32 scalar. */
  index(index: Index): ScalarId {
    if (index.isConstant) return this.size('int32', index.offset);
    const expression: ScalarExpression = { kind: 'index', index: index.toExpression() };
    return this.#let('int32', expression, `index ${index.key}`, this.#scopeOfIndex(index));
  }

  /** @param within the scope in which memory is filled, for what the kernel itself writes */
  load(
    stored: DType,
    memory: string,
    index: Index,
    when?: ScalarId,
    otherwise = 0,
    within: Scope = this.root,
  ): ScalarId {
    const dtype = computeDType(stored);
    const scope = when === undefined ? within : deeper(within, this.#values[when].scope);
    const target = deeper(this.#scopeOfIndex(index), scope);
    const condition = when === undefined ? {} : { when, otherwise };
    const expression: ScalarExpression = { kind: 'load', memory, index: index.toExpression(), ...condition };
    return this.#let(dtype, expression, `load ${memory} ${index.key} ${when ?? ''} ${otherwise}`, target);
  }

  /** An op of the Tensor IR on scalars, whose result has the dtype `of`. */
  apply(of: DType, opcode: ScalarOpcode, operands: readonly ScalarId[], direction?: CompareDirection): ScalarId {
    const dtype = computeDType(of);
    const isConversion = opcode === 'convert';
    const isSame = isConversion && this.dtypeOf(operands[0]) === dtype && dtype === 'float32';
    const result = isSame ? operands[0] : this.#apply(dtype, opcode, operands, direction);
    return isConversion || (this.#rounds && !keepsHalves.has(opcode)) ? this.#roundedTo(of, result) : result;
  }

  /** What an op computes, rounded to its dtype where ops round. */
  computed(dtype: DType, id: ScalarId): ScalarId {
    return this.#rounds ? this.#roundedTo(dtype, id) : id;
  }

  /** A float32 rounded to what a float of 16 bits holds; of any other dtype the value itself. */
  #roundedTo(dtype: DType, id: ScalarId): ScalarId {
    return isHalf(dtype) ? this.#apply('float32', `round_${dtype}`, [id]) : id;
  }

  #apply(dtype: DType, opcode: ScalarOpcode, operands: readonly ScalarId[], direction?: CompareDirection): ScalarId {
    let scope = this.root;
    for (const operand of operands) scope = deeper(scope, this.#values[operand].scope);
    const expression: ScalarExpression = { kind: 'apply', opcode, operands, ...(direction && { direction }) };
    return this.#let(dtype, expression, `${dtype} ${opcode} ${direction ?? ''} ${operands.join(' ')}`, scope);
  }

  /** `a` and `b`, where an absent one holds always. */
  both(a: ScalarId | undefined, b: ScalarId | undefined): ScalarId | undefined {
    if (a === undefined || b === undefined || a === b) return a ?? b;
    return this.apply('bool', 'and', [a, b]);
  }

  store(node: Omit<Store, 'kind' | 'index'> & { readonly index: Index }): void {
    this.#current.nodes.push({ ...node, kind: 'store', index: node.index.toExpression() });
  }

  /**
   * Builds loops around what `body` adds, one inside the other, or with `together` as one scope. Axes of size 1 need no
   * loop; with `always` there is one all the same, and reductions inside stay inside.
   */
  loops(
    mode: Loop['mode'],
    extents: readonly Dim[],
    body: (indices: readonly Index[]) => void,
    options: { readonly together?: boolean; readonly always?: boolean } = {},
  ): void {
    const prefix = mode === 'parallel' ? 'i' : 's';
    const made = extents.map((extent) =>
      extent === 1 ? { axes: [], index: zeroIndex } : this.#newAxes(prefix, extent),
    );
    const axes = made.flatMap((entry) => entry.axes);
    if (axes.length === 0 && options.always) axes.push(...this.#newAxes(prefix, 1).axes);
    const groups = options.together && axes.length > 0 ? [axes] : axes.map((axis) => [axis]);
    const scopes = groups.map((group) => this.#enter(group, false));
    const floor = this.#floor;
    if (options.always) this.#floor = scopes[0];
    body(made.map((entry) => entry.index));
    this.#floor = floor;
    for (const group of groups.reverse()) {
      const inner = scopes.pop();
      if (!inner) throw internalError('loops do not close in the order they were opened');
      this.#leave(inner);
      const nest = group.reduceRight<readonly KernelNode[]>(
        (nodes, axis) => [{ kind: 'loop', mode, axis, body: nodes }],
        inner.nodes,
      );
      this.#current.nodes.push(...nest);
    }
  }

  /**
   * Builds a reduce in the outermost scope in which `outer` is known.
   * @param body adds the value to combine, given the indices on the reduce axes
   */
  reduce(
    extents: readonly Dim[],
    outer: { readonly indices: readonly Index[]; readonly when: ScalarId | undefined },
    details: {
      readonly order: SumOrder;
      readonly kind: Accumulator['kind'] & string;
      readonly dtype: DType;
      closed?: boolean;
    },
    body: (indices: readonly Index[]) => ScalarId,
  ): ScalarId {
    if (details.kind === 'tuple') throw internalError('tuple accumulators are not built from single values');
    let target = outer.when === undefined ? this.#floor : deeper(this.#floor, this.#values[outer.when].scope);
    for (const index of outer.indices) target = deeper(target, this.#scopeOfIndex(index));
    target = this.#placed(target, false);
    const made = extents.map((extent) => this.#newAxes('r', extent, details.order === 'blocks'));
    const before = this.#current;
    this.#current = target;
    const axes = made.flatMap((entry) => entry.axes);
    const scope = this.#enter(axes, details.closed ?? false);
    const value = body(made.map((entry) => entry.index));
    this.#leave(scope);
    this.#current = before;
    const dtype = computeDType(details.dtype);
    const result = this.#define(dtype, target);
    target.nodes.push({
      kind: 'reduce',
      axes,
      body: scope.nodes,
      accumulators: [{ kind: details.kind, result, dtype, value }],
      order: details.order,
    });
    const isComputed = details.kind === 'sum' || details.kind === 'product';
    return isComputed ? this.computed(details.dtype, result) : result;
  }

  /** Builds parallel loops in the outermost scope in which `outer` is known, ahead of whatever is being built. */
  loopsWithin(outer: readonly Index[], extents: readonly Dim[], body: (indices: readonly Index[]) => void): void {
    let target = this.#floor;
    for (const index of outer) target = deeper(target, this.#scopeOfIndex(index));
    const before = this.#current;
    this.#current = target;
    this.loops('parallel', extents, body);
    this.#current = before;
  }

  /**
   * Sorts a row in the outermost scope in which `outer` is known, ahead of whatever is being built.
   * @param fill adds the store of a key, given the index in the row
   * @returns the scope of the sort
   */
  sort(node: Sort, outer: readonly Index[], fill: (index: Index) => void): Scope {
    let scope = this.#floor;
    for (const index of outer) scope = deeper(scope, this.#scopeOfIndex(index));
    this.loopsWithin(outer, [node.length], ([index]) => fill(index));
    scope.nodes.push(node);
    return scope;
  }

  /**
   * Fills a scratch row with running combinations, in the outermost scope in which `outer` is known. Blocks of
   * `reductionBlock` elements start over: what was before them is combined with what is in them.
   * @param element adds the element to combine, given the index in the row
   * @returns the scope of the row
   */
  running(
    { memory, dtype, length, opcode, identity }: RunningRow,
    outer: readonly Index[],
    element: (index: Index) => ScalarId,
  ): Scope {
    let target = this.#floor;
    for (const index of outer) target = deeper(target, this.#scopeOfIndex(index));
    const before = this.#current;
    this.#current = target;
    const initial = this.constant(dtype, identity);
    const { axes, index } = this.#newAxes('s', length, false);
    const scope = this.#enter(axes, false);
    const define = (): ScalarId => this.#define(dtype, scope);
    const inner = define();
    const value = element(index);
    const carried: Carried[] = [];
    let result: ScalarId;
    if (!isFloat(dtype) || dimBounds(length)[1] <= reductionBlock) {
      result = this.apply(dtype, opcode, [inner, value]);
      carried.push({ id: inner, dtype, initial, next: result });
    } else {
      const blocks = define();
      const place = this.index(this.algebra.modulo(index, reductionBlock));
      const starts = this.apply('bool', 'compare', [place, this.constant('int32', 0)], 'EQ');
      const whole = this.apply(dtype, opcode, [blocks, inner]);
      const base = this.apply(dtype, 'select', [starts, whole, blocks]);
      const fresh = this.apply(dtype, 'select', [starts, initial, inner]);
      const next = this.apply(dtype, opcode, [fresh, value]);
      result = this.apply(dtype, opcode, [base, next]);
      carried.push({ id: blocks, dtype, initial, next: base }, { id: inner, dtype, initial, next });
    }
    this.store({ memory, index, value: result, combine: 'assign' });
    this.#leave(scope);
    this.#current = before;
    target.nodes.push({
      kind: 'loop',
      mode: 'sequential',
      axis: axes[0],
      body: scope.nodes,
      carried,
    });
    return target;
  }

  /** Whether what stands in a scope can be used where building is now. */
  isOpen(scope: Scope): boolean {
    return this.#open.has(scope);
  }

  #newAxes(prefix: string, extent: Dim, splittable = true): { readonly axes: readonly Axis[]; readonly index: Index } {
    const name = `${prefix}${this.#axisCount++}`;
    const inner = splittable ? this.#splits.get(name) : undefined;
    if (!inner) return { axes: [{ name, extent }], index: this.algebra.axis(name, extent) };
    const axes = inner.map((part, at): Axis => ({ name: `${name}_${at}`, extent: part }));
    const indices = axes.map((axis) => this.algebra.axis(axis.name, axis.extent));
    return { axes, index: this.algebra.linearize(indices, inner) };
  }

  #enter(axes: readonly Axis[], closed: boolean): Scope {
    const scope: Scope = { nodes: [], depth: this.#current.depth + 1, parent: this.#current, closed };
    for (const axis of axes) this.#axisScopes.set(axis.name, scope);
    this.#open.add(scope);
    this.#current = scope;
    return scope;
  }

  #leave(scope: Scope): void {
    if (this.#current !== scope || !scope.parent)
      throw internalError('scopes do not close in the order they were opened');
    this.#open.delete(scope);
    this.#current = scope.parent;
  }

  #scopeOfIndex(index: Index): Scope {
    let scope = this.root;
    index.visitLeaves((leaf) => {
      const own = leaf.kind === 'axis' ? this.#axisScopes.get(leaf.axis) : this.#values[leaf.id].scope;
      if (!own) throw internalError(`axis ${leaf.kind === 'axis' ? leaf.axis : leaf.id} is not open`);
      scope = deeper(scope, own);
    });
    return scope;
  }

  /** The scope in which something goes that could stand in `scope`. */
  #placed(scope: Scope, mayLeave: boolean): Scope {
    if (mayLeave) return scope;
    for (let at: Scope | undefined = this.#current; at && at !== scope; at = at.parent) {
      if (at.closed && scope !== this.root) return at;
    }
    return scope;
  }

  #let(dtype: DType, expression: ScalarExpression, key: string, scope: Scope): ScalarId {
    const known = this.#known.get(key);
    if (known !== undefined && this.isVisible(known)) return known;
    const target = this.#placed(scope, scope === this.root);
    const id = this.#define(dtype, target);
    const node: Let = { kind: 'let', id, dtype, expression };
    target.nodes.push(node);
    this.#known.set(key, id);
    return id;
  }

  #define(dtype: DType, scope: Scope): ScalarId {
    return this.#values.push({ scope, dtype }) - 1;
  }
}

/** Ops whose results are floats of 16 bits where their operands are. */
const keepsHalves: ReadonlySet<ScalarOpcode> = new Set<ScalarOpcode>([
  'abs',
  'negate',
  'sign',
  'floor',
  'ceil',
  'round_nearest_even',
  'maximum',
  'minimum',
  'select',
]);

const deeper = (a: Scope, b: Scope): Scope => (a.depth >= b.depth ? a : b);
