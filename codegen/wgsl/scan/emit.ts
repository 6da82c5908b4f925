/**
 * A scan by a team: as many positions at once as the team has members, or four times as many where a member does four
 * neighbours; what the positions before come to is carried along.
 *
 *     for (base = 0; base < N; base += 256) { v = x[base + member]; before, total = scan of v; y[…] = carry + before + v; … }
 */
import type { Reduce } from '../../../ir/kernel.ts';
import { stateOf } from '../accumulators.ts';
import { nameOfAxis } from '../names.ts';
import type { TeamState } from '../reduce/combine-team.ts';
import type { SweepGroup } from '../rows/groups.ts';
import type { RowBody } from '../rows/row-body.ts';
import type { Sweep } from '../rows/sweeps.ts';
import type { Scan } from './match.ts';
import { scanInTeam } from './scan-team.ts';

export function emitScan(body: RowBody, sweep: Sweep, group: SweepGroup, scan: Scan): void {
  const { combination, initial, next, first, then } = scan;
  const { lanes, total: extent } = group;
  const { member } = body.place;
  const { team } = body.layout;
  const [{ name }] = sweep.axes;
  const asReduce: Reduce = { kind: 'reduce', axes: sweep.axes, body: [], accumulators: [combination], order: 'lanes' };
  const state = stateOf(body, combination, asReduce, 1);
  const [{ dtype, identity }] = state.variables;
  const combined = (left: string, right: string): string => state.combine([left], [right])[0];
  const size = body.shader.size(extent);
  const [carry, base, wanted, position] = ['carry', 'base', 'wanted', nameOfAxis(name)].map((n) => body.unique(n));
  body.line(`var ${carry} = ${body.textOf(initial, 1)};`);
  body.block(`for (var ${base} = 0; ${base} < ${size}; ${base} += ${team.size * lanes})`, () => {
    body.line(`let ${wanted} = ${base} + ${lanes === 4 ? `4 * ${member}` : member};`);
    // Members beyond the end do the last position again, and count for nothing.
    body.line(`let ${position} = min(${wanted}, ${size} - ${lanes});`);
    const exists = body.unique('inside');
    body.line(`let ${exists} = ${wanted} < ${size};`);
    body.at(sweep, group, position, '', () => {
      body.nodes(first);
      const value = body.textOf(combination.value, lanes);
      const running = Array.from({ length: lanes }, () => body.unique('running'));
      running.forEach((lane, k) => {
        const element = lanes === 4 ? `${value}[${k}]` : value;
        body.line(`let ${lane} = ${k === 0 ? element : combined(running[k - 1], element)};`);
      });
      const mine = body.unique('mine');
      body.line(`var ${mine} = select(${identity}, ${running[lanes - 1]}, ${exists});`);
      const one: TeamState = { accumulator: combination, state, names: [mine] };
      const { before, total } = scanInTeam(body, team, body.place, one);
      const start = body.unique('start');
      body.line(`let ${start} = ${combined(carry, before)};`);
      body.block(`if (${exists})`, () => {
        const results = running.map((lane) => combined(start, lane));
        const result = body.unique(`v${next}`);
        const type = state.variables[0].type;
        body.line(`let ${result} = ${lanes === 4 ? `vec4<${type}>(${results.join(', ')})` : results[0]};`);
        body.bind(next, { text: result, dtype, lanes });
        body.nodes(then);
      });
      body.line(`${carry} = ${combined(carry, total)};`);
    });
  });
  body.bind(combination.result, { text: carry, dtype, lanes: 1 });
}
