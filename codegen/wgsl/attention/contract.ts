/**
 * A contraction for a block of rows: all threads of the workgroup, tile by tile of the columns. Elements of both factors
 * come through functions of the module, and what is done with a sum is one too:
 *
 *     left_3(…, slot, k)     right_3(…, column, k)     finish_3(…, slot, column, sum)
 *
 * `…` is the place of the block: the counters of the outer axes, `first`, its first row, and `group`, which part of the
 * scratch memory it has.
 */
import { type Dim, equalDims } from '../../../base/dim.ts';
import type { ScalarId } from '../../../ir/kernel.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { Factor, Sum } from '../../common/products.ts';
import { Body } from '../body.ts';
import { nameOfAxis } from '../names.ts';
import { type ScheduleContext, usualWorkgroup } from '../schedule.ts';
import { fromWord, globalScratch, wordOf } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import { scalarType } from '../storage.ts';
import { bindAxes } from '../threads.ts';
import { visibleOf, visibleText } from './hidden.ts';
import { type AttentionRows, type Contraction, slotAxis } from './match.ts';

/** Rows of a block, columns of a tile, steps of the sum in workgroup memory at a time. */
export const blockRows = 32;
const tileColumns = 64;
const tileDepth = 16;
/** A thread has every sixteenth row and column. */
const apart = 16;
/** Words from step to step, and from row to row, so that neighbours are in other banks. */
const leftStride = tileDepth + 1;
const rightStride = tileColumns + 1;

/** Where the scratch arrays of the rows begin: words of scratch memory. */
export type Starts = ReadonlyMap<string, Dim>;

/** Makes the scratch memory of a row known to a body. */
export function bindRowMemory(body: Body, rows: AttentionRows, starts: Starts, group: string, slot: string): void {
  const { shader } = body;
  for (const { name, dtype, size } of rows.arrays) {
    const start = starts.get(name) ?? 0;
    const row = `(${group} * ${blockRows} + ${slot}) * ${shader.size(size)}`;
    const begin = equalDims(start, 0) ? row : `${shader.size(start)} + ${row}`;
    body.scratch.set(
      name,
      globalScratch(shader, dtype, (index) => `${begin} + ${index}`),
    );
  }
}

/** Makes the values that rows have left for contractions known to a body. */
export function bindHanded(body: Body, { handed }: AttentionRows, { facts }: ScheduleContext): void {
  for (const [id, name] of handed) {
    const dtype = facts.dtypes.get(id) ?? 'float32';
    const array = declareHanded(body.shader, id, name, facts.dtypes);
    body.scratch.set(name, {
      dtype,
      load: (index) => (scalarType(dtype) === 'bool' ? fromWord(dtype, `${array}[${index}]`) : `${array}[${index}]`),
      store: (index, value) => `${array}[${index}] = ${scalarType(dtype) === 'bool' ? wordOf(dtype, value) : value};`,
    });
  }
}

function declareHanded(shader: Shader, id: ScalarId, name: string, dtypes: ScheduleContext['facts']['dtypes']): string {
  const type = scalarType(dtypes.get(id) ?? 'float32');
  const element = type === 'bool' ? 'u32' : type;
  return shader.declare(name, `var<workgroup> ${name}: array<${element}, ${blockRows}>;`);
}

export class ContractionWriter {
  readonly #out: Body;
  readonly #context: ScheduleContext;
  readonly #rows: AttentionRows;
  readonly #starts: Starts;
  /** Names of the place in the code around. */
  readonly #place: readonly string[];

  constructor(
    out: Body,
    context: ScheduleContext,
    rows: AttentionRows,
    starts: Starts,
    place: { readonly first: string; readonly group: string },
  ) {
    this.#out = out;
    this.#context = context;
    this.#rows = rows;
    this.#starts = starts;
    this.#place = [...rows.outer.map(({ name }) => out.axes.get(name) ?? '0'), place.first, place.group];
  }

  write({ column, sums, epilogue }: Contraction): void {
    const out = this.#out;
    const { shader } = out;
    const number = sums[0].result;
    const factors = sums.map((sum) => ({
      sum,
      left: this.#factorFunction(`left_${sum.result}`, sum, sum.left, undefined),
      right: this.#factorFunction(`right_${sum.result}`, sum, sum.right, column),
    }));
    const finish = this.#finishFunction(`finish_${number}`, { column, sums, epilogue });
    const place = this.#place.join(', ');
    const [slots, columns] = [blockRows / apart, tileColumns / apart];
    const visible = visibleOf({ column, sums, epilogue }, this.#rows.row.name);
    const first = this.#place[this.#place.length - 2];
    const shown =
      visible &&
      visibleText(
        shader,
        visible,
        [first, `${first} + ${blockRows - 1}`],
        ['first_column', `first_column + ${tileColumns - 1}`],
      );
    out.block(
      `for (var first_column = 0; first_column < ${shader.size(column.extent)}; first_column += ${tileColumns})`,
      () => {
        out.line(`let slot = i32(local) / ${apart};`);
        out.line(`let column = i32(local) % ${apart};`);
        for (const { sum, left, right } of factors) {
          for (const [i, j] of pairs(slots, columns)) out.line(`var ${sumName(sum, i, j)} = 0.0;`);
          const depths = `for (var depth = 0; depth < ${shader.size(sum.depth)}; depth += ${tileDepth})`;
          const sweep = (): void =>
            out.block(depths, () => {
              this.#fill('left', `${left}(${place}, {side}, depth + k)`, false);
              this.#fill(
                'right',
                `${right}(${place}, first_column + {side}, depth + k)`,
                isAlong(sum.right, column.name),
              );
              out.line('workgroupBarrier();');
              out.block(`for (var k = 0; k < ${tileDepth}; k++)`, () => this.#multiply(sum, slots, columns));
              out.line('workgroupBarrier();');
            });
          if (shown === undefined) sweep();
          else out.block(`if (${shown})`, sweep);
        }
        for (const [i, j] of pairs(slots, columns)) {
          const values = sums.map((sum) => sumName(sum, i, j));
          out.line(
            `${finish}(${[place, plus('slot', i), `first_column + ${plus('column', j)}`, ...values].join(', ')});`,
          );
        }
      },
    );
  }

  /** Brings a tile of a factor to workgroup memory. Neighbouring threads take neighbours in memory. */
  #fill(name: 'left' | 'right', element: string, isAlongSide: boolean): void {
    const out = this.#out;
    const width = name === 'left' ? blockRows : tileColumns;
    const words = name === 'left' ? blockRows * leftStride : tileDepth * rightStride;
    const tile = out.shader.declare(`${name}_block`, `var<workgroup> ${name}_block: array<f32, ${words}>;`);
    const count = width * tileDepth;
    out.block(`for (var at = i32(local); at < ${count}; at += ${usualWorkgroup})`, () => {
      out.line(`let side = at ${isAlongSide ? `% ${width}` : `/ ${tileDepth}`};`);
      out.line(`let k = at ${isAlongSide ? `/ ${width}` : `% ${tileDepth}`};`);
      const place = name === 'left' ? `side * ${leftStride} + k` : `k * ${rightStride} + side`;
      out.line(`${tile}[${place}] = ${element.replace('{side}', 'side')};`);
    });
  }

  #multiply(sum: Sum, slots: number, columns: number): void {
    const out = this.#out;
    for (let i = 0; i < slots; i++)
      out.line(`let row_${i} = left_block[${enclosed(plus('slot', i))} * ${leftStride} + k];`);
    for (let j = 0; j < columns; j++)
      out.line(`let column_${j} = right_block[k * ${rightStride} + ${plus('column', j)}];`);
    for (const [i, j] of pairs(slots, columns)) out.line(`${sumName(sum, i, j)} += row_${i} * column_${j};`);
  }

  /** A body of a function that is told the place. */
  #body(): { readonly body: Body; readonly parameters: string[]; readonly first: string; readonly group: string } {
    const { shader } = this.#out;
    const body = new Body(shader, this.#context.facts);
    const parameters = this.#rows.outer.map(({ name }) => {
      const parameter = body.unique(nameOfAxis(name));
      body.axes.set(name, parameter);
      return parameter;
    });
    const [first, group] = [body.unique('first'), body.unique('group')];
    bindHanded(body, this.#rows, this.#context);
    return { body, parameters: [...parameters, first, group], first, group };
  }

  /** The row of a slot, or the last one where there is none. */
  #bindRow(body: Body, slot: string, first: string, group: string): void {
    const { row } = this.#rows;
    const name = body.unique(nameOfAxis(row.name));
    body.line(`let ${name} = min(${first} + ${slot}, ${body.shader.size(row.extent)} - 1);`);
    body.axes.set(row.name, name);
    body.axes.set(slotAxis, slot);
    bindRowMemory(body, this.#rows, this.#starts, group, slot);
  }

  /** The function for an element of a factor: of a slot, or of a column. Behind the ends there are zeros. */
  #factorFunction(name: string, sum: Sum, factor: Factor, column: Contraction['column'] | undefined): string {
    const { shader } = this.#out;
    const { body, parameters, first, group } = this.#body();
    const side = body.unique(column ? 'column' : 'slot');
    const step = body.unique('k');
    const beyond = column ? ` || ${side} >= ${shader.size(column.extent)}` : '';
    body.block(`if (${step} >= ${shader.size(sum.depth)}${beyond})`, () => body.line('return 0.0;'));
    if (column) body.axes.set(column.name, side);
    else this.#bindRow(body, side, first, group);
    bindAxes(body, sum.reduced, step);
    body.nodes(factor.lets);
    body.line(`return ${body.textOf(factor.value, 1)};`);
    return addFunction(shader, name, [...parameters, side, step], [], body, ' -> f32');
  }

  #finishFunction(name: string, { column, sums, epilogue }: Contraction): string {
    const { shader } = this.#out;
    const { body, parameters, first, group } = this.#body();
    const [slot, at] = [body.unique('slot'), body.unique('column')];
    const { row } = this.#rows;
    const beyond = `${first} + ${slot} >= ${shader.size(row.extent)} || ${at} >= ${shader.size(column.extent)}`;
    body.block(`if (${beyond})`, () => body.line('return;'));
    this.#bindRow(body, slot, first, group);
    body.axes.set(column.name, at);
    const values = sums.map(({ result, dtype }) => {
      const value = body.unique(`sum_${result}`);
      body.bind(result, { text: value, dtype, lanes: 1 });
      return value;
    });
    body.nodes(epilogue);
    return addFunction(shader, name, [...parameters, slot, at], values, body, '');
  }
}

function addFunction(
  shader: Shader,
  name: string,
  integers: readonly string[],
  floats: readonly string[],
  body: Body,
  result: string,
): string {
  const list = [...integers.map((parameter) => `${parameter}: i32`), ...floats.map((parameter) => `${parameter}: f32`)];
  shader.addFunction(`fn ${name}(${list.join(', ')})${result} {\n${body.text.replace(/^(?=.)/gm, '  ')}\n}`);
  return name;
}

/** Whether neighbours along an axis are neighbours in memory. */
const isAlong = ({ lets }: Factor, axis: string): boolean =>
  lets.some(({ expression }) => expression.kind === 'load' && equalDims(coefficientOf(expression.index, axis) ?? 0, 1));

const pairs = (rows: number, columns: number): (readonly [number, number])[] =>
  Array.from({ length: rows * columns }, (_, at) => [Math.floor(at / columns), at % columns] as const);

const sumName = ({ result }: Sum, i: number, j: number): string => `sum_${result}_${i}${j}`;
const plus = (name: string, steps: number): string => (steps === 0 ? name : `${name} + ${steps * apart}`);
const enclosed = (text: string): string => (text.includes(' ') ? `(${text})` : text);
