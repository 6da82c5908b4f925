/**
 * A factor's tile: the function that computes four elements of it, what each thread reads of it, and how it lies in
 * workgroup memory.
 *
 * A tile is `[depth][width / 4]` vectors of four neighbours in a row or column. Where the factor is contiguous along its
 * side, neighbouring threads take neighbouring vectors. Where it is contiguous along the sum, neighbouring threads take
 * neighbouring steps, so that global memory is read in whole sectors, and the tile is transposed on its way: eight
 * threads write to eight steps at the same width, which would all be in the same banks, so step `k` has its vectors in
 * the order `at ^ (k % 8)`.
 */
import { floorDivDims, mulDims, subDims } from '../../../base/dim.ts';
import { computeDType } from '../../../base/dtype.ts';
import type { Let, ScalarId } from '../../../ir/kernel.ts';
import { coefficientOf, valuesOfIndex } from '../../common/linear-index.ts';
import type { Factor, Sum } from '../../common/products.ts';
import { operandsOf } from '../../common/walk.ts';
import { Body, type BodyFacts, type LaneAxis } from '../body.ts';
import { laneMotion } from '../lanes.ts';
import { nameOfAxis } from '../names.ts';
import type { Shader } from '../shader.ts';
import { typeText } from '../storage.ts';
import { bindCounters, isDivisible, writeCounters } from './coordinates.ts';
import { type Side, sideOf } from './match.ts';
import { type Quads, writeQuadFunction } from './quads.ts';
import { type Tile, threadsOf } from './tile.ts';

/** How elements of a factor are computed. */
export interface FactorPlan {
  readonly name: 'left' | 'right';
  readonly factor: Factor;
  readonly sum: Sum;
  readonly side: Side;
  readonly batches: Side;
  /** The axis of which four neighbours are computed at once; without, four elements are computed one by one. */
  readonly lanes: LaneAxis | undefined;
  /** Buffers read four elements at once. */
  readonly vectorReads: ReadonlySet<string>;
  /** Whether neighbours in memory are steps of the sum. */
  readonly isAlongDepth: boolean;
  /** Steps of the sum in a step of a tile: with quads, words of four. */
  readonly quads: Quads | undefined;
}

export function planFactor(name: 'left' | 'right', sum: Sum, side: Side, batches: Side, quads?: Quads): FactorPlan {
  const factor = sum[name];
  if (quads)
    return { name, factor, sum, side, batches, lanes: undefined, vectorReads: new Set(), isAlongDepth: true, quads };
  const lanes = lanesOf(side, factor);
  const vectorReads = lanes ? vectorReadsOf(factor.lets, lanes.axis) : new Set<string>();
  const isContiguous = (axis: string | undefined): boolean =>
    axis !== undefined &&
    factor.lets.some(({ expression }) => expression.kind === 'load' && coefficientOf(expression.index, axis) === 1);
  const isAlongDepth =
    vectorReads.size === 0 &&
    !isContiguous(side.axes[side.axes.length - 1]?.name) &&
    isContiguous(sum.reduced[sum.reduced.length - 1].name);
  return { name, factor, sum, side, batches, lanes, vectorReads, isAlongDepth, quads };
}

/** Four neighbours must be in one line of the last axis; beyond its end, an index may only be that of the last one. */
function lanesOf({ axes }: Side, { lets }: Factor): LaneAxis | undefined {
  const last = axes[axes.length - 1];
  if (!last) return undefined;
  if (isDivisible(last.extent, 4)) return { axis: last.name };
  const isConditional = lets.some(
    ({ expression }) =>
      expression.kind === 'load' && (expression.when !== undefined || valuesOfIndex(expression.index).length > 0),
  );
  return axes.length > 1 || isConditional ? undefined : { axis: last.name, ragged: last.extent };
}

export function vectorReadsOf(lets: readonly Let[], axis: string): ReadonlySet<string> {
  const found = new Set<string>();
  const varying = new Set<ScalarId>();
  for (const { id, expression } of lets) {
    const isIndexed = expression.kind === 'load' || expression.kind === 'index';
    const motion = isIndexed ? laneMotion(expression.index, axis) : 'uniform';
    const isVarying = operandsOf(expression).some((operand) => varying.has(operand));
    if (expression.kind === 'load' && motion === 'vector' && !isVarying) found.add(expression.memory);
    if (isVarying || motion !== 'uniform') varying.add(id);
  }
  return found;
}

/** A factor in the code of a workgroup's tile. */
export class FactorTile {
  readonly plan: FactorPlan;
  readonly tile: Tile;
  readonly type: string;
  /** Vectors of a step of the tile, and of the whole tile. */
  readonly step: number;
  readonly size: number;
  /** How many vectors each thread reads. */
  readonly loads: number;
  readonly memory: string;
  readonly #function: string;
  readonly #shader: Shader;
  /** For each load, where in the tile it goes and the arguments that say where it comes from. */
  #places: { next: string; slot: string; arguments: readonly string[]; depth: string }[] = [];

  constructor(shader: Shader, facts: BodyFacts, plan: FactorPlan, tile: Tile) {
    this.#shader = shader;
    this.plan = plan;
    this.tile = tile;
    const { name, sum } = plan;
    const dtype = computeDType(sum.dtype);
    const width = name === 'left' ? tile.rows : tile.columns;
    this.type = plan.quads ? 'vec4<u32>' : typeText(dtype, 4);
    this.step = width / 4;
    this.size = this.step * tile.depth;
    this.loads = this.size / threadsOf(tile);
    const suffix = plan.quads ? '_words' : typeText(dtype, 1) === 'f32' ? '' : `_${typeText(dtype, 1)}`;
    const memory = `${name}_tiles_${tile.depth}x${width}${suffix}`;
    const comment = `// Two tiles of ${tile.depth} steps, of ${width} ${name === 'left' ? 'rows' : 'columns'}.`;
    this.memory = shader.declare(
      memory,
      `${comment}\nvar<workgroup> ${memory}: array<${this.type}, ${2 * this.size}>;`,
    );
    this.#function = writeFactorFunction(shader, facts, plan, tile.depth);
  }

  /**
   * Writes which elements the thread reads, and where in the tile they go.
   * @param batch counters of the batches
   */
  writePlaces(out: Body, batch: readonly string[]): void {
    const { name, isAlongDepth, side } = this.plan;
    const { depth } = this.tile;
    const threads = threadsOf(this.tile);
    const first = name === 'left' ? 'first_row' : 'first_column';
    const at = (load: number, by: number): string => (load === 0 ? '' : ` + ${(load * threads) / by}`);
    this.#places = [];
    const [inner, outer] = isAlongDepth ? [depth, 'group'] : [this.step, 'depth'];
    const one = out.unique(`${name}_${isAlongDepth ? 'depth' : 'group'}`);
    const other = out.unique(`${name}_${outer}`);
    out.line(`// Which fours of ${name === 'left' ? 'rows' : 'columns'} this thread brings to the ${name} tiles.`);
    out.line(`let ${one} = i32(local) % ${inner};`);
    out.line(`let ${other} = i32(local) / ${inner};`);
    let shared: readonly string[] | undefined;
    for (let load = 0; load < this.loads; load++) {
      const [group, k] = isAlongDepth ? [`${other}${at(load, inner)}`, one] : [one, `${other}${at(load, inner)}`];
      const enclosed = load === 0 ? group : `(${group})`;
      const flipped = isAlongDepth ? `(${enclosed} ^ ${this.#flip(k)})` : group;
      const slot = out.unique(`${name}_slot`);
      out.line(`let ${slot} = ${load === 0 || isAlongDepth ? k : `(${k})`} * ${this.step} + ${flipped};`);
      if (isAlongDepth || !shared) {
        const flat = out.unique(`${name}_${this.plan.name === 'left' ? 'row' : 'column'}`);
        out.line(`let ${flat} = ${fourFrom(this.#shader, this.plan, `${first} + ${enclosed} * 4`, this.step * 4)};`);
        shared = writeCounters(out, side.axes, flat, `${name}_`);
      }
      const next = out.unique(`next_${name}`);
      this.#places.push({ next, slot, arguments: [...batch, ...shared], depth: k });
    }
  }

  #flip(k: string): string {
    const mask = Math.min(8, this.step) - 1;
    return mask === this.tile.depth - 1 ? k : `(${k} & ${mask})`;
  }

  /** Declares the variables for elements on their way. */
  writeNext(out: Body): void {
    for (const { next } of this.#places) out.line(`var ${next} = ${this.type}();`);
  }

  /**
   * Writes the reading of a tile's elements.
   * @param first the first step of the tile
   * @param declaration whether it declares the variables for them
   */
  writeLoads(out: Body, first: string, declaration: 'var ' | '' = ''): void {
    this.#places.forEach(({ next, arguments: places, depth }) => {
      const step = first === '0' ? depth : `${first} + ${depth}`;
      out.line(`${declaration}${next} = ${this.#function}(${[...places, step].join(', ')});`);
    });
  }

  /** Writes what was read into the tile of the step. */
  writeStores(out: Body): void {
    out.line(`let ${this.#half} = (step & 1) * ${this.size};`);
    this.#places.forEach(({ next, slot }) => {
      out.line(`${this.memory}[${this.#half} + ${slot}] = ${next};`);
    });
  }

  /** Where in workgroup memory the tile of the step begins. */
  get #half(): string {
    return `${this.plan.name}_tile`;
  }

  /** Four neighbours at a step of a tile. @param group which ones */
  read(k: string, group: string): string {
    const enclosed = /^\w+$/.test(group) ? group : `(${group})`;
    const flipped = this.plan.isAlongDepth ? `(${enclosed} ^ ${this.#flip(k)})` : group;
    return `${this.memory}[${this.#half} + ${k} * ${this.step} + ${flipped}]`;
  }
}

/** The function that gives four elements of a factor at a step of the sum, zeros behind the last. Its name. */
export function writeFactorFunction(shader: Shader, facts: BodyFacts, plan: FactorPlan, multiple: number): string {
  const { quads, sum } = plan;
  if (quads) {
    const four = writeElement(shader, facts, plan, { axis: sum.reduced[sum.reduced.length - 1].name }, 4 * multiple);
    return writeQuadFunction(shader, four, plan.batches.axes.length, quads);
  }
  const written = writeElement(shader, facts, plan, plan.lanes, multiple);
  return plan.lanes ? written.name : writeSingles(shader, written, plan.batches.axes.length);
}

export interface ElementFunction {
  readonly name: string;
  /** Counters of batches and of the side. */
  readonly parameters: readonly string[];
  readonly depth: string;
  readonly type: string;
}

/**
 * Writes the function that gives an element of a factor at a step of the sum, or four neighbours.
 * @param multiple steps may be up to the next multiple of this; elements behind the last one are zeros
 */
export function writeElement(
  shader: Shader,
  facts: BodyFacts,
  { name: side, sum, factor, side: own, batches }: FactorPlan,
  lanes: LaneAxis | undefined,
  multiple: number,
): ElementFunction {
  const name = `load_${side}_${sum.result}`;
  const type = typeText(computeDType(sum.dtype), lanes ? 4 : 1);
  const body = new Body(shader, facts, lanes);
  const parameters: string[] = [];
  for (const { axes } of [batches, own]) {
    for (const axis of axes) {
      const parameter = body.unique(nameOfAxis(axis.name));
      parameters.push(parameter);
      body.axes.set(axis.name, parameter);
    }
  }
  const depth = body.unique('depth');
  const isExact = isDivisible(sum.depth, multiple);
  let flat = depth;
  if (!isExact) {
    flat = body.unique('step');
    body.line(`let ${flat} = min(${depth}, ${shader.size(subDims(sum.depth, 1))});`);
  }
  const reduced = sideOf(sum.reduced);
  bindCounters(body, reduced.axes, writeCounters(body, reduced.axes, flat));
  body.nodes(factor.lets);
  const value = body.textOf(factor.value, lanes ? 4 : 1);
  body.line(isExact ? `return ${value};` : `return select(${type}(), ${value}, ${depth} < ${shader.size(sum.depth)});`);
  const list = [...parameters, depth].map((parameter) => `${parameter}: i32`).join(', ');
  shader.addFunction(`fn ${name}(${list}) -> ${type} {\n${indented(body.text)}\n}`);
  return { name, parameters, depth, type };
}

/** The same for four elements that are computed one by one. */
function writeSingles(shader: Shader, { name, parameters, depth, type }: ElementFunction, batches: number): string {
  const list = parameters.map((parameter, i) => `${parameter}: ${i < batches ? 'i32' : 'vec4<i32>'}`);
  const calls = [0, 1, 2, 3].map((lane) => {
    const places = parameters.map((parameter, i) => (i < batches ? parameter : `${parameter}[${lane}]`));
    return `    ${name}(${[...places, depth].join(', ')}),`;
  });
  shader.addFunction(
    `fn ${name}_x4(${[...list, `${depth}: i32`].join(', ')}) -> vec4<${type}> {\n  return vec4<${type}>(\n${calls.join('\n')}\n  );\n}`,
  );
  return `${name}_x4`;
}

/**
 * Four rows or columns, none beyond the last: the first of them where four are computed at once.
 * @param multiple of what the number of rows or columns must be for none to be beyond
 */
export function fourFrom(
  shader: Shader,
  { lanes, side: { extent } }: FactorPlan,
  first: string,
  multiple: number,
): string {
  const isExact = isDivisible(extent, multiple);
  if (lanes) {
    const last = mulDims(floorDivDims(subDims(extent, 1), 4), 4);
    return isExact ? first : `min(${first}, ${shader.size(last)})`;
  }
  const four = `vec4<i32>(${first}) + vec4<i32>(0, 1, 2, 3)`;
  return isExact ? four : `min(${four}, vec4<i32>(${shader.size(subDims(extent, 1))}))`;
}

export const indented = (text: string): string => text.replace(/^(?=.)/gm, '  ');
