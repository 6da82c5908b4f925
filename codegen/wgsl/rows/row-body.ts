/**
 * The statements of a thread that does rows together with the other members of its team. Outside of sweeps all members
 * do the same; a sweep is dealt to them; what is stored outside of sweeps, the first member stores.
 *
 *     row = 8 * workgroup + team            i, j, … follow from it
 *     reduce r < N {...} -> sum             for (r = member; r < N; r += 32) {...}, and the sums of the members combined
 *
 * Barriers stand where a member reads what another wrote. They are in uniform control flow: loops outside of sweeps run
 * over sizes, and teams beyond the last row do the last one again, but store nothing.
 */
import { type Dim, dimBounds } from '../../../base/dim.ts';
import { computeDType } from '../../../base/dtype.ts';
import type { Accumulator, KernelNode, Let, Reduce, Store } from '../../../ir/kernel.ts';
import { axesOf } from '../../common/walk.ts';
import { type AccumulatorState, isScalar, stateOf } from '../accumulators.ts';
import { Body, type BodyFacts } from '../body.ts';
import { nameOfAxis } from '../names.ts';
import { combineInTeam, type TeamNames, type TeamState } from '../reduce/combine-team.ts';
import { emitScan } from '../scan/emit.ts';
import type { Shader } from '../shader.ts';
import { typeText } from '../storage.ts';
import { bindAxes } from '../threads.ts';
import { keptKey, mayExceed, type SweepGroup } from './groups.ts';
import { groupOf, memoryOf, type Sweep, sweepOf } from './sweeps.ts';
import type { Team } from './team.ts';

/** What a schedule has decided about the rows of a stage. */
export interface RowLayout {
  readonly team: Team;
  readonly groups: ReadonlyMap<string, SweepGroup>;
  /** Written memory that no thread waits for. */
  readonly own: ReadonlySet<string>;
  /** Memory that the unit writes. */
  readonly written: ReadonlySet<string>;
  /** Positions of a group that a strip has, where rows are cut in strips. */
  readonly stripLength?: (group: SweepGroup) => Dim;
}

/** Where this thread is. */
export interface RowPlace extends TeamNames {
  /** A condition that holds for rows that exist, where not all teams have one. */
  readonly exists?: string;
  /** The number of the strip, where the row is cut in strips. */
  readonly strip?: string;
}

/** Steps in one partial sum. Positions go beyond an axis by less than a counter holds (`longestAxis`). */
const summedInARow = 128;

interface Running {
  readonly sweep: Sweep;
  readonly group: SweepGroup;
  /** What stands behind the name of a held array. */
  readonly held: string;
}

/** A variable for what a sweep loads and later ones need. */
interface Kept {
  readonly name: string;
  readonly isFilled: boolean;
}

export class RowBody extends Body {
  readonly layout: RowLayout;
  #place: RowPlace | undefined;
  /** The sweep that the code is in. */
  #sweep: Running | undefined;
  /** Variables that hold scratch arrays, and what was loaded in an earlier sweep. */
  readonly #heldArrays = new Map<string, string>();
  #kept = new Map<string, Kept>();
  /** What an iteration of a loop that begins reads of the one before. */
  #handedOn: readonly string[] = [];
  readonly #readSince = new Set<string>();
  readonly #writtenSince = new Set<string>();
  /** Scratch arrays that lie in workgroup memory. */
  readonly workgroupArrays = new Set<string>();

  constructor(shader: Shader, facts: BodyFacts, layout: RowLayout) {
    super(shader, facts);
    this.layout = layout;
  }

  get place(): RowPlace {
    return this.#place!;
  }

  begin(place: RowPlace): void {
    this.#place = place;
  }

  /** Scratch arrays that each thread holds its elements of. */
  holdArray(memory: string, name: string): void {
    this.#heldArrays.set(memory, name);
  }

  override node(node: KernelNode): void {
    if (this.#sweep || !this.#place) {
      super.node(node);
      return;
    }
    const sweep = sweepOf(node);
    if (sweep || node.kind === 'let' || node.kind === 'store') this.#fence(node);
    if (sweep) this.#deal(sweep);
    else if (node.kind === 'store') this.#storeOnce(node);
    else if (node.kind === 'let') super.node(node);
    else this.#repeat(node);
  }

  /** A loop or a reduction that all members do. */
  #repeat(node: KernelNode): void {
    const { reads, writes } = memoryOf(node);
    const before = new Map(this.#kept);
    // Barriers inside do not stand for those who do not come there.
    const mayNotRun = axesOf(node).some(({ extent }) => dimBounds(extent)[0] < 1);
    const [read, written] = mayNotRun ? [[...this.#readSince], [...this.#writtenSince]] : [[], []];
    this.#handedOn = [...writes].filter((memory) => reads.has(memory) && !this.layout.own.has(memory));
    super.node(node);
    this.#kept = before;
    for (const memory of read) this.#readSince.add(memory);
    for (const memory of written) this.#writtenSince.add(memory);
  }

  override nodes(nodes: readonly KernelNode[]): void {
    if (this.#handedOn.length > 0) {
      const memory = this.#handedOn;
      this.#handedOn = [];
      this.#barrier(memory);
    }
    super.nodes(nodes);
  }

  /** A barrier, where the node depends on what other members have done. */
  #fence(node: KernelNode): void {
    const { reads, writes } = memoryOf(node);
    const isShared = (memory: string): boolean => this.layout.written.has(memory) && !this.layout.own.has(memory);
    const clashes = [
      ...[...reads, ...writes].filter((memory) => this.#writtenSince.has(memory)),
      ...[...writes].filter((memory) => this.#readSince.has(memory)),
    ];
    if (clashes.length > 0) this.#barrier(clashes);
    for (const memory of reads) if (isShared(memory)) this.#readSince.add(memory);
    for (const memory of writes) if (isShared(memory)) this.#writtenSince.add(memory);
  }

  #barrier(memory: Iterable<string>): void {
    const all = [...memory, ...this.#writtenSince, ...this.#readSince];
    if (all.some((name) => !this.workgroupArrays.has(name))) this.line('storageBarrier();');
    if (all.some((name) => this.workgroupArrays.has(name))) this.line('workgroupBarrier();');
    this.#writtenSince.clear();
    this.#readSince.clear();
  }

  /** A store outside of sweeps is the first member's. */
  #storeOnce(node: Store): void {
    const { exists, strip, member } = this.place;
    const conditions = [`${member} == 0`, ...(exists ? [exists] : []), ...(strip ? [`${strip} == 0`] : [])];
    this.block(`if (${conditions.join(' && ')})`, () => this.#write(node));
  }

  override let(node: Let): void {
    const { expression, id } = node;
    const held = this.#sweep?.held;
    if (!this.#sweep || held === undefined || expression.kind !== 'load') {
      super.let(node);
      return;
    }
    const array = this.#heldArrays.get(expression.memory);
    const { lanes } = this.#sweep.group;
    const dtype = computeDType(node.dtype);
    if (array !== undefined) {
      this.define(id, dtype, lanes, `${array}${held}`);
      return;
    }
    const key = keptKey(node, this.#sweep.sweep);
    const kept = key === undefined ? undefined : this.#kept.get(key);
    if (kept?.isFilled) {
      this.define(id, dtype, lanes, `${kept.name}${held}`);
      return;
    }
    super.let(node);
    if (key === undefined || !kept) return;
    this.line(`${kept.name}${held} = ${this.value(id).text};`);
    this.#kept.set(key, { ...kept, isFilled: true });
  }

  override store(node: Store): void {
    const array = this.#sweep && this.#heldArrays.get(node.memory);
    const { exists } = this.place;
    if (array !== undefined) {
      const { held, group } = this.#sweep!;
      this.line(`${array}${held} = ${this.textOf(node.value, group.lanes)};`);
    } else if (exists && !this.scratch.has(node.memory)) this.block(`if (${exists})`, () => this.#write(node));
    else this.#write(node);
  }

  #write(node: Store): void {
    for (const key of [...this.#kept.keys()]) if (key.startsWith(`${node.memory} `)) this.#kept.delete(key);
    super.store(node);
  }

  #deal(sweep: Sweep): void {
    const group = this.layout.groups.get(groupOf(sweep))!;
    const { node } = sweep;
    if (sweep.scan) emitScan(this, sweep, group, sweep.scan);
    else if (node.kind === 'reduce') this.#reduce(node, sweep, group);
    else {
      // What the last vector writes beyond the end is padding.
      this.#go(sweep, { ...group, end: group.total }, () => this.nodes(sweep.body));
    }
  }

  #reduce(node: Reduce, sweep: Sweep, group: SweepGroup): void {
    const states = node.accumulators.map((accumulator) => ({
      accumulator,
      state: stateOf(this, accumulator, node, isScalar(accumulator) ? 1 : group.lanes),
    }));
    const totals = states.map(({ state }) => state.declare('r'));
    const length = this.place.strip !== undefined ? this.layout.stripLength?.(group) : undefined;
    const steps = { total: length ?? group.total, lanes: group.lanes };
    const isLong = group.held === undefined && mayExceed(steps, this.layout.team, summedInARow);
    const inBlocks = isLong && states.some(({ state }) => state.isFloatSum);
    const take = (into: readonly (readonly string[])[]): void => {
      this.nodes(sweep.body);
      states.forEach(({ state, accumulator }, i) => {
        if (group.lanes === 4 && isScalar(accumulator)) {
          for (const lane of [0, 1, 2, 3]) state.merge(into[i], state.element(lane));
        } else state.step(into[i]);
      });
    };
    if (inBlocks) {
      this.#goInBlocks(sweep, group, () => {
        const partials = states.map(({ state }) => state.declare('partial'));
        return {
          step: () => take(partials),
          end: () => states.forEach(({ state }, i) => void state.merge(totals[i], partials[i])),
        };
      });
    } else this.#go(sweep, group, () => take(totals));
    const ones = states.map(({ state, accumulator }, i) => this.#collapsed(node, accumulator, state, totals[i]));
    this.#tail(sweep, group, () => {
      this.nodes(sweep.body);
      for (const { state, names } of ones) state.step(names);
    });
    this.combine(ones);
    this.reduced(node, ones);
  }

  /** What becomes of the combined states. */
  protected reduced(_node: Reduce, states: readonly TeamState[]): void {
    for (const { state, names } of states) state.finish(names);
  }

  /** Combines states of the members. */
  combine(states: readonly TeamState[]): void {
    combineInTeam(this, this.layout.team, this.place, states);
  }

  /** Four lanes as one. */
  #collapsed(node: Reduce, accumulator: Accumulator, state: AccumulatorState, names: readonly string[]): TeamState {
    if (state.lanes === 1) return { accumulator, state, names };
    const one = stateOf(this, accumulator, node, 1);
    const [lanes] = names;
    const total = this.unique(`total${one.number}`);
    this.line(`var ${total} = ${lanes}[0];`);
    for (const lane of [1, 2, 3]) one.merge([total], [`${lanes}[${lane}]`]);
    return { accumulator, state: one, names: [total] };
  }

  /** The positions of this thread one after the other. */
  #go(sweep: Sweep, group: SweepGroup, inside: () => void): void {
    const { held } = group;
    if (held !== undefined) {
      this.#goHeld(sweep, group, held, inside);
      return;
    }
    const name = this.#counter(sweep);
    const { start, end, stride } = this.#range(group);
    this.block(`for (var ${name} = ${start}; ${name} < ${end}; ${name} += ${stride})`, () =>
      this.at(sweep, group, name, '', inside),
    );
  }

  /** The positions behind the last whole vector, by the member that has the vector which they are part of. */
  #tail(sweep: Sweep, group: SweepGroup, inside: () => void): void {
    if (!group.hasTail) return;
    const { member, strip } = this.place;
    const end = this.shader.size(group.end);
    const owner = `${member} == ${end} / 4 % ${this.layout.team.size}`;
    const length = strip !== undefined && this.layout.stripLength?.(group);
    const isHere = length ? ` && ${strip} == ${end} / ${this.shader.size(length)}` : '';
    const name = this.#counter(sweep);
    this.block(`if (${owner}${isHere})`, () =>
      this.block(`for (var ${name} = ${end}; ${name} < ${this.shader.size(group.total)}; ${name}++)`, () =>
        this.at(sweep, { ...group, lanes: 1 }, name, '', inside),
      ),
    );
  }

  #goInBlocks(sweep: Sweep, group: SweepGroup, begin: () => { step(): void; end(): void }): void {
    const name = this.#counter(sweep);
    const from = this.unique(`${name}start`);
    const to = this.unique(`${name}end`);
    const { start, end, stride } = this.#range(group);
    const block = summedInARow * stride;
    this.block(`for (var ${from} = ${start}; ${from} < ${end}; ${from} += ${block})`, () => {
      const { step, end: finish } = begin();
      this.line(`let ${to} = min(${from} + ${block}, ${end});`);
      this.block(`for (var ${name} = ${from}; ${name} < ${to}; ${name} += ${stride})`, () =>
        this.at(sweep, group, name, '', step),
      );
      finish();
    });
  }

  /** Positions where this thread starts and where its team ends. */
  #range(group: SweepGroup) {
    const { lanes, end: total } = group;
    const { member, strip } = this.place;
    const offset = lanes === 4 ? `4 * ${member}` : member;
    const stride = lanes * this.layout.team.size;
    if (strip === undefined || !this.layout.stripLength) {
      return { start: offset, end: this.shader.size(total), stride };
    }
    const [first, end] = [this.unique('first'), this.unique('end')];
    const length = this.shader.size(this.layout.stripLength(group));
    this.line(`let ${first} = ${strip} * ${length};`);
    this.line(`let ${end} = min(${first} + ${length}, ${this.shader.size(total)});`);
    return { start: `${first} + ${offset}`, end, stride };
  }

  #goHeld(sweep: Sweep, group: SweepGroup, steps: number, inside: () => void): void {
    const { lanes, total, kept } = group;
    const { member } = this.place;
    const { size } = this.layout.team;
    for (const node of sweep.body) {
      const key = node.kind === 'let' ? keptKey(node, sweep) : undefined;
      if (key === undefined || node.kind !== 'let' || !kept.has(key) || this.#kept.has(key)) continue;
      const name = this.unique('kept');
      this.line(`var ${name}: ${heldType(typeText(node.dtype, lanes), steps)};`);
      this.#kept.set(key, { name, isFilled: false });
    }
    const name = this.#counter(sweep);
    const isWhole = Number(total) === steps * lanes * size;
    const step = steps === 1 ? '' : this.unique('step');
    const one = (): void => {
      const at = steps === 1 ? member : `(${member} + ${size} * ${step})`;
      this.line(`let ${name} = ${lanes === 4 ? `4 * ${at}` : at};`);
      const held = steps === 1 ? '' : `[${step}]`;
      if (isWhole) this.at(sweep, group, name, held, inside);
      else this.block(`if (${name} < ${this.shader.size(total)})`, () => this.at(sweep, group, name, held, inside));
    };
    if (steps === 1) one();
    else this.block(`for (var ${step} = 0; ${step} < ${steps}; ${step}++)`, one);
  }

  #counter({ axes }: Sweep): string {
    return this.unique(axes.length === 1 ? nameOfAxis(axes[0].name) : 'position');
  }

  /** What is done at a position; `held` names the step among those of a held array. */
  at(sweep: Sweep, group: SweepGroup, position: string, held: string, inside: () => void): void {
    const { axes } = sweep;
    const [last] = axes.slice(-1);
    if (axes.length === 1) this.axes.set(last.name, position);
    else bindAxes(this, axes, position);
    this.#sweep = { sweep, group, held };
    this.lanes = group.lanes === 4 ? { axis: last.name, ...(group.hasTail && { ragged: group.total }) } : undefined;
    inside();
    this.lanes = undefined;
    this.#sweep = undefined;
    for (const { name } of axes) this.axes.delete(name);
  }
}

export const heldType = (type: string, steps: number): string => (steps === 1 ? type : `array<${type}, ${steps}>`);
