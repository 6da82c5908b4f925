/**
 * A WasmProgram for one choice of its symbolic sizes: every size a number, every launch record written but for the
 * addresses that change from run to run. Those are listed as pairs of a word of the linear memory and what goes there:
 *
 *     inputSlots  [1024, 0, 1032, 1]     word 1024 takes the address of input 0, word 1032 that of input 1
 */
import type { DimBindings } from '../../base/dim.ts';
import { BoundProgram } from '../bound-program.ts';
import { part } from '../parts.ts';
import type { PreparedArrays } from '../prepared.ts';
import type { WasmProgram } from '../program.ts';
import type { Block } from './allocator.ts';
import type { WasmResources } from './executable.ts';
import { firstCallWork, type LoadedKernel, newGrain, type PlannedPhase, workOf } from './kernels.ts';
import { launchLayout, launchModes, launchWords } from './launch-layout.ts';
import type { WasmMemory } from './memory.ts';
import { launchListWords, planWorkspace, type WorkspacePlan } from './workspace-plan.ts';

/** A launch with everything known. */
export interface BoundLaunch {
  readonly kernel: LoadedKernel;
  readonly name: string;
  /** Where the driver finds it (`launch-layout.ts`). */
  readonly address: number;
  /** Address of its record. */
  readonly record: number;
  /** Tiles of all phases together. */
  readonly tiles: number;
  readonly phases: readonly PlannedPhase[];
  /** Whether threads share any of its phases. */
  readonly isParallel: boolean;
  readonly flops: number;
  /** Bytes of the buffers it is bound to. */
  readonly bytes: number;
  /** Both in one number (`workOf`). */
  readonly work: number;
}

export interface BindingMemory {
  readonly memory: WasmMemory;
  readonly resources: WasmResources;
  /** Threads of the device; each has scratch memory of its own. */
  readonly threads: number;
}

export class Binding {
  /** All launches with their records, one behind the other. */
  readonly records: Block;
  readonly launches: readonly BoundLaunch[];
  readonly bound: BoundProgram<WasmProgram>;
  /** Bytes of temporaries and scratch together. */
  readonly workspaceBytes: number;
  readonly #threads: number;
  readonly #inputSlots: number[] = [];
  readonly #ownSlots: number[] = [];
  readonly #preparedSlots: number[] = [];
  #filledPrepared: PreparedArrays<Block> | undefined;
  /** Pairs of a word and an offset in the workspace. */
  readonly #workspaceSlots: number[] = [];
  #filledWorkspace = -1;

  /** @throws KilnError `invalid_size`, `invalid_program`, `out_of_memory`; nothing is kept then */
  constructor(
    program: WasmProgram,
    bindings: DimBindings,
    kernels: readonly LoadedKernel[],
    constants: readonly Block[],
    { memory, resources, threads }: BindingMemory,
  ) {
    this.bound = new BoundProgram(program, bindings);
    const workspace = planWorkspace(program, (size) => this.bound.evaluate(size), {
      threads,
      planArena: (intervals) => part('planArena')(intervals),
    });
    this.workspaceBytes = workspace.bytes;
    this.#threads = threads;
    this.records = resources.allocate(4 * launchListWords(program));
    try {
      this.launches = this.#writeLaunches(memory, kernels, constants, workspace);
      if (threads > 1) this.#writeWakes(memory.words);
    } catch (error) {
      resources.release(this.records);
      throw error;
    }
  }

  /** Writes this run's addresses into the records. `own` are the blocks of the fresh outputs. */
  fill(
    words: Uint32Array,
    inputs: readonly Block[],
    own: readonly Block[],
    workspace: number,
    prepared: PreparedArrays<Block> | undefined,
  ): void {
    const inputSlots = this.#inputSlots;
    for (let i = 0; i < inputSlots.length; i += 2) words[inputSlots[i]] = inputs[inputSlots[i + 1]].address;
    const ownSlots = this.#ownSlots;
    for (let i = 0; i < ownSlots.length; i += 2) words[ownSlots[i]] = own[ownSlots[i + 1]].address;
    if (prepared && prepared !== this.#filledPrepared) {
      const kept = this.#preparedSlots;
      for (let i = 0; i < kept.length; i += 2) words[kept[i]] = prepared.blocks[kept[i + 1]].address;
      this.#filledPrepared = prepared;
    }
    if (workspace === this.#filledWorkspace) return;
    const slots = this.#workspaceSlots;
    for (let i = 0; i < slots.length; i += 2) words[slots[i]] = workspace + slots[i + 1];
    this.#filledWorkspace = workspace;
  }

  #writeLaunches(
    memory: WasmMemory,
    kernels: readonly LoadedKernel[],
    constants: readonly Block[],
    workspace: WorkspacePlan,
  ): readonly BoundLaunch[] {
    const { offsets, scratchOffset, sharedOffset } = workspace;
    const { bound } = this;
    const { program, ownIndex } = bound;
    const { words } = memory;
    let word = this.records.address / 4;
    return program.steps.map(({ kernel: index, buffers }) => {
      const kernel = program.kernels[index];
      const address = word * 4;
      word += launchWords(kernel.phases.length);
      const record = word * 4;
      for (const { kind, index: at } of buffers) {
        if (kind === 'input') this.#inputSlots.push(word, at);
        else if (kind === 'output') this.#ownSlots.push(word, ownIndex[at]);
        else if (kind === 'constant') words[word] = constants[at].address;
        else if (kind === 'prepared') this.#preparedSlots.push(word, at);
        else this.#workspaceSlots.push(word, offsets[at]);
        word += 1;
      }
      for (const size of kernel.sizes) words[word++] = bound.evaluateWord(size);
      this.#workspaceSlots.push(word++, scratchOffset);
      this.#workspaceSlots.push(word++, sharedOffset);
      const tiles = kernel.phases.reduce(
        (sum, phase) => bound.checkWord(phase.tiles, sum + bound.evaluate(phase.tiles)),
        0,
      );
      const cost = {
        flops: bound.evaluate(kernel.flops),
        bytes: buffers.reduce((sum, ref) => sum + bound.bufferBytes(ref), 0),
      };
      const threads = this.#threads;
      const own = kernel.phases.map(({ tiles, group }) => {
        return { tiles: bound.evaluate(tiles), group: bound.evaluate(group), grain: 0 };
      });
      const phases = threads > 1 ? part('sharing').planPhases(own, { ...cost, threads }) : own;
      const launch: BoundLaunch = {
        kernel: kernels[index],
        name: kernel.name,
        address,
        record,
        tiles,
        phases,
        isParallel: phases.some(({ grain }) => grain > 0),
        ...cost,
        work: workOf(cost),
      };
      writeLaunch(words, launch, {
        size: 4 * word - address,
        scratchWord: bound.evaluate(kernel.scratchBytes) > 0 ? word - 2 - record / 4 : 0,
        workspace,
      });
      return launch;
    });
  }

  /** Workers wake up for a program that has enough to share, however short its launches are. */
  #writeWakes(words: Uint32Array): void {
    const shared = this.launches.filter(({ isParallel }) => isParallel);
    const wakes = part('sharing').isWorthWaking(shared.reduce((sum, { work }) => sum + work, 0));
    for (const { address } of shared) words[(address + launchLayout.wakes) / 4] = wakes ? 1 : 0;
  }
}

interface LaunchPlaces {
  /** Bytes to the next launch. */
  readonly size: number;
  /** Which word of the record holds the address of private scratch memory, or 0. */
  readonly scratchWord: number;
  readonly workspace: WorkspacePlan;
}

/** Writes what the driver reads of a launch. */
function writeLaunch(words: Uint32Array, launch: BoundLaunch, { size, scratchWord, workspace }: LaunchPlaces): void {
  const { kernel, address, record, tiles, phases, isParallel, work } = launch;
  const set = (offset: number, value: number): void => {
    words[(address + offset) / 4] = value;
  };
  const isLong = tiles > 1 && work > firstCallWork;
  set(launchLayout.kernel, kernel.slot);
  set(launchLayout.record, record);
  set(launchLayout.tiles, tiles);
  set(launchLayout.mode, isParallel || isLong ? launchModes.ask : launchModes.whole);
  set(launchLayout.size, size);
  set(launchLayout.scratchWord, scratchWord);
  set(launchLayout.stride, workspace.scratchStride);
  set(launchLayout.copy, workspace.copyOffset);
  set(launchLayout.phaseCount, phases.length);
  phases.forEach((phase, i) => {
    set(launchLayout.phases + 8 * i, phase.tiles);
    set(launchLayout.phases + 8 * i + 4, newGrain(phase.grain, tiles, work));
  });
}
