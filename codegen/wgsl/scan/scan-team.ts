/**
 * Combines the states of the members of a team so that every member has the combination of those before it, and of
 * all: in workgroup memory by doubling steps (Hillis and Steele, 1986), or with subgroup operations as far as they reach.
 */
import type { Body } from '../body.ts';
import {
  fromMemory,
  partsOfTeam,
  stateArrays,
  type TeamNames,
  type TeamState,
  toMemory,
} from '../reduce/combine-team.ts';
import { memberStep, type Team, teamsOfGroup } from '../rows/team.ts';
import { usualWorkgroup } from '../schedule.ts';

export interface Scanned {
  /** Names of the combination of earlier members, and of all. */
  readonly before: string;
  readonly total: string;
}

/** @param one a state of one variable, which the scan changes */
export function scanInTeam(body: Body, team: Team, place: TeamNames, one: TeamState): Scanned {
  return place.width !== undefined ? scanBySubgroups(body, team, place, one) : scanByDoubling(body, team, place, one);
}

/** The array for the states of the threads, read and written as what they are. */
function arrayOf(body: Body, one: TeamState) {
  const [[array]] = stateArrays(body, [one]);
  const [variable] = one.state.variables;
  return {
    load: (index: string): string => fromMemory(variable, `${array}[${index}]`),
    store: (index: string, state: string): string => `${array}[${index}] = ${toMemory(variable, state)};`,
  };
}

const identityOf = ({ state }: TeamState): string => state.variables[0].identity;

function scanByDoubling(body: Body, team: Team, { slot, team: number, member }: TeamNames, one: TeamState): Scanned {
  const array = arrayOf(body, one);
  const [mine] = one.names;
  const distance = memberStep(team);
  const [before, total] = [body.unique('before'), body.unique('total')];
  body.line(array.store(slot, mine));
  const step = body.unique('step');
  body.block(`for (var ${step} = 1; ${step} < ${team.size}; ${step} *= 2)`, () => {
    body.line('workgroupBarrier();');
    const other = body.unique('other');
    const reach = distance === 1 ? step : `${step} * ${distance}`;
    body.line(`let ${other} = ${array.load(`max(${slot} - ${reach}, 0)`)};`);
    body.line('workgroupBarrier();');
    body.block(`if (${member} >= ${step})`, () => {
      const [combined] = one.state.combine([other], [mine]);
      body.line(`${mine} = ${combined};`);
      body.line(array.store(slot, mine));
    });
  });
  body.line('workgroupBarrier();');
  const perGroup = teamsOfGroup(team);
  const last =
    team.layout === 'columns'
      ? `${number} + ${(team.size - 1) * perGroup}`
      : perGroup === 1
        ? `${usualWorkgroup - 1}`
        : `${number} * ${team.size} + ${team.size - 1}`;
  body.line(
    `let ${before} = select(${identityOf(one)}, ${array.load(`max(${slot} - ${distance}, 0)`)}, ${member} > 0);`,
  );
  body.line(`let ${total} = ${array.load(last)};`);
  body.line('workgroupBarrier();');
  return { before, total };
}

function scanBySubgroups(body: Body, team: Team, names: TeamNames, one: TeamState): Scanned {
  const { slot, team: number, width = '', part = '' } = names;
  const array = arrayOf(body, one);
  const [mine] = one.names;
  const place = body.unique('place');
  body.line(`let ${place} = ${slot} % ${width};`);
  const step = body.unique('step');
  body.block(`for (var ${step} = 1; ${step} < ${width}; ${step} *= 2)`, () => {
    const other = body.unique('other');
    body.line(`let ${other} = subgroupShuffleUp(${mine}, u32(${step}));`);
    body.block(`if (${place} >= ${step})`, () => {
      const [combined] = one.state.combine([other], [mine]);
      body.line(`${mine} = ${combined};`);
    });
  });
  body.block(`if (${place} == ${width} - 1)`, () => body.line(array.store(part, mine)));
  const [earlier, before, total] = ['earlier', 'before', 'total'].map((name) => body.unique(name));
  body.line(`let ${earlier} = subgroupShuffleUp(${mine}, 1u);`);
  body.line('workgroupBarrier();');
  body.line(`var ${before} = ${identityOf(one)};`);
  body.line(`var ${total} = ${identityOf(one)};`);
  const at = body.unique('at');
  const { first, end } = partsOfTeam(body, team, number, width);
  body.block(`for (var ${at} = ${first}; ${at} < ${end}; ${at}++)`, () => {
    body.block(`if (${at} == ${part})`, () => body.line(`${before} = ${total};`));
    const [combined] = one.state.combine([total], [array.load(at)]);
    body.line(`${total} = ${combined};`);
  });
  body.block(`if (${place} > 0)`, () => {
    const [combined] = one.state.combine([before], [earlier]);
    body.line(`${before} = ${combined};`);
  });
  body.line('workgroupBarrier();');
  return { before, total };
}
