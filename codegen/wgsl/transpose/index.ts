/**
 * The schedule for transposes: a workgroup has a tile of 32 × 32 elements. Arrays that lie the other way come through
 * workgroup memory, whose rows have 33 words, so that neither rows nor columns meet in one bank. Loads and stores are
 * of neighbouring elements, four at once where rows are made of whole vectors; elements of one or two bytes are then
 * written as whole words.
 *
 *     tile[row across][column down] = x[...]     barrier     y[...] = ... tile[column across][row down] ...
 */
import { ceilDivDims, type Dim, dimProduct, equalDims, modDims } from '../../../base/dim.ts';
import type { Axis, Let } from '../../../ir/kernel.ts';
import type { Unit } from '../../common/units.ts';
import { Body, type Lanes } from '../body.ts';
import { laneMotion } from '../lanes.ts';
import { nameOfAxis } from '../names.ts';
import { type BufferUse, type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import { fromWord, wordOf } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import { typeText } from '../storage.ts';
import { bindAxes } from '../threads.ts';
import { matchTranspose, type Transpose } from './match.ts';

/** Elements of a tile each way, and words from row to row of it. */
const side = 32;
const stride = side + 1;

export function planTranspose(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const transpose = matchTranspose(unit, context);
  if (!transpose) return undefined;
  const { across, down, others } = transpose;
  const lanes = lanesOf(transpose);
  const tiles = [
    ...others.map(({ extent }) => extent),
    ...[down, across].map(({ extent }) => ceilDivDims(extent, side)),
  ];
  return [
    {
      workgroups: dimProduct(tiles),
      workgroupSize: usualWorkgroup,
      needsAllMemory: true,
      use: useOf(transpose, lanes),
      emit: (shader) => new TileWriter(shader, context, transpose, lanes).text(tiles),
    },
  ];
}

const isOfVectors = ({ extent }: Axis): boolean => equalDims(modDims(extent, 4), 0);

/** Four elements at once, where both axes are made of whole vectors and stores go along one. */
function lanesOf({ across, down, body }: Transpose): Lanes {
  if (!isOfVectors(across) || !isOfVectors(down)) return 1;
  const isAlong = body.every((node) => node.kind !== 'store' || laneMotion(node.index, across.name) === 'vector');
  return isAlong ? 4 : 1;
}

function useOf({ across, down, turned, body }: Transpose, lanes: Lanes): BufferUse {
  const use = { vectorReads: new Set<string>(), vectorWrites: new Set<string>(), scalarWrites: new Set<string>() };
  for (const node of body) {
    if (node.kind === 'store') (lanes === 4 ? use.vectorWrites : use.scalarWrites).add(node.memory);
    else if (lanes === 4 && node.expression.kind === 'load') {
      const axis = turned.includes(node) ? down : across;
      if (laneMotion(node.expression.index, axis.name) === 'vector') use.vectorReads.add(node.expression.memory);
    }
  }
  return use;
}

class TileWriter {
  readonly #shader: Shader;
  readonly #transpose: Transpose;
  readonly #lanes: Lanes;
  readonly #body: Body;
  readonly #first: ReadonlyMap<Axis, string>;

  constructor(shader: Shader, context: ScheduleContext, transpose: Transpose, lanes: Lanes) {
    this.#shader = shader;
    this.#transpose = transpose;
    this.#lanes = lanes;
    this.#body = new Body(shader, context.facts);
    const { down, across } = transpose;
    this.#first = new Map([down, across].map((axis) => [axis, this.#body.unique(`first_${nameOfAxis(axis.name)}`)]));
  }

  text(tiles: readonly Dim[]): string {
    const body = this.#body;
    const { across, down, others, turned } = this.#transpose;
    this.#place(tiles);
    const arrays = new Map(turned.map((node, at) => [node.id, this.#tile(at)]));
    this.#forElements(down, across, (column, row) => {
      for (const node of turned) this.#fill(node, arrays.get(node.id) ?? '', row, column);
    });
    body.line('workgroupBarrier();');
    this.#forElements(across, down, (column, row) => {
      for (const node of this.#transpose.body) {
        const tile = node.kind === 'let' ? arrays.get(node.id) : undefined;
        if (tile === undefined || node.kind !== 'let') body.node(node);
        else this.#take(node, tile, row, column);
      }
    });
    for (const { name } of others) body.axes.delete(name);
    return body.text;
  }

  /** Which tile the workgroup has: the other axes, and the first elements. */
  #place(tiles: readonly Dim[]): void {
    const { across, down, others } = this.#transpose;
    const names = [down, across].map((axis) => `tile ${axis.name}`);
    const axes = [...others, ...names.map((name, i) => ({ name, extent: tiles[others.length + i] }))];
    bindAxes(this.#body, axes, 'i32(workgroup)');
    [down, across].forEach((axis, i) => {
      this.#body.line(`let ${this.#first.get(axis)} = ${this.#body.axes.get(names[i])} * ${side};`);
      this.#body.axes.delete(names[i]);
    });
  }

  #tile(at: number): string {
    const name = `tile${at}`;
    return this.#shader.declare(name, `var<workgroup> ${name}: array<u32, ${side * stride}>;`);
  }

  /** The threads over the elements of the tile that there are, neighbours along `fast`. */
  #forElements(fast: Axis, slow: Axis, inside: (column: string, row: string) => void): void {
    const body = this.#body;
    const wide = side / this.#lanes;
    const [column, row] = ['column', 'row'].map((name) => body.unique(name));
    const local = this.#lanes === 4 ? 'i32(local)' : body.unique('at');
    const one = (): void => {
      body.line(`let ${column} = ${local} % ${wide}${this.#lanes === 4 ? ' * 4' : ''};`);
      body.line(`let ${row} = ${local} / ${wide};`);
      const places = [fast, slow].map((axis, i) => {
        const name = body.unique(nameOfAxis(axis.name));
        body.line(`let ${name} = ${this.#first.get(axis)} + ${[column, row][i]};`);
        body.axes.set(axis.name, name);
        return `${name} < ${this.#shader.size(axis.extent)}`;
      });
      body.lanes = this.#lanes === 4 ? { axis: fast.name } : undefined;
      body.block(`if (${places.join(' && ')})`, () => inside(column, row));
      body.lanes = undefined;
      for (const { name } of [fast, slow]) body.axes.delete(name);
    };
    if (this.#lanes === 4) one();
    else body.block(`for (var ${local} = i32(local); ${local} < ${side * side}; ${local} += ${usualWorkgroup})`, one);
  }

  /** Puts what a load gives into its tile: `row` across, `column` down. */
  #fill(node: Let, tile: string, row: string, column: string): void {
    const body = this.#body;
    body.node(node);
    const { text, lanes, dtype } = body.value(node.id);
    for (let lane = 0; lane < this.#lanes; lane++) {
      const element = lanes === 4 ? `${text}[${lane}]` : text;
      body.line(
        `${tile}[${row} * ${stride} + ${column}${lane === 0 ? '' : ` + ${lane}`}] = ${wordOf(dtype, element)};`,
      );
    }
  }

  /** Takes the elements of a load out of its tile: `row` down, `column` across. */
  #take({ id }: Let, tile: string, row: string, column: string): void {
    const { dtype } = this.#body.value(id);
    const elements = Array.from({ length: this.#lanes }, (_, lane) => {
      const at = lane === 0 ? column : `(${column} + ${lane})`;
      return fromWord(dtype, `${tile}[${at} * ${stride} + ${row}]`);
    });
    const text = this.#lanes === 1 ? elements[0] : `${typeText(dtype, 4)}(${elements.join(', ')})`;
    this.#body.define(id, dtype, this.#lanes, text);
  }
}
