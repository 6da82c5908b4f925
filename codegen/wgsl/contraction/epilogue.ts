/**
 * What is done with the sums of a row and four columns, as a function of the module: values and stores, of four columns
 * at once where they are neighbours in memory.
 *
 *     fn finish_5(row: i32, column: i32, sum_5: vec4<f32>) { … y[(sizes.n0 * row + column) / 4] = max(sum_5, …); }
 */
import { computeDType } from '../../../base/dtype.ts';
import type { KernelNode } from '../../../ir/kernel.ts';
import type { Sum } from '../../common/products.ts';
import { Body } from '../body.ts';
import { planLanes } from '../lanes.ts';
import type { BufferUse, ScheduleContext } from '../schedule.ts';
import type { Shader } from '../shader.ts';
import { typeText } from '../storage.ts';
import { bindCounters, isDivisible, writeCounters } from './coordinates.ts';
import { indented } from './factor.ts';
import type { Contraction } from './match.ts';

export interface EpiloguePlan {
  /** Whether four columns are done at once. */
  readonly hasLanes: boolean;
  readonly use: BufferUse;
}

/** @param mayHaveLanes whether whoever calls it has four columns at once */
export function planEpilogue(
  { columns, epilogue }: Contraction,
  { kernel }: ScheduleContext,
  mayHaveLanes = true,
): EpiloguePlan {
  const last = columns.axes[columns.axes.length - 1];
  const memories = new Set(kernel.buffers.map(({ name }) => name));
  const canHaveLanes = mayHaveLanes && last && isDivisible(last.extent, 4);
  const lanes = canHaveLanes ? planLanes(epilogue, last.name, last.extent, memories) : undefined;
  if (lanes) {
    return { hasLanes: true, use: { vectorReads: lanes.reads, vectorWrites: lanes.writes, scalarWrites: new Set() } };
  }
  const none = new Set<string>();
  return { hasLanes: false, use: { vectorReads: none, vectorWrites: none, scalarWrites: storedMemories(epilogue) } };
}

const storedMemories = (nodes: readonly KernelNode[]): Set<string> =>
  new Set(nodes.flatMap((node) => (node.kind === 'store' ? [node.memory] : [])));

/** What takes results: calls of functions, which do nothing for rows and columns that there are not. */
export interface Finish {
  /** Takes the sums of a row and four columns. */
  four(batch: readonly string[], row: string, column: string, sums: readonly string[]): string;
  /** Takes those of a row and a column, where four columns are not taken at once. */
  one(batch: readonly string[], row: string, column: string, sums: readonly string[]): string;
}

/** Writes the function that finishes the sums of a row and four columns, and of one. */
export function writeEpilogue(
  shader: Shader,
  contraction: Contraction,
  { facts }: ScheduleContext,
  { hasLanes }: EpiloguePlan,
): Finish {
  const { sums, rows, columns, batches, epilogue } = contraction;
  const lanes = hasLanes ? 4 : 1;
  const axis = columns.axes[columns.axes.length - 1];
  const body = new Body(shader, facts, hasLanes ? { axis: axis.name } : undefined);
  const counters = batches.axes.map(({ name }) => body.unique(`batch_${name}`));
  const [row, column] = [body.unique('row'), body.unique('column')];
  bindCounters(body, batches.axes, counters);
  body.block(`if (${row} >= ${shader.size(rows.extent)} || ${column} >= ${shader.size(columns.extent)})`, () =>
    body.line('return;'),
  );
  bindCounters(body, rows.axes, writeCounters(body, rows.axes, row));
  bindCounters(body, columns.axes, writeCounters(body, columns.axes, column));
  const parameters = sums.map((sum) => {
    const name = body.unique(nameOfSum(sum));
    body.bind(sum.result, { text: name, dtype: computeDType(sum.dtype), lanes });
    return name;
  });
  body.nodes(epilogue);
  const integers = [...counters, row, column].map((name) => `${name}: i32`);
  const listed = (width: 1 | 4): string =>
    [...integers, ...sums.map((sum, i) => `${parameters[i]}: ${typeText(computeDType(sum.dtype), width)}`)].join(', ');
  const name = `finish_${sums[0].result}`;
  shader.addFunction(`fn ${name}(${listed(lanes)}) {\n${indented(body.text)}\n}`);
  const call =
    (called: string): Finish['one'] =>
    (batch, atRow, atColumn, values) =>
      `${called}(${[...batch, atRow, atColumn, ...values].join(', ')});`;
  return {
    one: call(name),
    four: (...given) => {
      if (hasLanes) return call(name)(...given);
      const one = [...counters, row, `${column} + lane`, ...parameters.map((parameter) => `${parameter}[lane]`)];
      const loop = `  for (var lane = 0; lane < 4; lane++) {\n    ${name}(${one.join(', ')});\n  }`;
      shader.helper(`${name}_x4`, `fn ${name}_x4(${listed(4)}) {\n${loop}\n}`);
      return call(`${name}_x4`)(...given);
    },
  };
}

export const nameOfSum = ({ result }: Sum): string => `sum_${result}`;
