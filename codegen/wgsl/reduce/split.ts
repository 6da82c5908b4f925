/**
 * Rows that are too few to keep a device busy: whole arrays, some long rows, some long columns. Each row is cut in
 * strips, a workgroup for each, and the unit in stages, a dispatch for each: a stage ends where a value of the whole row
 * is needed, and hands the states of its reductions on in scratch memory. Results do not depend on who comes first.
 *
 *     reduce r < N -> max; reduce s < N {... max ...} -> sum; parallel j < N {... sum ...}
 *
 *     stage 1     max of each strip                                       256 workgroups
 *     stage 2     max of the strips, by each workgroup; sum of each strip 256 workgroups
 *     stage 3     max and sum of the strips; its part of the loop         256 workgroups
 */
import { ceilDivDims, type Dim, dimBounds, dimProduct, equalDims, isStatic, mulDims } from '../../../base/dim.ts';
import type { KernelNode, KernelScratch, Reduce, ScalarId } from '../../../ir/kernel.ts';
import { likelyExtent } from '../../common/cost.ts';
import type { Unit } from '../../common/units.ts';
import { definitionsOf, freeValues, walk, writtenBy } from '../../common/walk.ts';
import type { BodyFacts } from '../body.ts';
import type { SweepGroup } from '../rows/groups.ts';
import { declareMember, declareRow, matchRows, type Rows, useOf, wholeVectors } from '../rows/plan.ts';
import { RowBody, type RowLayout } from '../rows/row-body.ts';
import { memoryOf, sweepOf } from '../rows/sweeps.ts';
import { type Team, teamsOfGroup } from '../rows/team.ts';
import { type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import { globalScratch } from '../scratch.ts';
import type { Shader } from '../shader.ts';
import type { TeamState } from './combine-team.ts';
import { Partials } from './partials.ts';

/** Workgroups that keep a device busy. */
const wantedGroups = 1024;
/** With more workgroups of rows there is nothing to gain: of a reduction alone, and where sweeps follow one another. */
const fewGroups = { once: 256, often: 64 };
/** Fewer positions in all are done before a second dispatch begins. */
const leastPositions = 2 ** 16;
const manyPositions = 2 ** 20;
const leastStrip = 4096;

export function planSplit(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const rows = matchRows(unit, context);
  if (!rows) return undefined;
  const phases = phasesOf(rows);
  if (!phases) return undefined;
  const last = Math.max(...phases.values());
  const team = splitTeam(rows);
  const strips = stripsOf(rows, team, last);
  if (strips === undefined) return undefined;
  const layout = layoutOf(rows, team, strips);
  const { axes } = rows;
  const total = dimProduct(axes.map(({ extent }) => extent));
  const perGroup = teamsOfGroup(layout.team);
  const groups = ceilDivDims(total, perGroup);
  const partials = new Map<Reduce, Partials>();
  for (const node of rows.inside) {
    if (node.kind === 'reduce') partials.set(node, new Partials(node, total, strips, context.scratch));
  }
  const arrays = placeArrays(rows, total, context);
  return Array.from({ length: last + 1 }, (_, phase): Stage => {
    const here = nodesOfPhase(rows.inside, phases, phase);
    const hasSweeps = rows.inside.some((node) => phases.get(node) === phase && sweepOf(node));
    const emit = (shader: Shader): string => {
      const body = new StripBody(shader, context.facts, layout, partials);
      body.nodes(unit.lets);
      const names = declareMember(body, layout.team);
      const { strip, group } = hasSweeps ? declareStrip(body, strips, axes.length === 0) : { group: 'i32(workgroup)' };
      const { row, exists } = declareRow(body, axes, perGroup, group, names.team);
      body.begin({ ...names, ...(strip && { strip }), ...(exists && { exists }) });
      body.row = row;
      for (const declare of arrays) declare(body, row);
      for (const node of here) {
        const earlier = node.kind === 'reduce' && phases.get(node)! < phase ? partials.get(node) : undefined;
        if (earlier) earlier.combine(body, row);
        else body.node(node);
      }
      return body.text;
    };
    return {
      workgroups: hasSweeps ? mulDims(groups, strips) : groups,
      workgroupSize: usualWorkgroup,
      use: useOf({ inside: here.filter((node) => phases.get(node) === phase), layout }),
      emit,
    };
  });
}

/** The number of a workgroup's strip, and that of its rows. */
function declareStrip(body: RowBody, strips: number, isSingle: boolean): { strip: string; group: string } {
  const strip = body.unique('strip');
  if (isSingle) {
    body.line(`let ${strip} = i32(workgroup);`);
    return { strip, group: '0' };
  }
  const group = body.unique('group');
  body.line(`let ${strip} = i32(workgroup) % ${body.shader.size(strips)};`);
  body.line(`let ${group} = i32(workgroup) / ${body.shader.size(strips)};`);
  return { strip, group };
}

/** A body whose reductions leave the states of their strip. */
class StripBody extends RowBody {
  readonly #partials: ReadonlyMap<Reduce, Partials>;
  row = '0';

  constructor(shader: Shader, facts: BodyFacts, layout: RowLayout, partials: ReadonlyMap<Reduce, Partials>) {
    super(shader, facts, layout);
    this.#partials = partials;
  }

  protected override reduced(node: Reduce, states: readonly TeamState[]): void {
    const { member, exists, strip } = this.place;
    this.block(`if (${[`${member} == 0`, ...(exists ? [exists] : [])].join(' && ')})`, () =>
      this.#partials.get(node)!.store(this, states, this.row, strip!),
    );
  }
}

const likelyRows = ({ axes }: Rows): number => axes.reduce((count, { extent }) => count * likelyExtent(extent), 1);

/** Whole workgroups for each row; for columns, as many side by side as a line of memory has. */
function splitTeam(rows: Rows): Team {
  if (rows.layout.team.layout === 'rows') return { size: usualWorkgroup, layout: 'rows' };
  const columns = likelyRows(rows);
  return { size: columns >= 32 ? 8 : columns >= 16 ? 16 : 32, layout: 'columns' };
}

/** How many strips a row has, where strips are worth it. */
function stripsOf(rows: Rows, team: Team, lastPhase: number): number | undefined {
  const { axes, layout } = rows;
  const count = likelyRows(rows);
  const isWhole = axes.length === 0;
  const likely = Math.max(
    0,
    ...[...layout.groups.values()].map(({ total }) => {
      // A whole array whose length nobody knows may well be long.
      return isStatic(total) ? total : isWhole ? Math.min(dimBounds(total)[1], 2 ** 20) : likelyExtent(total);
    }),
  );
  const perGroup = teamsOfGroup(team);
  const groups = Math.ceil(count / perGroup);
  const few = lastPhase <= 1 && likely * count >= manyPositions ? fewGroups.once : fewGroups.often;
  if (groups > few || likely * count < leastPositions) return undefined;
  const strips = Math.min(Math.ceil(wantedGroups / groups), Math.ceil((likely * perGroup) / leastStrip));
  return strips < 2 ? undefined : strips;
}

/** Nothing stays in registers, since stages are dispatches. */
function layoutOf({ layout }: Rows, team: Team, strips: number): RowLayout {
  const groups = new Map(
    [...layout.groups].map(([key, { held: _, ...group }]): [string, SweepGroup] => [
      key,
      { ...group, kept: new Set() },
    ]),
  );
  const stripLength = ({ total, lanes }: SweepGroup): Dim => {
    const round = lanes * team.size;
    return mulDims(ceilDivDims(total, strips * round), round);
  };
  return { ...layout, team, groups, stripLength };
}

/**
 * The stage in which each node is done. A value of a reduction is there in the next one, and so is memory that other
 * threads have written.
 */
function phasesOf({ inside, ownership, layout }: Rows): ReadonlyMap<KernelNode, number> | undefined {
  const phases = new Map<KernelNode, number>();
  const values = new Map<ScalarId, number>();
  const written = new Map<string, number>();
  const read = new Map<string, number>();
  for (const node of inside) {
    const sweep = sweepOf(node);
    if (!sweep && node.kind !== 'let' && node.kind !== 'store') return undefined;
    const { reads, writes } = memoryOf(node);
    const isShared = (memory: string): boolean => layout.written.has(memory);
    // Values outside of sweeps are computed anew in every stage.
    if (node.kind === 'let' && [...reads].some(isShared)) return undefined;
    let phase = 0;
    for (const id of freeValues(node)) phase = Math.max(phase, values.get(id) ?? 0);
    const wait = (memory: string): number => (ownership.own.has(memory) ? 0 : 1);
    for (const memory of [...reads, ...writes]) {
      if (written.has(memory)) phase = Math.max(phase, written.get(memory)! + wait(memory));
    }
    for (const memory of writes) if (read.has(memory)) phase = Math.max(phase, read.get(memory)! + wait(memory));
    phases.set(node, phase);
    for (const memory of reads) read.set(memory, Math.max(read.get(memory) ?? 0, phase));
    for (const memory of writes) written.set(memory, phase);
    for (const id of definitionsOf(node)) values.set(id, node.kind === 'reduce' ? phase + 1 : phase);
  }
  return phases;
}

/** What a stage does, and what that needs. */
function nodesOfPhase(
  inside: readonly KernelNode[],
  phases: ReadonlyMap<KernelNode, number>,
  phase: number,
): readonly KernelNode[] {
  const needed = new Set<ScalarId>();
  const here: KernelNode[] = [];
  for (const node of [...inside].reverse()) {
    const isWork = node.kind !== 'let' && phases.get(node) === phase;
    const isAsked = (node.kind === 'let' || node.kind === 'reduce') && definitionsOf(node).some((id) => needed.has(id));
    if (!isWork && !(isAsked && phases.get(node)! <= phase)) continue;
    here.push(node);
    // Of an earlier reduction, only the states are read.
    if (isWork || node.kind === 'let') for (const id of freeValues(node)) needed.add(id);
  }
  return here.reverse();
}

/** Scratch rows lie in scratch memory of the launch, all rows one behind the other. */
function placeArrays({ inside }: Rows, rows: Dim, { scratchArrays, scratch }: ScheduleContext) {
  const used = new Set<string>();
  for (const node of walk(inside)) for (const memory of writtenBy(node)) used.add(memory);
  return [...scratchArrays.values()]
    .filter(({ name }) => used.has(name))
    .map(({ name, dtype, size }: KernelScratch) => {
      const start = scratch.allocate(mulDims(wholeVectors(size), rows));
      return (body: RowBody, row: string): void => {
        const { shader } = body;
        const base = body.unique('base');
        body.line(
          `let ${base} = ${shader.size(start)}${equalDims(rows, 1) ? '' : ` + ${row} * ${shader.size(size)}`};`,
        );
        body.scratch.set(
          name,
          globalScratch(shader, dtype, (index) => `${base} + ${index}`),
        );
      };
    });
}
