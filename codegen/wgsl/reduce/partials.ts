/**
 * States of a reduction in scratch memory: one stage leaves a state for each strip of a row, the next ones combine them.
 *
 *     stage 1     strip 7 of row 2      scratch[start + 7 * rows + 2] = bitcast<u32>(r5);
 *     stage 2     all strips of row 2   r5 = r5 + bitcast<f32>(scratch[start + strip * rows + 2]); then across the team
 */
import { type Dim, equalDims, mulDims } from '../../../base/dim.ts';
import type { Reduce } from '../../../ir/kernel.ts';
import { type AccumulatorState, stateOf, variablesOf } from '../accumulators.ts';
import type { RowBody } from '../rows/row-body.ts';
import { fromWord, type ScratchPlan, wordOf } from '../scratch.ts';
import type { TeamState } from './combine-team.ts';

export class Partials {
  readonly reduce: Reduce;
  readonly #rows: Dim;
  readonly #strips: Dim;
  /** Where the states of each accumulator begin, one variable after the other. */
  readonly #starts: readonly Dim[];

  /** Makes room for the states of so many strips of so many rows. */
  constructor(reduce: Reduce, rows: Dim, strips: Dim, scratch: ScratchPlan) {
    this.reduce = reduce;
    this.#rows = rows;
    this.#strips = strips;
    const words = mulDims(rows, strips);
    const variables = reduce.accumulators.map(variablesOf);
    this.#starts = variables.flatMap((count) => Array.from({ length: count }, () => scratch.allocate(words)));
  }

  /** Writes the states of a strip. */
  store(
    body: RowBody,
    states: readonly { state: AccumulatorState; names: readonly string[] }[],
    row: string,
    strip: string,
  ) {
    const memory = body.shader.scratch();
    const place = this.#place(body, row, strip);
    let at = 0;
    for (const { state, names } of states) {
      names.forEach((name, i) => {
        const word = wordOf(state.variables[i].dtype, name);
        body.line(`${memory}[${this.#word(body, at++, place)}] = ${word};`);
      });
    }
  }

  /** The place of a strip's states, each among those of its variable. */
  #place(body: RowBody, row: string, strip: string): string {
    if (equalDims(this.#rows, 1)) return strip;
    const place = body.unique('place');
    body.line(`let ${place} = ${strip} * ${body.shader.size(this.#rows)} + ${row};`);
    return place;
  }

  #word(body: RowBody, variable: number, place: string): string {
    const start = this.#starts[variable];
    return equalDims(start, 0) ? place : `${body.shader.size(start)} + ${place}`;
  }

  /** Combines the states of all strips of a row and gives the results their values. */
  combine(body: RowBody, row: string): void {
    const { member } = body.place;
    const { size } = body.layout.team;
    const memory = body.shader.scratch();
    const states = this.reduce.accumulators.map((accumulator): TeamState => {
      const state = stateOf(body, accumulator, this.reduce, 1);
      return { accumulator, state, names: state.declare('r') };
    });
    const strip = body.unique('strip');
    const strips = body.shader.size(this.#strips);
    body.block(`for (var ${strip} = ${member}; ${strip} < ${strips}; ${strip} += ${size})`, () => {
      const place = this.#place(body, row, strip);
      let at = 0;
      for (const { state, names } of states) {
        const others = state.variables.map(({ dtype }) => {
          const other = body.unique('other');
          body.line(`let ${other} = ${fromWord(dtype, `${memory}[${this.#word(body, at++, place)}]`)};`);
          return other;
        });
        state.merge(names, others);
      }
    });
    body.combine(states);
    for (const { state, names } of states) state.finish(names);
  }
}
