/**
 * Sums in parts: where results are too few to keep the device busy and sums are long, several workgroups compute parts
 * of the same sums, which a second stage adds and finishes.
 *
 *     stage 1     part p of the sums of row i and column j      →   scratch[p][i][j]
 *     stage 2     scratch[0][i][j] + scratch[1][i][j] + …       →   what is done with the sums
 *
 * Parts are those of all batches: `part = split * batches + batch`.
 */
import { ceilDivDims, type Dim, dimProduct } from '../../../base/dim.ts';
import { computeDType } from '../../../base/dtype.ts';
import { Body } from '../body.ts';
import { type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import { fromWord, wordOf } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import { typeText } from '../storage.ts';
import { writeCounters } from './coordinates.ts';
import { type EpiloguePlan, type Finish, nameOfSum, writeEpilogue } from './epilogue.ts';
import type { Contraction } from './match.ts';

/** Parts of sums in the scratch memory of the launch. */
export interface Parts {
  readonly splits: number;
  /** Where those of each sum begin. */
  readonly starts: readonly Dim[];
}

export function planParts(contraction: Contraction, splits: number, { scratch }: ScheduleContext): Parts {
  const { rows, columns, batches, sums } = contraction;
  const words = dimProduct([splits, batches.extent, rows.extent, columns.extent]);
  return { splits, starts: sums.map(() => scratch.allocate(words)) };
}

/** Writes the function that keeps sums of the part `part`, a name where it is called. */
export function writeKeep(shader: Shader, contraction: Contraction, { starts }: Parts): Finish {
  const { rows, columns, sums } = contraction;
  const name = `keep_${sums[0].result}`;
  const scratch = shader.scratch();
  const places = sums.map((_, i) => `${shader.size(starts[i])} + place`);
  const write = (width: 1 | 4): string => {
    const parameters = sums.map((sum) => `${nameOfSum(sum)}: ${typeText(computeDType(sum.dtype), width)}`);
    const called = width === 4 ? `${name}_x4` : name;
    const stored = sums.map(
      (sum, i) => `  ${scratch}[${places[i]}] = ${wordOf(computeDType(sum.dtype), nameOfSum(sum))};`,
    );
    const inside =
      width === 1
        ? [
            `  if (row >= ${shader.size(rows.extent)} || column >= ${shader.size(columns.extent)}) {\n    return;\n  }`,
            `  let place = (part * ${shader.size(rows.extent)} + row) * ${shader.size(columns.extent)} + column;`,
            ...stored,
          ]
        : [
            '  for (var lane = 0; lane < 4; lane++) {',
            `    ${name}(part, row, column + lane, ${sums.map((sum) => `${nameOfSum(sum)}[lane]`).join(', ')});`,
            '  }',
          ];
    const list = ['part: i32', 'row: i32', 'column: i32', ...parameters].join(', ');
    shader.helper(called, `fn ${called}(${list}) {\n${inside.join('\n')}\n}`);
    return called;
  };
  const one = write(1);
  return {
    one: (_, row, column, values) => `${one}(${['part', row, column, ...values].join(', ')});`,
    four: (_, row, column, values) => `${write(4)}(${['part', row, column, ...values].join(', ')});`,
  };
}

/** The stage that adds the parts: a thread for each result, or four of a row. */
export function planFinishing(
  contraction: Contraction,
  context: ScheduleContext,
  epilogue: EpiloguePlan,
  { splits, starts }: Parts,
): Stage {
  const { rows, columns, batches, sums } = contraction;
  const lanes = epilogue.hasLanes ? 4 : 1;
  const across = ceilDivDims(columns.extent, lanes);
  const total = dimProduct([batches.extent, rows.extent, across]);
  return {
    workgroups: ceilDivDims(total, usualWorkgroup),
    workgroupSize: usualWorkgroup,
    use: epilogue.use,
    guardsWorkgroups: true,
    emit(shader) {
      const out = new Body(shader, context.facts);
      const finish = writeEpilogue(shader, contraction, context, epilogue);
      const scratch = shader.scratch();
      out.line(`let thread = i32(workgroup * ${usualWorkgroup}u + local);`);
      out.block(`if (thread >= ${shader.size(total)})`, () => out.line('return;'));
      out.line(`let column = thread % ${shader.size(across)}${lanes === 4 ? ' * 4' : ''};`);
      out.line(`let line = thread / ${shader.size(across)};`);
      out.line(`let row = line % ${shader.size(rows.extent)};`);
      let counters: readonly string[] = [];
      if (batches.axes.length > 0) {
        out.line(`let batch = line / ${shader.size(rows.extent)};`);
        counters = writeCounters(out, batches.axes, 'batch', 'batch_');
      }
      out.line(`let first = line * ${shader.size(columns.extent)} + column;`);
      const apart = shader.size(dimProduct([batches.extent, rows.extent, columns.extent]));
      for (const sum of sums) out.line(`var ${nameOfSum(sum)} = ${typeText(computeDType(sum.dtype), lanes)}();`);
      out.block(`for (var split = 0; split < ${splits}; split++)`, () => {
        sums.forEach((sum, i) => {
          const dtype = computeDType(sum.dtype);
          const place = out.unique('place');
          out.line(`let ${place} = ${shader.size(starts[i])} + split * ${apart} + first;`);
          const words = [0, 1, 2, 3].map((lane) =>
            fromWord(dtype, `${scratch}[${place}${lane === 0 ? '' : ` + ${lane}`}]`),
          );
          const value = lanes === 1 ? words[0] : `${typeText(dtype, 4)}(${words.join(', ')})`;
          out.line(`${nameOfSum(sum)} += ${value};`);
        });
      });
      const values = sums.map(nameOfSum);
      out.line(finish[lanes === 4 ? 'four' : 'one'](counters, 'row', 'column', values));
      return out.text;
    },
  };
}

/** The steps of a split, of so many in all. @returns texts of the first and of the one behind the last */
export function writeSplitSteps(out: Body, steps: Dim, { splits }: Parts): readonly [string, string] {
  const { shader } = out;
  const each = shader.size(ceilDivDims(steps, splits));
  const [first, end] = [out.unique('first_step'), out.unique('end_step')];
  out.line(`let ${first} = min(split * ${each}, ${shader.size(steps)});`);
  out.line(`let ${end} = min(${first} + ${each}, ${shader.size(steps)});`);
  return [first, end];
}
