/**
 * Combines the states of the members of a team, so that every member has the result: in workgroup memory as a tree, or
 * with subgroup operations as far as subgroups reach and one step in workgroup memory.
 *
 *     tree          states[slot] = r; then halves: states[slot] with states[slot + step]
 *     subgroups     within the subgroup by shuffles, then one state a subgroup from workgroup memory
 *
 * Subgroups may have any size from 4 to 128; threads of a workgroup fill them in order.
 */
import { isFloat } from '../../../base/dtype.ts';
import type { Accumulator } from '../../../ir/kernel.ts';
import type { AccumulatorState, StateVariable } from '../accumulators.ts';
import type { Body } from '../body.ts';
import { memberStep, type Team, teamsOfGroup } from '../rows/team.ts';
import { usualWorkgroup } from '../schedule.ts';
import { fromWord, wordOf } from '../scratch.ts';

/** Names that a thread has for its place. */
export interface TeamNames {
  /** The number of the thread in the workgroup, of its team, and of itself in the team: int32. */
  readonly slot: string;
  readonly team: string;
  readonly member: string;
  /** With subgroups, how many members of a team stand in one of them, and which such part this is: int32. */
  readonly width?: string;
  readonly part?: string;
}

/** A state that is to be combined: its accumulator, its code, the variables of this thread. */
export interface TeamState {
  readonly accumulator: Accumulator;
  readonly state: AccumulatorState;
  readonly names: readonly string[];
}

/** Writes the combination into the variables of every member. All threads of the workgroup run it. */
export function combineInTeam(body: Body, team: Team, place: TeamNames, states: readonly TeamState[]): void {
  if (team.size === 1) return;
  if (place.width !== undefined) combineBySubgroups(body, team, place, states);
  else combineAsTree(body, team, place, states);
}

/**
 * Arrays of workgroup memory, one state variable a thread. Floats have theirs and everything else shares words, so that
 * all reductions of a kernel fit into the 16 KiB that every adapter has, beside scratch rows (`mostRowWords`).
 */
export function stateArrays(body: Body, states: readonly TeamState[]): string[][] {
  const counts = new Map<string, number>();
  return states.map(({ state }) =>
    state.variables.map((variable) => {
      const element = isFloat(variable.dtype) ? 'f32' : 'u32';
      const at = counts.get(element) ?? 0;
      counts.set(element, at + 1);
      const name = `states_${element}${at === 0 ? '' : `_${at}`}`;
      return body.shader.declare(name, `var<workgroup> ${name}: array<${element}, ${usualWorkgroup}>;`);
    }),
  );
}

/** A state variable as an element of its array, and back. */
export const toMemory = ({ dtype }: StateVariable, text: string): string =>
  isFloat(dtype) ? text : wordOf(dtype, text);
export const fromMemory = ({ dtype }: StateVariable, text: string): string =>
  isFloat(dtype) ? text : fromWord(dtype, text);

/** Writes states to the place of workgroup memory that `index` names. */
function put(body: Body, states: readonly TeamState[], arrays: readonly (readonly string[])[], index: string): void {
  states.forEach(({ state, names }, i) => {
    names.forEach((name, j) => {
      body.line(`${arrays[i][j]}[${index}] = ${toMemory(state.variables[j], name)};`);
    });
  });
}

/** Texts of the state that lies there. */
const taken = ({ state }: TeamState, arrays: readonly string[], index: string): string[] =>
  state.variables.map((variable, j) => fromMemory(variable, `${arrays[j]}[${index}]`));

/** A state under names, so that it may be mentioned often. */
function named(body: Body, texts: readonly string[], wanted: string): string[] {
  return texts.map((text) => {
    const name = body.unique(wanted);
    body.line(`let ${name} = ${text};`);
    return name;
  });
}

function combineAsTree(
  body: Body,
  team: Team,
  { slot, team: number, member }: TeamNames,
  states: readonly TeamState[],
) {
  const arrays = stateArrays(body, states);
  const distance = memberStep(team);
  put(body, states, arrays, slot);
  const step = body.unique('step');
  body.block(`for (var ${step} = ${team.size / 2}; ${step} > 0; ${step} /= 2)`, () => {
    body.line('workgroupBarrier();');
    body.block(`if (${member} < ${step})`, () => {
      const other = distance === 1 ? `${slot} + ${step}` : `${slot} + ${step} * ${distance}`;
      states.forEach((one, i) => {
        one.state.merge(one.names, named(body, taken(one, arrays[i], other), 'other'));
      });
      put(body, states, arrays, slot);
    });
  });
  body.line('workgroupBarrier();');
  const first = firstSlot(team, number);
  states.forEach((one, i) => {
    taken(one, arrays[i], first).forEach((text, j) => {
      body.line(`${one.names[j]} = ${text};`);
    });
  });
  // The next combination writes to the same memory.
  body.line('workgroupBarrier();');
}

/** The number of the first member of a team. */
function firstSlot(team: Team, number: string): string {
  if (team.layout === 'columns') return number;
  return teamsOfGroup(team) === 1 ? '0' : `${number} * ${team.size}`;
}

/** Ops of whole subgroups that combine as the accumulator does. */
function subgroupOperation({ accumulator, state }: TeamState): ((text: string) => string) | undefined {
  const [{ type }] = state.variables;
  if (accumulator.kind === 'sum' && type !== 'bool') return (text) => `subgroupAdd(${text})`;
  // Of floats, the builtins need not heed NaN.
  const isInteger = type === 'i32' || type === 'u32';
  if (accumulator.kind === 'max' && isInteger) return (text) => `subgroupMax(${text})`;
  if (accumulator.kind === 'min' && isInteger) return (text) => `subgroupMin(${text})`;
  if (accumulator.kind === 'and' && type === 'bool') return (text) => `subgroupAll(${text})`;
  if (accumulator.kind === 'or' && type === 'bool') return (text) => `subgroupAny(${text})`;
  return undefined;
}

function combineBySubgroups(body: Body, team: Team, place: TeamNames, states: readonly TeamState[]): void {
  const isWhole = team.size === usualWorkgroup;
  const { slot, team: number, width = '', part = '' } = place;
  const shuffled: TeamState[] = [];
  for (const one of states) {
    const operation = isWhole ? subgroupOperation(one) : undefined;
    if (operation) body.line(`${one.names[0]} = ${operation(one.names[0])};`);
    else shuffled.push(one);
  }
  if (shuffled.length > 0) {
    const step = body.unique('step');
    body.block(`for (var ${step} = 1; ${step} < ${width}; ${step} *= 2)`, () => {
      for (const one of shuffled) {
        const others = one.state.variables.map((variable, j) =>
          fromMemory(variable, `subgroupShuffleXor(${toMemory(variable, one.names[j])}, u32(${step}))`),
        );
        one.state.merge(one.names, named(body, others, 'other'));
      }
    });
  }
  // Without this step each member has the same state but for the order of its parts.
  const arrays = stateArrays(body, states);
  body.block(`if (${slot} % ${width} == 0)`, () => put(body, states, arrays, part));
  body.line('workgroupBarrier();');
  const { first, end } = partsOfTeam(body, team, number, width);
  states.forEach((one, i) => {
    taken(one, arrays[i], first).forEach((text, j) => {
      body.line(`${one.names[j]} = ${text};`);
    });
  });
  const at = body.unique('at');
  body.block(`for (var ${at} = ${isWhole ? '1' : `${first} + 1`}; ${at} < ${end}; ${at}++)`, () => {
    states.forEach((one, i) => {
      one.state.merge(one.names, named(body, taken(one, arrays[i], at), 'other'));
    });
  });
  body.line('workgroupBarrier();');
}

/** Where the parts of a team, one a subgroup, begin and end. */
export function partsOfTeam(body: Body, team: Team, number: string, width: string): { first: string; end: string } {
  if (team.size === usualWorkgroup) return { first: '0', end: `${usualWorkgroup} / ${width}` };
  const first = body.unique('first');
  body.line(`let ${first} = ${number} * (${team.size} / ${width});`);
  return { first, end: `${first} + ${team.size} / ${width}` };
}
