/**
 * The schedule of rows: a team of threads does each iteration of the outer parallel loops, where there are reductions
 * or several sweeps inside. One dispatch, however many sweeps.
 *
 *     parallel i < B { reduce j < N {...} -> max; reduce j < N {...} -> sum; parallel j < N {...} }
 *
 * Where neighbouring iterations of the outer loops are neighbours in memory, a thread for each of them reads whole
 * lines, and `threads` takes the unit if there are enough; if not, teams stand across (`columns`).
 */
import {
  addDims,
  ceilDivDims,
  type Dim,
  dimProduct,
  equalDims,
  isStatic,
  modDims,
  mulDims,
} from '../../../base/dim.ts';
import { computeDType } from '../../../base/dtype.ts';
import type { Axis, KernelNode, KernelScratch } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import { coefficientOf } from '../../common/linear-index.ts';
import type { Unit } from '../../common/units.ts';
import { walk, writtenBy } from '../../common/walk.ts';
import { variablesOf } from '../accumulators.ts';
import { laneMotion } from '../lanes.ts';
import { nameOfScratch } from '../names.ts';
import type { TeamNames } from '../reduce/combine-team.ts';
import { type BufferUse, type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import { fromWord, globalScratch, wordOf } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import { typeText } from '../storage.ts';
import { bindAxes, nestOf } from '../threads.ts';
import { groupSweeps } from './groups.ts';
import { heldType, RowBody, type RowLayout } from './row-body.ts';
import { groupOf, likelySweep, type Ownership, ownershipOf, type Sweep, sweepOf, sweepsOf } from './sweeps.ts';
import { columnTeam, rowTeam, type Team, teamsOfGroup } from './team.ts';

/** Shorter rows are the work of one thread each. */
const leastRow = 16;
/** So many columns keep a device busy with a thread each. */
const enoughColumns = 2 ** 15;
/** Variables of the accumulators of one reduction: each takes 1 KB of workgroup memory. */
const mostStateVariables = 4;
/** Words of scratch rows in workgroup memory. */
const mostRowWords = 2048;
/** Words of scratch memory that all rows together may take, where they do not fit into workgroup memory. */
const mostScratchWords = 2 ** 24;
const groupsWithScratch = 512;

/** A unit as rows. */
export interface Rows {
  readonly unit: Unit;
  readonly axes: readonly Axis[];
  readonly inside: readonly KernelNode[];
  readonly sweeps: readonly Sweep[];
  readonly ownership: Ownership;
  readonly layout: RowLayout;
}

export function planRows(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const rows = matchRows(unit, context);
  return rows && [rowStage(rows, context)];
}

/** How the loads and stores of sweeps lie: along the sweep, or across, along the innermost of the outer axes. */
export function directionOf(sweeps: readonly Sweep[], axes: readonly Axis[]): 'rows' | 'columns' {
  const outer = axes[axes.length - 1]?.name;
  let [along, across] = [0, 0];
  for (const sweep of sweeps) {
    const [{ name }] = sweep.axes.slice(-1);
    for (const node of walk(sweep.body)) {
      const index =
        node.kind === 'store'
          ? node.index
          : node.kind === 'let' && node.expression.kind === 'load'
            ? node.expression.index
            : undefined;
      if (!index) continue;
      const isShared = axes.length > 0 && axes.every((axis) => equalDims(coefficientOf(index, axis.name) ?? 1, 0));
      const weight = likelySweep(sweep) * (isShared ? 0.25 : 1);
      // What moves with both, as windows do, is best read by neighbouring threads for neighbouring windows.
      if (outer !== undefined && equalDims(coefficientOf(index, outer) ?? 0, 1)) across += weight;
      else if (equalDims(coefficientOf(index, name) ?? 0, 1)) along += weight;
    }
  }
  return along >= across ? 'rows' : 'columns';
}

const isTooMuch = (node: KernelNode): boolean =>
  node.kind === 'sort' ||
  (node.kind === 'reduce' &&
    node.accumulators.reduce((count, one) => count + variablesOf(one), 0) > mostStateVariables);

export function matchRows(unit: Unit, context: ScheduleContext): Rows | undefined {
  const { axes, inside } = nestOf(unit.nodes);
  if ([...walk(inside)].some(isTooMuch)) return undefined;
  const sweeps = [...sweepsOf(inside)];
  const isReduced = sweeps.some(({ node, scan }) => node.kind === 'reduce' || scan);
  if (!isReduced && !(sweeps.length > (axes.length > 0 ? 0 : 1) && usesScratch(inside, context))) return undefined;
  const length = Math.max(...sweeps.map(likelySweep));
  const count = axes.reduce((product, { extent }) => product * likelyExtent(extent), 1);
  const direction = directionOf(sweeps, axes);
  if (direction === 'rows' && length < leastRow) return undefined;
  if (direction === 'columns' && (count >= enoughColumns || length < 2 * leastRow)) return undefined;
  const teamFor = (steps: Dim): Team =>
    direction === 'rows' ? rowTeam(steps) : columnTeam(likelyExtent(steps), count);
  const { ownership, layout } = layoutRows(axes, inside, sweeps, context, teamFor);
  return layout.team.size === 1 ? undefined : { unit, axes, inside, sweeps, ownership, layout };
}

/** @param teamFor the team for so many steps */
export function layoutRows(
  axes: readonly Axis[],
  inside: readonly KernelNode[],
  sweeps: readonly Sweep[],
  { kernel, scratchArrays }: ScheduleContext,
  teamFor: (steps: Dim) => Team,
): Pick<Rows, 'ownership' | 'layout'> {
  const scratch = new Set(scratchArrays.keys());
  const ownership = ownershipOf(inside, scratch, axes);
  const written = new Set<string>();
  for (const node of walk(inside)) for (const memory of writtenBy(node)) written.add(memory);
  const sizes = axes.length === 0 ? new Map(kernel.buffers.map(({ name, size }) => [name, size])) : undefined;
  const { team, groups } = groupSweeps(sweeps, teamFor, ownership, written, scratch, sizes);
  return { ownership, layout: { team, groups, own: ownership.own, written } };
}

const usesScratch = (nodes: readonly KernelNode[], { scratchArrays }: ScheduleContext): boolean =>
  [...walk(nodes)].some((node) => node.kind === 'store' && scratchArrays.has(node.memory));

/** @param leave what a thread does when its row is done; `row` is the number of the row */
export function rowStage(rows: Rows, context: ScheduleContext, leave?: (body: RowBody, row: string) => void): Stage {
  const { unit, axes, inside, layout } = rows;
  const { team } = layout;
  const perGroup = teamsOfGroup(team);
  const groups = ceilDivDims(dimProduct(axes.map(({ extent }) => extent)), perGroup);
  const scratch = placeScratch(rows, groups, context);
  const emit = (shader: Shader): string => {
    const body = new RowBody(shader, context.facts, layout);
    body.nodes(unit.lets);
    const names = declareMember(body, team);
    const number = names.team;
    const one = (group: string): void => {
      scratch.declare(body, shader, group, number);
      const { row, exists } = declareRow(body, axes, perGroup, group, number);
      body.begin({ ...names, ...(exists && { exists }) });
      body.nodes(inside);
      leave?.(body, row);
    };
    if (scratch.groups === undefined) one('i32(workgroup)');
    else {
      const group = body.unique('group');
      const [step, end] = [shader.size(scratch.groups), shader.size(groups)];
      body.block(`for (var ${group} = i32(workgroup); ${group} < ${end}; ${group} += ${step})`, () => {
        one(group);
        body.line('storageBarrier();');
      });
    }
    return body.text;
  };
  return { workgroups: scratch.groups ?? groups, workgroupSize: usualWorkgroup, use: useOf(rows), emit };
}

/** Names for the place of a thread. */
export function declareMember(body: RowBody, team: Team): TeamNames {
  const perGroup = teamsOfGroup(team);
  const slot = body.unique('thread');
  body.line(`let ${slot} = i32(local);`);
  let [number, member] = ['0', slot];
  if (perGroup > 1) {
    [number, member] = [body.unique('team'), body.unique('member')];
    const [quotient, rest] = team.layout === 'rows' ? [number, member] : [member, number];
    const by = team.layout === 'rows' ? team.size : perGroup;
    body.line(`let ${quotient} = ${slot} / ${by};`);
    body.line(`let ${rest} = ${slot} % ${by};`);
  }
  const hasSubgroups = body.shader.options.tier.subgroups && team.layout === 'rows';
  if (!hasSubgroups) return { slot, team: number, member };
  const [width, part] = [body.unique('width'), body.unique('part')];
  body.line(`let ${width} = ${perGroup === 1 ? 'i32(subgroup_width)' : `min(i32(subgroup_width), ${team.size})`};`);
  body.line(`let ${part} = ${slot} / ${width};`);
  return { slot, team: number, member, width, part };
}

/** The row of a team and the axes that follow from it; a team beyond the last row takes the last one once more. */
export function declareRow(body: RowBody, axes: readonly Axis[], perGroup: number, group: string, team: string) {
  const { shader } = body;
  const total = dimProduct(axes.map(({ extent }) => extent));
  const row = body.unique('row');
  const wanted = perGroup === 1 ? group : `${group} * ${perGroup} + ${team}`;
  let exists: string | undefined;
  if (equalDims(modDims(total, perGroup), 0)) body.line(`let ${row} = ${wanted};`);
  else {
    exists = body.unique('exists');
    body.line(`let ${exists} = ${wanted} < ${shader.size(total)};`);
    body.line(`let ${row} = min(${wanted}, ${shader.size(total)} - 1);`);
  }
  bindAxes(body, axes, row);
  return { row, exists };
}

/** What sweeps read and write at once, and what is written element by element. */
export function useOf({ inside, layout }: Pick<Rows, 'inside' | 'layout'>): BufferUse {
  const [vectorReads, vectorWrites, scalarWrites] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const visit = (nodes: readonly KernelNode[]): void => {
    for (const node of nodes) {
      const sweep = sweepOf(node);
      const group = sweep && layout.groups.get(groupOf(sweep));
      const axis = group?.lanes === 4 ? sweep?.axes[sweep.axes.length - 1].name : undefined;
      for (const inner of sweep ? walk(sweep.body) : [node]) {
        if (inner.kind === 'store') {
          const isVector = axis !== undefined && laneMotion(inner.index, axis) === 'vector';
          (isVector ? vectorWrites : scalarWrites).add(inner.memory);
        } else if (axis !== undefined && inner.kind === 'let' && inner.expression.kind === 'load') {
          if (laneMotion(inner.expression.index, axis) === 'vector') vectorReads.add(inner.expression.memory);
        }
      }
      if (!sweep && (node.kind === 'loop' || node.kind === 'reduce')) visit(node.body);
    }
  };
  visit(inside);
  return { vectorReads, vectorWrites, scalarWrites };
}

/** Room for the last vector of an array. */
export const wholeVectors = (size: Dim): Dim => mulDims(ceilDivDims(size, 4), 4);

interface PlacedScratch {
  /** How many workgroups there are, where not one for each group of rows. */
  readonly groups?: Dim;
  declare(body: RowBody, shader: Shader, group: string, team: string): void;
}

/** Scratch rows in registers, in workgroup memory or, where they are long, in scratch memory of the launch. */
function placeScratch(
  { inside, ownership, layout }: Rows,
  groups: Dim,
  { scratchArrays, scratch }: ScheduleContext,
): PlacedScratch {
  const used = new Set<string>();
  for (const node of walk(inside))
    for (const memory of writtenBy(node)) if (scratchArrays.has(memory)) used.add(memory);
  const teams = teamsOfGroup(layout.team);
  const held: KernelScratch[] = [];
  const others: KernelScratch[] = [];
  for (const array of scratchArrays.values()) {
    if (!used.has(array.name)) continue;
    const group = layout.groups.get(ownership.atPosition.get(array.name) ?? '');
    (group?.held === undefined ? others : held).push(array);
  }
  const words = mulDims(
    others.reduce<Dim>((sum, { size }) => addDims(sum, wholeVectors(size)), 0),
    teams,
  );
  const inWorkgroup = isStatic(words) && words <= mostRowWords;
  const limit = isStatic(words) ? Math.max(64, Math.floor(mostScratchWords / Math.max(1, words))) : groupsWithScratch;
  const isBounded = isStatic(groups) && groups <= limit;
  const places = inWorkgroup
    ? []
    : others.map(({ size }) =>
        scratch.allocate(mulDims(mulDims(wholeVectors(size), teams), isBounded ? groups : limit)),
      );
  return {
    ...(!inWorkgroup && !isBounded && { groups: limit }),
    declare: (body, shader, group, team) => {
      for (const { name, dtype } of held) {
        const { held: steps, lanes } = layout.groups.get(ownership.atPosition.get(name)!)!;
        const variable = body.unique(nameOfScratch(name));
        body.line(`var ${variable}: ${heldType(typeText(dtype, lanes), steps!)};`);
        body.holdArray(name, variable);
      }
      let start = 0;
      others.forEach(({ name, dtype, size }, i) => {
        // Neighbouring threads touch neighbouring words, whichever way the teams stand.
        const inTeam = (index: string): string => {
          if (teams === 1) return index;
          return layout.team.layout === 'rows'
            ? `${team} * ${shader.size(size)} + ${index}`
            : `(${index}) * ${teams} + ${team}`;
        };
        if (inWorkgroup) {
          const memory = shader.declare('row_words', `var<workgroup> row_words: array<u32, ${mostRowWords}>;`);
          const from = start;
          const place = (index: string): string => (from === 0 ? inTeam(index) : `${from} + ${inTeam(index)}`);
          body.scratch.set(name, {
            dtype: computeDType(dtype),
            load: (index) => fromWord(dtype, `${memory}[${place(index)}]`),
            store: (index, value) => `${memory}[${place(index)}] = ${wordOf(dtype, value)};`,
          });
          body.workgroupArrays.add(name);
          start += Number(wholeVectors(size)) * teams;
          return;
        }
        const each = shader.size(mulDims(wholeVectors(size), teams));
        const from = shader.size(places[i]);
        // A workgroup that does several groups of rows does them one after the other, in the same place.
        const base = body.unique('base');
        body.line(`let ${base} = ${from} + ${isBounded ? group : 'i32(workgroup)'} * ${each};`);
        body.scratch.set(
          name,
          globalScratch(shader, dtype, (index) => `${base} + ${inTeam(index)}`),
        );
      });
    },
  };
}
