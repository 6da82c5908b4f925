/**
 * The end of a contraction's work on a row: the epilogue on the sums of some columns.
 */
import { isStatic } from '../../../base/dim.ts';
import type { IndexExpression, Loop } from '../../../ir/kernel.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { Environment } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import { NestEmitter } from '../nest.ts';
import { planNodes } from '../plan.ts';
import type { Contraction } from './match.ts';

/** The axis that stands for the distance from a column to its place in the strips. */
const shiftAxis = '$shift';

/**
 * Builds `finish(record, ...outer, row, from, to, shift)`: the epilogue on the columns `from` to `to` of a row, whose
 * sums are at `shift + column` of the strips.
 * @param strips names of the scratch arrays with the sums, one for each
 * @param multiple what spans begin and end at multiples of, or where the columns end
 */
export function buildFinish(
  outer: FunctionBuilder,
  facts: KernelFacts,
  c: Contraction,
  strips: readonly string[],
  multiple = 8,
): FunctionBuilder {
  const names = ['record', ...c.outer.map((axis) => axis.name), c.row.name, 'from', 'to', 'shift'];
  const parameters = names.length;
  const f = new FunctionBuilder(outer.binaryen, outer.module, outer.layout, names);
  const env = new Environment(f, { ...facts, written: new Set([...facts.written, ...strips]) });
  const loop: Loop = { kind: 'loop', mode: 'parallel', axis: c.column, body: c.epilogue };
  const plan = planNodes([loop], new Set());
  const emitter = new NestEmitter(env, plan);
  const [row, from, to, shift] = [4, 3, 2, 1].map((back) => parameters - back);
  const bound = [
    ...c.outer.map(({ name }, i) => [name, 1 + i] as const),
    [c.row.name, row],
    [shiftAxis, shift],
  ] as const;
  for (const [name, local] of bound) env.axes.set(name, { local, delta: 0, scope: f.root });
  const axis = (name: string): IndexExpression['terms'][number] => ({
    coefficient: 1,
    factor: { kind: 'axis', axis: name },
  });
  const index = { offset: 0, terms: [axis(shiftAxis), axis(c.column.name)] };
  const span = {
    start: () => f.get(from),
    limit: () => f.get(to),
    multiple: isStatic(c.column.extent) && c.column.extent % multiple === 0 ? multiple : 1,
  };
  emitter.emit(c.lets);
  emitter.vectorLoop(c.column.name, span, plan.copies(loop), () => {
    c.sums.forEach(({ result, dtype }, i) => {
      const expression = { kind: 'load', memory: strips[i], index } as const;
      emitter.emitLet({ kind: 'let', id: result, dtype, expression });
    });
    emitter.emit(c.epilogue);
  });
  return f;
}
