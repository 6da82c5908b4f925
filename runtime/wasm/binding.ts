/**
 * A WasmProgram for one choice of its symbolic sizes: every size a number, every launch record written but for the
 * addresses that change from run to run. Those are listed as pairs of a word of the linear memory and what goes there:
 *
 *     inputSlots  [1024, 0, 1032, 1]     word 1024 takes the address of input 0, word 1032 that of input 1
 */
import type { DimBindings } from '../../base/dim.ts';
import { internalError, KilnError } from '../../base/error.ts';
import { denseBytes } from '../buffer.ts';
import type { ArraySpec } from '../device.ts';
import { launchListWords, planWorkspace, type WorkspacePlan } from '../footprint.ts';
import type { BufferRef, Size, WasmProgram } from '../program.ts';
import { evaluateInteger, evaluateSize, symbolTable } from '../sizes.ts';
import type { Block } from './allocator.ts';
import { isWorthWaking, type PlannedPhase, planPhases, workOf } from './cost.ts';
import { newGrain } from './driver.ts';
import type { ProgramResources, WasmBuffer } from './executable.ts';
import { firstCallWork, type LoadedKernel } from './kernels.ts';
import { launchLayout, launchModes, launchWords } from './launch-layout.ts';
import type { WasmMemory } from './memory.ts';
import type { PreparedArrays } from './prepared.ts';

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
  readonly resources: ProgramResources;
  /** Threads of the device; each has scratch memory of its own. */
  readonly threads: number;
}

export class Binding {
  /** All launches with their records, one behind the other. */
  readonly records: Block;
  readonly launches: readonly BoundLaunch[];
  /** Bytes of the outputs that get fresh buffers, in order. */
  readonly ownOutputBytes: readonly number[];
  readonly hasOnlyOwnOutputs: boolean;
  /** Bytes of temporaries and scratch together. */
  readonly workspaceBytes: number;
  readonly #program: WasmProgram;
  readonly #threads: number;
  readonly #evaluate: (size: Size) => number;
  readonly #evaluateWord: (size: Size) => number;
  readonly #inputBytes: readonly number[];
  readonly #outputSpecs: readonly ArraySpec[];
  readonly #inputSlots: number[] = [];
  readonly #ownSlots: number[] = [];
  readonly #preparedSlots: number[] = [];
  #filledPrepared: PreparedArrays | undefined;
  /** Pairs of a word and an offset in the workspace. */
  readonly #workspaceSlots: number[] = [];
  #filledWorkspace = -1;
  #checkedOutputs: readonly ArraySpec[] | undefined;

  /** @throws KilnError `invalid_size`, `invalid_program`, `out_of_memory`; nothing is kept then */
  constructor(
    program: WasmProgram,
    bindings: DimBindings,
    kernels: readonly LoadedKernel[],
    constants: readonly Block[],
    { memory, resources, threads }: BindingMemory,
  ) {
    const symbols = symbolTable(program.symbols);
    this.#program = program;
    this.#evaluate = (size) => evaluateSize(size, symbols, bindings);
    // Distances between elements may be negative: a reversed axis walks backwards.
    this.#evaluateWord = (size) => evaluateInteger(size, symbols, bindings, -(2 ** 31));
    const concrete = ({ dtype, shape }: { dtype: ArraySpec['dtype']; shape: readonly Size[] }): ArraySpec => ({
      dtype,
      shape: shape.map(this.#evaluate),
    });
    this.#inputBytes = program.inputs.map((input) => specBytes(concrete(input)));
    this.#outputSpecs = program.outputs.map(concrete);
    this.#checkAliases();
    const isOwn = program.outputs.map((output) => output.source.kind === 'own');
    this.hasOnlyOwnOutputs = isOwn.every(Boolean);
    this.ownOutputBytes = this.#outputSpecs.filter((_, index) => isOwn[index]).map(specBytes);
    const workspace = planWorkspace(program, this.#evaluate, threads);
    this.workspaceBytes = workspace.bytes;
    this.#threads = threads;
    this.records = resources.allocate(4 * launchListWords(program));
    try {
      this.launches = this.#writeLaunches(memory, kernels, constants, workspace);
      this.#writeWakes(memory.words);
    } catch (error) {
      resources.release(this.records);
      throw error;
    }
  }

  /** @throws KilnError `invalid_argument`, `dtype_mismatch`, `shape_mismatch` */
  checkInputs(inputs: readonly WasmBuffer[]): void {
    const expected = this.#program.inputs;
    if (inputs.length !== expected.length) {
      throw new KilnError('invalid_argument', `${this.#program.name} takes ${expected.length} inputs`, {
        given: `${inputs.length}`,
      });
    }
    for (let i = 0; i < inputs.length; i++) {
      if (inputs[i].dtype !== expected[i].dtype) throw this.#inputError('dtype_mismatch', inputs[i], i);
      if (inputs[i].bytes !== this.#inputBytes[i]) throw this.#inputError('shape_mismatch', inputs[i], i);
    }
  }

  /** The caller's idea of the outputs must be the program's. */
  checkOutputs(outputs: readonly ArraySpec[]): void {
    if (outputs === this.#checkedOutputs) return;
    const own = this.#outputSpecs;
    const fits =
      outputs.length === own.length &&
      own.every(({ dtype, shape }, i) => dtype === outputs[i].dtype && `${shape}` === `${outputs[i].shape}`);
    if (!fits) {
      const text = (specs: readonly ArraySpec[]): string => specs.map((s) => `${s.dtype}[${s.shape}]`).join(', ');
      throw internalError(`${this.#program.name} gives (${text(own)}), its caller expects (${text(outputs)})`);
    }
    this.#checkedOutputs = outputs;
  }

  /** Writes this run's addresses into the records. `own` are the blocks of the fresh outputs. */
  fill(
    words: Uint32Array,
    inputs: readonly Block[],
    own: readonly Block[],
    workspace: number,
    prepared: PreparedArrays | undefined,
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

  /** Outputs that alias must be as large as what they alias; a smaller buffer would be written past its end. */
  #checkAliases(): void {
    this.#program.outputs.forEach(({ source }, index) => {
      const bytes =
        source.kind === 'donated'
          ? this.#inputBytes[source.input]
          : source.kind === 'input'
            ? this.#inputBytes[source.index]
            : source.kind === 'constant'
              ? this.#program.constants[source.index].bytes.length
              : source.kind === 'output'
                ? specBytes(this.#outputSpecs[source.index])
                : undefined;
      if (bytes !== undefined && bytes !== specBytes(this.#outputSpecs[index])) {
        throw new KilnError('invalid_program', `${this.#program.name}: output ${index} is not the size of its source`);
      }
    });
  }

  #writeLaunches(
    memory: WasmMemory,
    kernels: readonly LoadedKernel[],
    constants: readonly Block[],
    workspace: WorkspacePlan,
  ): readonly BoundLaunch[] {
    const { offsets, scratchOffset, sharedOffset } = workspace;
    const { steps, outputs } = this.#program;
    let nextOwn = 0;
    const ownIndex = outputs.map(({ source }) => (source.kind === 'own' ? nextOwn++ : -1));
    const { words } = memory;
    let word = this.records.address / 4;
    return steps.map(({ kernel: index, buffers }) => {
      const kernel = this.#program.kernels[index];
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
      for (const size of kernel.sizes) words[word++] = this.#checkWord(size, this.#evaluateWord(size));
      this.#workspaceSlots.push(word++, scratchOffset);
      this.#workspaceSlots.push(word++, sharedOffset);
      const tiles = kernel.phases.reduce(
        (sum, phase) => this.#checkWord(phase.tiles, sum + this.#evaluate(phase.tiles)),
        0,
      );
      const cost = {
        flops: this.#evaluate(kernel.flops),
        bytes: buffers.reduce((sum, ref) => sum + this.#bufferBytes(ref), 0),
      };
      const phases = planPhases(
        kernel.phases.map((phase) => ({ tiles: this.#evaluate(phase.tiles), group: this.#evaluate(phase.group) })),
        { ...cost, threads: this.#threads },
      );
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
        scratchWord: this.#evaluate(kernel.scratchBytes) > 0 ? word - 2 - record / 4 : 0,
        workspace,
      });
      return launch;
    });
  }

  /** Workers wake up for a program that has enough to share, however short its launches are. */
  #writeWakes(words: Uint32Array): void {
    const shared = this.launches.filter(({ isParallel }) => isParallel);
    const wakes = isWorthWaking(shared.reduce((sum, { work }) => sum + work, 0));
    for (const { address } of shared) words[(address + launchLayout.wakes) / 4] = wakes ? 1 : 0;
  }

  /** The value of what a kernel computes with as an int32. */
  #checkWord(size: Size, value: number): number {
    if (value < 2 ** 31) return value;
    throw new KilnError('invalid_size', `${this.#program.name}: a size is beyond what a kernel can count`, {
      given: `${size}${typeof size === 'string' ? ` = ${value}` : ''}`,
      expected: 'less than 2^31',
    });
  }

  #bufferBytes({ kind, index }: BufferRef): number {
    if (kind === 'input') return this.#inputBytes[index];
    if (kind === 'output') return specBytes(this.#outputSpecs[index]);
    if (kind === 'constant') return this.#program.constants[index].bytes.length;
    if (kind === 'prepared') return specBytes(this.#program.prepared[index]);
    return this.#evaluate(this.#program.temporaries[index].bytes);
  }

  #inputError(code: 'dtype_mismatch' | 'shape_mismatch', given: ArraySpec, index: number): KilnError {
    const { dtype, shape } = this.#program.inputs[index];
    return new KilnError(code, `${this.#program.name}: input ${index} does not fit the program`, {
      given: `${given.dtype}[${given.shape}]`,
      expected: `${dtype}[${shape}]`,
    });
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

const specBytes = ({ dtype, shape }: ArraySpec): number => denseBytes(dtype, shape);
