/**
 * A Program on the wasm device. Loading it once compiles its kernels and uploads its constants; binding it to concrete
 * sizes, once for each, evaluates every size and writes the launch records; running it fills in the addresses of this
 * run's inputs and outputs and calls the kernels.
 *
 *     record of a launch, 32-bit words:   [ buffer 0 | buffer 1 | … | size 0 | … | scratch | shared ]
 *
 * Temporaries and scratch live in the workspace of the device, which all programs share, since one program runs at a
 * time. A run first finds all the memory it needs, which may fail and then changes nothing; from then on it is
 * committed, and donated inputs are the program's.
 */
import { internalError, KilnError } from '../../base/error.ts';
import type { DeviceBuffer } from '../buffer.ts';
import type { ArraySpec } from '../device.ts';
import { launchObserver } from '../profile.ts';
import { isWasmProgram, type Program, tierName, type WasmKernel, type WasmProgram, type WasmTier } from '../program.ts';
import { bindSymbols } from '../sizes.ts';
import type { Block } from './allocator.ts';
import { Binding, type BoundLaunch } from './binding.ts';
import type { Driver } from './driver.ts';
import type { KernelTable, LoadedKernel } from './kernels.ts';
import type { WasmMemory } from './memory.ts';
import { type PreparedArrays, PreparedSets } from './prepared.ts';
import type { Workspace } from './workspace.ts';

export type WasmBuffer = DeviceBuffer<Block>;

/** What executables of one device have in common. */
export interface ExecutableContext {
  readonly deviceName: string;
  readonly memory: WasmMemory;
  readonly kernels: KernelTable;
  readonly driver: Driver;
  readonly workspace: Workspace;
  /** What all programs keep from run to run and can make again. */
  readonly prepared: Set<PreparedArrays>;
  readonly tier: WasmTier;
  /** Threads that run kernels, the caller's among them. */
  readonly threads: number;
}

/**
 * What a program holds on the device: blocks of memory and kernels. A finaliser releases it when the program is gone,
 * so it must not lead back to the program.
 */
export class ProgramResources {
  readonly #memory: WasmMemory;
  readonly #kernels: KernelTable;
  readonly #blocks = new Set<Block>();
  #hashes: string[] = [];
  readonly #prepared = new Set<PreparedArrays>();
  readonly #preparedOfDevice: Set<PreparedArrays>;

  constructor({ memory, kernels, prepared }: ExecutableContext) {
    this.#memory = memory;
    this.#kernels = kernels;
    this.#preparedOfDevice = prepared;
  }

  kernel(kernel: WasmKernel): LoadedKernel {
    const loaded = this.#kernels.acquire(kernel);
    this.#hashes.push(kernel.hash);
    return loaded;
  }

  allocate(bytes: number): Block {
    const block = this.#memory.allocate(bytes, 'program');
    this.#blocks.add(block);
    return block;
  }

  release(block: Block): void {
    if (this.#blocks.delete(block)) this.#memory.release(block);
  }

  /** Arrays that stay from run to run, in blocks of this program. */
  keep(arrays: PreparedArrays): void {
    this.#prepared.add(arrays);
    this.#preparedOfDevice.add(arrays);
  }

  drop(arrays: PreparedArrays): void {
    this.#prepared.delete(arrays);
    this.#preparedOfDevice.delete(arrays);
  }

  releaseAll(): void {
    for (const arrays of this.#prepared) arrays.release();
    for (const block of this.#blocks) this.release(block);
    for (const hash of this.#hashes) this.#kernels.release(hash);
    this.#hashes = [];
  }
}

/** Bindings of one program to different sizes that are kept. */
const maximumBindings = 16;

let runs = 0;

export class Executable {
  readonly program: WasmProgram;
  /** What must be released when the program is gone. */
  readonly resources: ProgramResources;
  readonly constants: readonly Block[];
  readonly #context: ExecutableContext;
  readonly #kernels: readonly LoadedKernel[];
  readonly #bindings = new Map<string, Binding>();
  /** `[input, axis]` of every size that is not a number, which together choose the binding. */
  readonly #symbolicAxes: readonly (readonly [number, number])[];
  readonly #hasDonations: boolean;
  readonly #prepared: PreparedSets | undefined;

  /** @throws KilnError `invalid_program` of another tier, `compile_failed`, `out_of_memory`; nothing is kept then */
  constructor(given: Program, context: ExecutableContext) {
    const program = ofTier(given, context);
    this.program = program;
    this.#context = context;
    this.#symbolicAxes = program.inputs.flatMap(({ shape }, input) =>
      shape.flatMap((size, axis) => (typeof size === 'string' ? [[input, axis] as const] : [])),
    );
    this.#hasDonations = program.inputs.some((input) => input.donated);
    this.resources = new ProgramResources(context);
    this.#prepared = program.prepareSteps > 0 ? new PreparedSets(program, this.resources) : undefined;
    try {
      this.#kernels = program.kernels.map((kernel) => this.resources.kernel(kernel));
      this.constants = program.constants.map(({ bytes }) => {
        const block = this.resources.allocate(bytes.length);
        context.memory.bytes.set(bytes, block.address);
        return block;
      });
    } catch (error) {
      this.resources.releaseAll();
      throw error;
    }
  }

  /**
   * The binding for the shapes of these inputs.
   * @throws KilnError `shape_mismatch`, `dtype_mismatch`, `invalid_program`, `invalid_size`, `out_of_memory`
   */
  bind(inputs: readonly WasmBuffer[]): Binding {
    let key = '';
    for (const [input, axis] of this.#symbolicAxes) key += `${inputs[input]?.shape[axis]},`;
    const binding = this.#bindings.get(key) ?? this.#newBinding(key, inputs);
    binding.checkInputs(inputs);
    return binding;
  }

  /**
   * Binds a program whose sizes are all known, ahead of its first run. Its launches, none where sizes are not known.
   */
  prepare(): readonly BoundLaunch[] {
    if (this.program.symbols.length > 0) return [];
    return (this.#bindings.get('') ?? this.#newBinding('', [])).launches;
  }

  #newBinding(key: string, inputs: readonly WasmBuffer[]): Binding {
    const { memory, threads, driver } = this.#context;
    const shapes = inputs.map((input) => input.shape);
    const symbols = this.program.symbols.length > 0 ? bindSymbols(this.program, shapes) : new Map<string, number>();
    const binding = new Binding(this.program, symbols, this.#kernels, this.constants, {
      memory,
      resources: this.resources,
      threads,
    });
    this.#keep(key, binding);
    driver.share(binding.launches);
    return binding;
  }

  /** Keeps a binding; the one made first goes when there are too many. */
  #keep(key: string, binding: Binding): void {
    if (this.#bindings.size >= maximumBindings) {
      const [oldestKey, oldest] = this.#bindings.entries().next().value!;
      this.#bindings.delete(oldestKey);
      this.resources.release(oldest.records);
    }
    this.#bindings.set(key, binding);
  }

  /**
   * Runs the program. The outputs' blocks carry a reference each for whoever takes them.
   * @returns the blocks, or the error of a run that failed after it had begun
   * @throws KilnError while nothing has happened yet: `out_of_memory`, or as `bind`
   */
  run(inputs: readonly WasmBuffer[], outputs: readonly ArraySpec[]): readonly Block[] | KilnError {
    const binding = this.bind(inputs);
    binding.checkOutputs(outputs);
    const { memory, workspace } = this.#context;
    const inputBlocks = inputs.map(blockOf);
    const own: Block[] = [];
    const copies: Block[] = [];
    let prepared: PreparedArrays | undefined;
    try {
      for (const bytes of binding.ownOutputBytes) own.push(memory.allocate(bytes, 'tensor'));
      prepared = this.#prepared?.use(inputs);
      if (this.#hasDonations) this.#separateDonated(inputBlocks, copies);
      workspace.reserve(binding.workspaceBytes);
    } catch (error) {
      for (const block of own) memory.release(block);
      for (const block of copies) memory.release(block);
      prepared?.endUse();
      throw error;
    }
    if (this.#hasDonations) this.#commitDonations(inputs);
    binding.fill(memory.words, inputBlocks, own, workspace.address, prepared);
    const failure = this.#launchAll(binding.launches, prepared?.isFilled ? this.program.prepareSteps : 0);
    if (prepared && !failure) prepared.isFilled = true;
    prepared?.endUse();
    const results = failure ?? this.#collect(binding, inputBlocks, own);
    if (failure) for (const block of own) memory.release(block);
    for (const block of copies) memory.release(block);
    if (this.#hasDonations) this.#releaseDonated(inputs);
    return results;
  }

  /** Replaces donated blocks that somebody else can still see by copies, since the program may write into them. */
  #separateDonated(blocks: Block[], copies: Block[]): void {
    runs = (runs + 1) | 0;
    let isShared = false;
    for (const block of blocks) {
      if (block.references > 1 || block.lastRun === runs) isShared = true;
      block.lastRun = runs;
    }
    if (!isShared) return;
    const { memory } = this.#context;
    this.program.inputs.forEach(({ donated }, index) => {
      const block = blocks[index];
      if (!donated || (block.references === 1 && blocks.indexOf(block) === blocks.lastIndexOf(block))) return;
      const copy = memory.allocate(block.bytes, 'tensor');
      copies.push(copy);
      memory.bytes.copyWithin(copy.address, block.address, block.address + block.bytes);
      blocks[index] = copy;
    });
  }

  #commitDonations(inputs: readonly WasmBuffer[]): void {
    // Pinned until the run has ended, since the program still reads them.
    this.program.inputs.forEach(({ donated }, index) => {
      if (!donated) return;
      inputs[index].pin();
      inputs[index].take(this.program.name);
    });
  }

  /** Lets go of donated inputs, whose blocks the outputs may have taken over by then. */
  #releaseDonated(inputs: readonly WasmBuffer[]): void {
    this.program.inputs.forEach(({ donated }, index) => {
      if (donated) inputs[index].unpin();
    });
  }

  #collect(binding: Binding, inputs: readonly Block[], own: readonly Block[]): readonly Block[] {
    if (binding.hasOnlyOwnOutputs) return own;
    const blocks: Block[] = [];
    let nextOwn = 0;
    for (const { source } of this.program.outputs) {
      if (source.kind === 'own') {
        blocks.push(own[nextOwn++]);
        continue;
      }
      const block =
        source.kind === 'donated'
          ? inputs[source.input]
          : source.kind === 'input'
            ? inputs[source.index]
            : source.kind === 'constant'
              ? this.constants[source.index]
              : blocks[source.index];
      block.references += 1;
      blocks.push(block);
    }
    return blocks;
  }

  #launchAll(launches: readonly BoundLaunch[], first: number): KilnError | undefined {
    const { driver } = this.#context;
    try {
      if (launchObserver) {
        for (let step = first; step < launches.length; step++) this.#launchObserved(launches, step);
      } else driver.run(launches, first, launches.length);
      return undefined;
    } catch (cause) {
      return this.#launchError(launches[driver.step], driver.step, cause);
    }
  }

  #launchObserved(launches: readonly BoundLaunch[], step: number): void {
    const { name, flops, bytes } = launches[step];
    const start = performance.now();
    this.#context.driver.run(launches, step, step + 1);
    const milliseconds = performance.now() - start;
    const { deviceName: device } = this.#context;
    launchObserver?.({ device, program: this.program.name, kernel: name, step, start, milliseconds, flops, bytes });
  }

  #launchError(launch: BoundLaunch, step: number, cause: unknown): KilnError {
    const { name } = this.program;
    return new KilnError('launch_failed', `${name}: kernel ${launch.name} failed in step ${step}`, {
      given: cause instanceof Error ? cause.message : String(cause),
      hint: 'this is a fault of the compiled code; please report it together with the output of KILN_DUMP=dir',
      cause,
    });
  }
}

/**
 * The program, when its code is for this device, which links kernels of its own kind of memory alone and may lack what
 * others use.
 * @throws KilnError `invalid_program`
 */
export function ofTier(
  program: Program,
  { deviceName, tier: own }: Pick<ExecutableContext, 'deviceName' | 'tier'>,
): WasmProgram {
  if (isWasmProgram(program)) {
    const { threads, relaxedSimd } = program.tier;
    if (threads === own.threads && (!relaxedSimd || own.relaxedSimd)) return program;
  }
  throw new KilnError('invalid_program', `${program.name} was compiled for another kind of device`, {
    given: tierName(program.tier),
    expected: `${tierName(own)}, as the ${deviceName} device here`,
    hint: 'compile it again for this device',
  });
}

function blockOf(buffer: WasmBuffer): Block {
  const { storage } = buffer;
  if (!storage) throw internalError('a launch reached its turn before its inputs');
  return storage;
}
