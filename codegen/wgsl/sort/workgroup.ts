/**
 * Sorts rows that fit into the memory of a workgroup, with what comes before and after them: a bitonic network over
 * rows padded to a power of two (Batcher 1968), short rows several a workgroup. All comparisons of the network order
 * upwards: the first of each merge is a mirror image.
 *
 *     rows of 700    1024 keys, one row a workgroup        rows of 30    32 keys, 64 rows a workgroup
 */
import { ceilDivDims, type Dim, dimBounds, isStatic } from '../../../base/dim.ts';
import type { KernelNode, Sort } from '../../../ir/kernel.ts';
import { walk, writtenBy } from '../../common/walk.ts';
import { Body, type ScratchAccess } from '../body.ts';
import { type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import { fromWord, wordOf } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import { bindAxes } from '../threads.ts';
import { type KeyOrder, keyText, positionWord, tagText, valueText } from './keys.ts';
import { neededLets, nodesOf, type Phase, type SortedRows } from './match.ts';

/** Words of workgroup memory: what every adapter has. */
const mostWords = 4096;
/** Elements that a workgroup sorts at once, with several short rows. */
const wantedElements = 1024;

interface Plan {
  /** Elements of a row, padded to a power of two. */
  readonly width: number;
  /** Rows of a workgroup. */
  readonly together: number;
  /** The workgroup array in which each scratch array lies; arrays have `width * together` words. */
  readonly homes: ReadonlyMap<string, number>;
  readonly arrays: number;
  /** The array for the tags of a sort. */
  readonly tags: ReadonlyMap<Sort, number>;
}

const powerOfTwo = (least: number): number => 2 ** Math.ceil(Math.log2(Math.max(least, 2)));

/** One stage, or `undefined` where rows are too long or hand values from one phase to the next. */
export function planInWorkgroup(sorted: SortedRows, context: ScheduleContext): Stage | undefined {
  const plan = placeArrays(sorted, context);
  if (!plan) return undefined;
  return {
    workgroups: ceilDivDims(sorted.rows, plan.together),
    workgroupSize: usualWorkgroup,
    needsAllMemory: true,
    use: { vectorReads: new Set(), vectorWrites: new Set(), scalarWrites: storedBuffers(sorted.phases) },
    emit: (shader) => new RowSorter(shader, context, sorted, plan).text(),
  };
}

const storedBuffers = (phases: readonly Phase[]): ReadonlySet<string> =>
  new Set([...walk(phases.flatMap(nodesOf))].flatMap((node) => (node.kind === 'store' ? [node.memory] : [])));

function placeArrays({ rows, phases, handed }: SortedRows, { scratchArrays }: ScheduleContext): Plan | undefined {
  if (handed.length > 0) return undefined;
  const nodes = [...walk(phases.flatMap(nodesOf))];
  const used = new Set(nodes.flatMap((node) => writtenBy(node)).filter((name) => scratchArrays.has(name)));
  const longest = Math.max(1, ...[...used].map((name) => dimBounds(scratchArrays.get(name)?.size ?? 0)[1]));
  if (longest > mostWords) return undefined;
  const width = powerOfTwo(longest);
  const homes = new Map<string, number>();
  const tags = new Map<Sort, number>();
  let arrays = 0;
  const homeOf = (name: string): number => {
    const home = homes.get(name) ?? arrays++;
    homes.set(name, home);
    return home;
  };
  phases.forEach((phase, at) => {
    if (phase.kind !== 'sort') return;
    const { keys, values, positions } = phase.sort;
    const home = homeOf(keys);
    const later = phases.slice(at + 1).flatMap(nodesOf);
    if (values !== undefined && !homes.has(values)) {
      if (touches(later, keys)) homeOf(values);
      else homes.set(values, home);
    }
    if (positions !== undefined) tags.set(phase.sort, homeOf(positions));
  });
  for (const name of used) homeOf(name);
  if (arrays * width > mostWords) return undefined;
  const most = Math.min(wantedElements, 2 ** Math.floor(Math.log2(mostWords / arrays)));
  const rowsThere = isStatic(rows) ? powerOfTwo(rows) : most;
  return { width, together: rows === 1 ? 1 : Math.max(1, Math.min(most / width, rowsThere)), homes, arrays, tags };
}

const touches = (nodes: readonly KernelNode[], memory: string): boolean =>
  [...walk(nodes)].some(
    (node) =>
      (node.kind === 'let' && node.expression.kind === 'load' && node.expression.memory === memory) ||
      (node.kind === 'sort' && node.keys === memory) ||
      writtenBy(node).includes(memory),
  );

class RowSorter {
  readonly #body: Body;
  readonly #shader: Shader;
  readonly #context: ScheduleContext;
  readonly #sorted: SortedRows;
  readonly #plan: Plan;
  readonly #first: string;
  /** The row within the workgroup, where there are several. */
  #slot = '0';

  constructor(shader: Shader, context: ScheduleContext, sorted: SortedRows, plan: Plan) {
    this.#shader = shader;
    this.#context = context;
    this.#sorted = sorted;
    this.#plan = plan;
    this.#body = new Body(shader, context.facts);
    this.#first = this.#body.unique('first');
  }

  text(): string {
    const body = this.#body;
    const { together, homes } = this.#plan;
    if (this.#sorted.axes.length > 0) {
      body.line(`let ${this.#first} = i32(workgroup)${together === 1 ? '' : ` * ${together}`};`);
    }
    for (const [name, home] of homes) body.scratch.set(name, this.#access(name, home));
    this.#sorted.phases.forEach((phase, at) => {
      if (at > 0) body.line('workgroupBarrier();');
      if (phase.kind === 'sort') this.#sort(phase.sort);
      else if (phase.kind === 'loop') {
        const { axis, body: inside } = phase.loop;
        this.#forRows(axis.extent, axis.name, (index) => {
          body.axes.set(axis.name, index);
          this.#row(inside);
          body.axes.delete(axis.name);
        });
      } else this.#forRows(1, 'once', () => this.#row(phase.nodes));
    });
    return body.text;
  }

  #array(home: number): string {
    const { width, together, tags, homes } = this.#plan;
    const elements = width * together;
    const isTags = [...tags.values()].includes(home);
    const isKeys = this.#sorted.phases.some((phase) => phase.kind === 'sort' && homes.get(phase.sort.keys) === home);
    const name = `${isTags ? 'tags' : isKeys ? 'keys' : 'row'}${home}_${elements}`;
    return this.#shader.declare(name, `var<workgroup> ${name}: array<u32, ${elements}>;`);
  }

  /** The place of an element of the row. */
  #place(index: string): string {
    return this.#slot === '0' ? index : `${this.#slot} * ${this.#plan.width} + ${index}`;
  }

  #access(name: string, home: number): ScratchAccess {
    const dtype = this.#context.scratchArrays.get(name)?.dtype ?? 'float32';
    const array = this.#array(home);
    return {
      dtype: dtype === 'float16' || dtype === 'bfloat16' ? 'float32' : dtype,
      load: (index) => fromWord(dtype, `${array}[${this.#place(index)}]`),
      store: (index, value) => `${array}[${this.#place(index)}] = ${wordOf(dtype, value)};`,
    };
  }

  /** What the nodes of a phase need, and the nodes. */
  #row(nodes: readonly KernelNode[]): void {
    this.#body.nodes(neededLets(this.#sorted.lets, nodes));
    this.#body.nodes(nodes);
  }

  /** The threads of the workgroup over so many elements of each of its rows. */
  #forRows(extent: Dim, axis: string, inside: (index: string) => void): void {
    if (extent === 0) return;
    const body = this.#body;
    const { together } = this.#plan;
    const { axes, rows } = this.#sorted;
    const size = this.#shader.size(extent);
    const rowNumber = (): void => {
      if (together === 1) {
        this.#bind(this.#first, inside, index);
        return;
      }
      const row = body.unique('row');
      body.line(`let ${row} = ${this.#first} + ${this.#slot};`);
      body.block(`if (${row} < ${this.#shader.size(rows)})`, () => this.#bind(row, inside, index));
    };
    let index = '0';
    const counter = body.unique(together === 1 ? `${axis}_` : 'item');
    const limit = together === 1 ? size : `${together} * ${size}`;
    body.block(`for (var ${counter} = i32(local); ${counter} < ${limit}; ${counter} += ${usualWorkgroup})`, () => {
      if (together === 1) index = counter;
      else {
        this.#slot = body.unique('slot');
        index = body.unique(`${axis}_`);
        body.line(`let ${this.#slot} = ${counter} / ${size};`);
        body.line(`let ${index} = ${counter} % ${size};`);
      }
      if (axes.length === 0) inside(index);
      else rowNumber();
      this.#slot = '0';
    });
  }

  #bind(row: string, inside: (index: string) => void, index: string): void {
    const { axes } = this.#sorted;
    bindAxes(this.#body, axes, row);
    inside(index);
  }

  #sort(sort: Sort): void {
    const { width, together, homes, tags } = this.#plan;
    const { scratchArrays } = this.#context;
    const body = this.#body;
    const elements = width * together;
    const dtype = scratchArrays.get(sort.keys)?.dtype ?? 'float32';
    const order: KeyOrder = { dtype, direction: sort.direction, isTagged: tags.has(sort) };
    const keys = this.#array(homes.get(sort.keys) ?? 0);
    const tagHome = tags.get(sort);
    const tagArray = tagHome === undefined ? undefined : this.#array(tagHome);
    const length = this.#shader.size(sort.length);
    // What no row fills stands behind everything.
    this.#forAll(elements, (at) => {
      let index = at;
      if (together > 1) {
        index = body.unique('index');
        body.line(`let ${index} = ${at} % ${width};`);
      }
      const value = body.unique('value');
      body.line(`let ${value} = ${fromWord(dtype, `${keys}[${at}]`)};`);
      const inRow = `${index} < ${length}`;
      body.line(`${keys}[${at}] = select(0xffffffffu, ${keyText(this.#shader, order, value)}, ${inRow});`);
      if (tagArray) {
        body.line(`${tagArray}[${at}] = select(0xffffffffu, ${tagText(order, index, value)}, ${inRow});`);
      }
    });
    body.line('workgroupBarrier();');
    this.#network(keys, tagArray, elements);
    const valueHome = sort.values === undefined ? undefined : homes.get(sort.values);
    this.#forAll(elements, (at) => {
      const tag = tagArray && `${tagArray}[${at}]`;
      const key = `${keys}[${at}]`;
      const text = valueText(this.#shader, order, key, tag);
      if (valueHome !== undefined && (text !== key || this.#array(valueHome) !== keys)) {
        const value = body.unique('value');
        body.line(`let ${value} = ${text};`);
        body.line(`${this.#array(valueHome)}[${at}] = ${wordOf(dtype, value)};`);
      }
      if (tagArray) body.line(`${tagArray}[${at}] = ${positionWord(`${tagArray}[${at}]`)};`);
    });
  }

  /** The threads of the workgroup over so many numbers. */
  #forAll(count: number, inside: (at: string) => void): void {
    const at = this.#body.unique('at');
    this.#body.block(`for (var ${at} = i32(local); ${at} < ${count}; ${at} += ${usualWorkgroup})`, () => inside(at));
  }

  #network(keys: string, tags: string | undefined, elements: number): void {
    const body = this.#body;
    const [size, distance, low, high] = ['size', 'distance', 'low', 'high'].map((name) => body.unique(name));
    body.block(`for (var ${size} = 2; ${size} <= ${this.#plan.width}; ${size} *= 2)`, () => {
      body.block(`for (var ${distance} = ${size} / 2; ${distance} > 0; ${distance} /= 2)`, () => {
        this.#forAll(elements / 2, (pair) => {
          body.line(`let ${low} = ${pair} + (${pair} & ~(${distance} - 1));`);
          const mirrored = `${low} ^ (${size} - 1)`;
          body.line(`let ${high} = select(${low} + ${distance}, ${mirrored}, ${distance} == ${size} / 2);`);
          const order = this.#shader.helper(`order_${keys}_${tags ?? ''}`, exchange(keys, tags));
          body.line(`${order}(${low}, ${high});`);
        });
        body.line('workgroupBarrier();');
      });
    });
  }
}

/** A function that puts two elements in order. */
function exchange(keys: string, tags: string | undefined): string {
  const lines = [`  let a = ${keys}[low];`, `  let b = ${keys}[high];`];
  if (tags === undefined) lines.push('  if (b < a) {', `    ${keys}[low] = b;`, `    ${keys}[high] = a;`, '  }');
  else {
    lines.push(
      `  let a_tag = ${tags}[low];`,
      `  let b_tag = ${tags}[high];`,
      '  if (b < a || (b == a && b_tag < a_tag)) {',
      `    ${keys}[low] = b;`,
      `    ${keys}[high] = a;`,
      `    ${tags}[low] = b_tag;`,
      `    ${tags}[high] = a_tag;`,
      '  }',
    );
  }
  return [
    '// Puts two elements in order.',
    `fn order_${keys}_${tags ?? ''}(low: i32, high: i32) {`,
    ...lines,
    '}',
  ].join('\n');
}
