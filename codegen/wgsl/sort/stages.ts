/**
 * Sorts rows in stages: what comes before a sort, the sort, what comes after it. Scratch arrays of the rows become
 * arrays of the launch, which hand results from one stage to the next, and so do values that one phase computes for
 * another. What is no sort is left to the other schedules.
 *
 *     parallel i { %1 = reduce {...}; parallel j {... %1 ... store s0[j]}; sort s0 -> s1; parallel l {load s1[l] ...} }
 *     →  parallel i { reduce {...}; store v1[i] }
 *        parallel i { parallel j { %1 = load v1[i]; ... store s0[N*i + j] } }
 *        sort
 *        parallel i { parallel l { load s1[N*i + l] ... } }
 */
import { type Dim, dimBounds, equalDims, mulDims } from '../../../base/dim.ts';
import type { DType } from '../../../base/dtype.ts';
import { internalError } from '../../../base/error.ts';
import type { Axis, IndexExpression, KernelNode, Let, ScalarId, Sort } from '../../../ir/kernel.ts';
import { definitionsOf, walk, writtenBy } from '../../common/walk.ts';
import type { ScheduleContext, Stage } from '../schedule.ts';
import type { KeyOrder } from './keys.ts';
import { neededLets, nodesOf, type SortedRows } from './match.ts';
import { type Pairs, planRadix, type RowArray } from './radix.ts';
import { planInWorkgroup } from './workgroup.ts';

/** Rows up to this are sorted by one workgroup. */
export const longestInWorkgroup = 2048;

export function planInStages(sorted: SortedRows, context: ScheduleContext): readonly Stage[] {
  return new StagePlan(sorted, context).stages();
}

class StagePlan {
  readonly #sorted: SortedRows;
  readonly #context: ScheduleContext;
  /** Names of the launch arrays for scratch arrays and for values. */
  readonly #memory = new Map<string, string>();
  readonly #reloads: Let[] = [];

  constructor(sorted: SortedRows, context: ScheduleContext) {
    this.#sorted = sorted;
    this.#context = context;
  }

  stages(): readonly Stage[] {
    const { phases } = this.#sorted;
    return phases.flatMap((phase, at) => {
      if (phase.kind === 'sort') return this.#sort(phase.sort, phases.slice(at + 1).flatMap(nodesOf));
      if (phase.kind === 'once') return this.#once(phase.nodes);
      const { loop } = phase;
      const body = this.#renamed(loop.body);
      return this.#plan([{ ...loop, body: [...this.#lets(body), ...body] }]);
    });
  }

  #plan(nodes: readonly KernelNode[]): readonly Stage[] {
    const nest = [...this.#sorted.axes]
      .reverse()
      .reduce<readonly KernelNode[]>((body, axis) => [parallel(axis, body)], nodes);
    return this.#context.plan({ lets: [], nodes: nest });
  }

  #lets(nodes: readonly KernelNode[]): readonly Let[] {
    return neededLets([...this.#sorted.lets, ...this.#reloads], nodes);
  }

  /** What a row does once, and stores for values that later phases use. */
  #once(nodes: readonly KernelNode[]): readonly Stage[] {
    const { handed, rows } = this.#sorted;
    const defined = nodes.flatMap(definitionsOf).filter((id) => handed.includes(id));
    const body = this.#renamed(nodes);
    const lets = this.#lets(body);
    const stores = defined.map((id): KernelNode => {
      const dtype = this.#context.facts.dtypes.get(id) ?? 'float32';
      const memory = this.#context.arrays.allocate(`value${id}`, dtype, rows);
      const index = this.#inRow({ offset: 0, terms: [] }, 1);
      this.#reloads.push({ kind: 'let', id, dtype, expression: { kind: 'load', memory, index } });
      return { kind: 'store', memory, index, value: id, combine: 'assign' };
    });
    return this.#plan([...lets, ...body, ...stores]);
  }

  /** The index of an element of the row's part of an array. */
  #inRow(index: IndexExpression, size: Dim): IndexExpression {
    const terms = [...index.terms];
    let stride = size;
    for (const { name, extent } of [...this.#sorted.axes].reverse()) {
      terms.push({ coefficient: stride, factor: { kind: 'axis', axis: name } });
      stride = mulDims(stride, extent);
    }
    return { offset: index.offset, terms };
  }

  /** The nodes with launch arrays for scratch arrays. */
  #renamed(nodes: readonly KernelNode[]): readonly KernelNode[] {
    return nodes.map((node): KernelNode => {
      if (node.kind === 'loop' || node.kind === 'reduce') return { ...node, body: this.#renamed(node.body) };
      if (node.kind === 'store') return { ...node, ...this.#place(node.memory, node.index) };
      if (node.kind === 'sort') throw internalError('a sort inside a loop of its row');
      const { expression } = node;
      if (expression.kind !== 'load') return node;
      return { ...node, expression: { ...expression, ...this.#place(expression.memory, expression.index) } };
    });
  }

  #place(memory: string, index: IndexExpression): { readonly memory: string; readonly index: IndexExpression } {
    const array = this.#context.scratchArrays.get(memory);
    if (!array) return { memory, index };
    return { memory: this.#arrayOf(memory), index: this.#inRow(index, array.size) };
  }

  #scratch(name: string): { readonly dtype: DType; readonly size: Dim } {
    const array = this.#context.scratchArrays.get(name);
    if (!array) throw internalError(`${name} is no scratch array`);
    return array;
  }

  /** The launch array for a scratch array. */
  #arrayOf(name: string): string {
    const known = this.#memory.get(name);
    if (known !== undefined) return known;
    const { dtype, size } = this.#scratch(name);
    const array = this.#context.arrays.allocate(name, dtype, mulDims(size, this.#sorted.rows));
    this.#memory.set(name, array);
    return array;
  }

  #rowArray(name: string | undefined): RowArray | undefined {
    if (name === undefined) return undefined;
    const { start } = this.#context.arrays.get(this.#arrayOf(name));
    return { start, size: this.#scratch(name).size };
  }

  #sort(sort: Sort, later: readonly KernelNode[]): readonly Stage[] {
    const inWorkgroup = dimBounds(sort.length)[1] <= longestInWorkgroup && this.#sortInWorkgroup(sort);
    if (inWorkgroup) return [inWorkgroup];
    const { rows } = this.#sorted;
    const { scratch } = this.#context;
    const { keys, values, positions, length, count, direction } = sort;
    const { dtype, size } = this.#scratch(keys);
    const order: KeyOrder = { dtype, direction, isTagged: positions !== undefined };
    const elements = this.#rowArray(keys);
    if (!elements) throw internalError('a sort without keys');
    // The elements' own memory is room for pairs once the first pass has read them.
    const isFree = equalDims(size, length) && !isTouched(later, keys);
    const words = mulDims(rows, length);
    const newPairs = (given?: Dim): Pairs => ({
      keys: given ?? scratch.allocate(words),
      tags: order.isTagged ? scratch.allocate(words) : undefined,
    });
    return planRadix(
      {
        order,
        rows,
        length,
        count,
        elements,
        values: this.#rowArray(values),
        positions: this.#rowArray(positions),
        room: [newPairs(), newPairs(isFree ? elements.start : undefined)],
      },
      this.#context,
    );
  }

  /** One stage that copies rows into the memory of workgroups, sorts them there, and copies back what is asked for. */
  #sortInWorkgroup(sort: Sort): Stage | undefined {
    const next = { id: Math.max(-1, ...this.#context.facts.dtypes.keys()) + 1 };
    const copy = (name: string, extent: Dim, isBack: boolean): KernelNode => {
      const { dtype, size } = this.#scratch(name);
      const index: IndexExpression = {
        offset: 0,
        terms: [{ coefficient: 1, factor: { kind: 'axis', axis: 'element' } }],
      };
      const own = { memory: name, index };
      const launch = { memory: this.#arrayOf(name), index: this.#inRow(index, size) };
      const [from, to] = isBack ? [own, launch] : [launch, own];
      const id: ScalarId = next.id++;
      return parallel({ name: 'element', extent }, [
        { kind: 'let', id, dtype, expression: { kind: 'load', ...from } },
        { kind: 'store', ...to, value: id, combine: 'assign' },
      ]);
    };
    const { keys, values, positions, length, count } = sort;
    const back = [values, positions].filter((name) => name !== undefined).map((name) => copy(name, count, true));
    const loop = (node: KernelNode) => (node.kind === 'loop' ? [{ kind: 'loop', loop: node } as const] : []);
    const { axes, rows } = this.#sorted;
    const phases = [...loop(copy(keys, length, false)), { kind: 'sort', sort } as const, ...back.flatMap(loop)];
    return planInWorkgroup({ axes, rows, lets: [], phases, handed: [] }, this.#context);
  }
}

const parallel = (axis: Axis, body: readonly KernelNode[]): KernelNode => ({
  kind: 'loop',
  mode: 'parallel',
  axis,
  body,
});

const isTouched = (nodes: readonly KernelNode[], memory: string): boolean =>
  [...walk(nodes)].some(
    (node) =>
      (node.kind === 'let' && node.expression.kind === 'load' && node.expression.memory === memory) ||
      (node.kind === 'sort' && node.keys === memory) ||
      writtenBy(node).includes(memory),
  );
