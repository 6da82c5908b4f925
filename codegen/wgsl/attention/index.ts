/**
 * The schedule for row kernels with contractions, such as attention: a workgroup does a block of rows, phase by phase.
 * Contractions go through tiles of both factors in workgroup memory; what lies between them is done by teams, one a
 * row. Scores of the block lie in scratch memory of the workgroup: of a long row no more is stored than the blocks that
 * are at work, never all rows.
 *
 *     block of 32 queries:   scores = q kᵀ     softmax by teams of 8 threads     out = p v
 */
import { addDims, ceilDivDims, type Dim, dimProduct, isStatic, mulDims } from '../../../base/dim.ts';
import type { KernelNode } from '../../../ir/kernel.ts';
import type { Unit } from '../../common/units.ts';
import { definitionsOf, walk, writtenBy } from '../../common/walk.ts';
import { groupSweeps } from '../rows/groups.ts';
import { RowBody, type RowLayout } from '../rows/row-body.ts';
import { sweepsOf } from '../rows/sweeps.ts';
import type { Team } from '../rows/team.ts';
import { type BufferUse, type ScheduleContext, type Stage, usualWorkgroup } from '../schedule.ts';
import type { Shader } from '../shader.ts';
import { bindAxes } from '../threads.ts';
import { bindHanded, bindRowMemory, blockRows, ContractionWriter, type Starts } from './contract.ts';
import { type AttentionRows, matchAttention, nameOfHanded } from './match.ts';

/** Words of scratch memory that all blocks at work may take, and how many of them there are where sizes vary. */
const mostScratchWords = 2 ** 24;
const leastGroups = 64;
const groupsWithSizes = 512;

const team: Team = { size: usualWorkgroup / blockRows, layout: 'rows' };

export function planAttention(unit: Unit, context: ScheduleContext): readonly Stage[] | undefined {
  const rows = matchAttention(unit, context);
  if (!rows) return undefined;
  const { row, outer, arrays, inside } = rows;
  const inRow = ceilDivDims(row.extent, blockRows);
  const blocks = dimProduct([...outer.map(({ extent }) => extent), inRow]);
  const words = mulDims(
    arrays.reduce<Dim>((sum, { size }) => addDims(sum, size), 0),
    blockRows,
  );
  const most = isStatic(words)
    ? Math.max(leastGroups, Math.floor(mostScratchWords / Math.max(1, words)))
    : groupsWithSizes;
  const groups = isStatic(blocks) ? Math.min(blocks, most) : most;
  const starts = new Map(
    arrays.map(({ name, size }) => [name, context.scratch.allocate(mulDims(size, groups * blockRows))]),
  );
  return [
    {
      workgroups: groups,
      workgroupSize: usualWorkgroup,
      needsAllMemory: true,
      use: useOf(inside),
      emit: (shader) => emit(shader, rows, context, starts, { blocks, inRow, groups }),
    },
  ];
}

const useOf = (nodes: readonly KernelNode[]): BufferUse => ({
  vectorReads: new Set(),
  vectorWrites: new Set(),
  scalarWrites: new Set([...walk(nodes)].flatMap((node) => (node.kind === 'store' ? [node.memory] : []))),
});

interface Blocks {
  readonly blocks: Dim;
  /** Blocks of the rows of one iteration of the outer loops. */
  readonly inRow: Dim;
  readonly groups: number;
}

/** How teams go over the sweeps of their rows. Threads wait for each other, as contractions are shared out otherwise. */
function layoutOf({ inside, contractions }: AttentionRows, { scratchArrays }: ScheduleContext): RowLayout {
  const sweeps = [...sweepsOf(inside.filter((node) => !contractions.has(node)))];
  const written = new Set([...walk(inside)].flatMap((node) => [...writtenBy(node)]));
  const ownership = { own: new Set<string>(), atPosition: new Map<string, string>() };
  const { groups } =
    sweeps.length === 0
      ? { groups: new Map() }
      : groupSweeps(sweeps, () => team, ownership, written, new Set(scratchArrays.keys()));
  return { team, groups, own: ownership.own, written };
}

function emit(
  shader: Shader,
  rows: AttentionRows,
  context: ScheduleContext,
  starts: Starts,
  { blocks, inRow, groups }: Blocks,
): string {
  const { row, outer } = rows;
  const body = new BlockBody(shader, context, rows, starts);
  body.line(`let slot = i32(local) / ${team.size};`);
  body.line(`let member = i32(local) % ${team.size};`);
  body.line('let group = i32(workgroup);');
  const count = shader.size(inRow);
  const one = (block: string): void => {
    bindAxes(body, outer, body.named('outer', `${block} / ${count}`));
    body.line(`let first = ${block} % ${count} * ${blockRows};`);
    body.line(`let exists = first + slot < ${shader.size(row.extent)};`);
    body.axes.set(row.name, body.named(`${row.name}_`, `min(first + slot, ${shader.size(row.extent)} - 1)`));
    bindRowMemory(body, rows, starts, 'group', 'slot');
    bindHanded(body, rows, context);
    body.begin({ slot: 'i32(local)', team: 'slot', member: 'member', exists: 'exists' });
    body.nodes(rows.inside);
  };
  if (blocks === groups) one('group');
  else {
    body.block(`for (var block = group; block < ${shader.size(blocks)}; block += ${groups})`, () => {
      one('block');
      body.barrier();
    });
  }
  return body.text;
}

/** The rows of a block: contractions are taken over, the rest is that of rows. */
class BlockBody extends RowBody {
  readonly #context: ScheduleContext;
  readonly #rows: AttentionRows;
  readonly #starts: Starts;

  constructor(shader: Shader, context: ScheduleContext, rows: AttentionRows, starts: Starts) {
    super(shader, context.facts, layoutOf(rows, context));
    this.#context = context;
    this.#rows = rows;
    this.#starts = starts;
    for (const name of ['slot', 'member', 'group', 'first', 'exists', 'block', 'column', 'side', 'k', 'at', 'depth']) {
      this.unique(name);
    }
  }

  named(wanted: string, text: string): string {
    const name = this.unique(wanted);
    this.line(`let ${name} = ${text};`);
    return name;
  }

  /** All threads have done what comes before. */
  barrier(): void {
    this.line('storageBarrier();');
    this.line('workgroupBarrier();');
  }

  override node(node: KernelNode): void {
    const contraction = this.#rows.contractions.get(node);
    if (contraction) {
      this.barrier();
      new ContractionWriter(this, this.#context, this.#rows, this.#starts, { first: 'first', group: 'group' }).write(
        contraction,
      );
      this.barrier();
      return;
    }
    super.node(node);
    for (const id of definitionsOf(node)) {
      if (!this.#rows.handed.has(id)) continue;
      const array = this.array(nameOfHanded(id));
      const value = this.value(id).text;
      this.block('if (member == 0)', () => this.line(array.store('slot', value)));
    }
  }
}
