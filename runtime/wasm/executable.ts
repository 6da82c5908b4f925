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
import type { DimBindings } from '../../base/dim.ts';
import type { KilnError } from '../../base/error.ts';
import { Bindings } from '../bound-program.ts';
import { bytesOfAll, type DeviceBuffer } from '../buffer.ts';
import type { ArraySpec } from '../device.ts';
import { inputStorage, launchFailed, otherTier } from '../launch-errors.ts';
import { collectOutputs } from '../outputs.ts';
import { type Parts, part } from '../parts.ts';
import type { PreparedArrays, PreparedSets } from '../prepared.ts';
import { launchObserver } from '../profile.ts';
import {
  isWasmProgram,
  type Program,
  runsOn,
  tierName,
  type WasmKernel,
  type WasmProgram,
  type WasmTier,
} from '../program.ts';
import { ProgramResources } from '../program-resources.ts';
import type { Block } from './allocator.ts';
import { Binding, type BoundLaunch } from './binding.ts';
import type { Driver } from './driver.ts';
import type { KernelTable, LoadedKernel } from './kernels.ts';
import type { WasmMemory } from './memory.ts';
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
  readonly prepared: Set<PreparedArrays<Block>>;
  readonly tier: WasmTier;
  /** Threads that run kernels, the caller's among them. */
  readonly threads: number;
}

/** What a program holds on the device: blocks of memory and kernels. */
export class WasmResources extends ProgramResources<Block> {
  readonly #kernels: KernelTable;
  #hashes: string[] = [];

  constructor({ memory, kernels, prepared }: ExecutableContext) {
    super(memory, prepared);
    this.#kernels = kernels;
  }

  kernel(kernel: WasmKernel): LoadedKernel {
    const loaded = this.#kernels.acquire(kernel);
    this.#hashes.push(kernel.hash);
    return loaded;
  }

  override releaseAll(): void {
    super.releaseAll();
    for (const hash of this.#hashes) this.#kernels.release(hash);
    this.#hashes = [];
  }
}

export class Executable {
  readonly program: WasmProgram;
  /** What must be released when the program is gone. */
  readonly resources: WasmResources;
  readonly constants: readonly Block[];
  readonly #context: ExecutableContext;
  readonly #kernels: readonly LoadedKernel[];
  readonly #bindings: Bindings<Binding>;
  /** Where the program may overwrite inputs. */
  readonly #donation: Parts['donation'] | undefined;
  readonly #prepared: PreparedSets<Block> | undefined;

  /** @throws KilnError `invalid_program` of another tier, `compile_failed`, `out_of_memory`; nothing is kept then */
  constructor(given: Program, context: ExecutableContext) {
    const program = ofTier(given, context);
    this.program = program;
    this.#context = context;
    this.#bindings = new Bindings(
      program,
      (sizes) => this.#newBinding(sizes),
      ({ records }) => this.resources.release(records),
    );
    this.#donation = program.inputs.some((input) => input.donated) ? part('donation') : undefined;
    this.resources = new WasmResources(context);
    this.#prepared =
      program.prepareSteps > 0
        ? new (part('prepared').PreparedSets)(program, bytesOfAll(program.prepared), this.resources)
        : undefined;
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

  /** Binds a program whose sizes are all known, ahead of its first run. */
  bindAhead(): Binding | undefined {
    return this.#bindings.ahead();
  }

  #newBinding(sizes: DimBindings): Binding {
    const { memory, threads, driver } = this.#context;
    const binding = new Binding(this.program, sizes, this.#kernels, this.constants, {
      memory,
      resources: this.resources,
      threads,
    });
    driver.share(binding.launches);
    return binding;
  }

  /**
   * Runs the program. The outputs' blocks carry a reference each for whoever takes them.
   * @returns the blocks, or the error of a run that failed after it had begun
   * @throws KilnError while nothing has happened yet: `out_of_memory`, or as `Bindings.for`
   */
  run(inputs: readonly WasmBuffer[], outputs: readonly ArraySpec[]): readonly Block[] | KilnError {
    const binding = this.#bindings.for(inputs);
    const { bound } = binding;
    bound.checkOutputs(outputs);
    const { memory, workspace } = this.#context;
    const inputBlocks = inputs.map(inputStorage);
    const own: Block[] = [];
    const copies: Block[] = [];
    let prepared: PreparedArrays<Block> | undefined;
    try {
      for (const bytes of bound.ownOutputBytes) own.push(memory.allocate(bytes, 'tensor'));
      prepared = this.#prepared?.use(inputs);
      this.#donation?.separateDonated(this.program, inputBlocks, copies, (block) => this.#copyOf(block));
      workspace.reserve(binding.workspaceBytes);
    } catch (error) {
      for (const block of own) memory.release(block);
      for (const block of copies) memory.release(block);
      prepared?.endUse();
      throw error;
    }
    this.#donation?.commitDonations(this.program, inputs);
    binding.fill(memory.words, inputBlocks, own, workspace.address, prepared);
    const failure = this.#launchAll(binding.launches, prepared?.isFilled ? this.program.prepareSteps : 0);
    if (prepared && !failure) prepared.isFilled = true;
    prepared?.endUse();
    const results =
      failure ?? (bound.hasOnlyOwnOutputs ? own : collectOutputs(this.program, inputBlocks, this.constants, own));
    if (failure) for (const block of own) memory.release(block);
    for (const block of copies) memory.release(block);
    this.#donation?.releaseDonated(this.program, inputs);
    return results;
  }

  #copyOf(block: Block): Block {
    const { memory } = this.#context;
    const copy = memory.allocate(block.bytes, 'tensor');
    memory.bytes.copyWithin(copy.address, block.address, block.address + block.bytes);
    return copy;
  }

  #launchAll(launches: readonly BoundLaunch[], first: number): KilnError | undefined {
    const { driver } = this.#context;
    try {
      if (launchObserver) {
        for (let step = first; step < launches.length; step++) this.#launchObserved(launches, step);
      } else driver.run(launches, first, launches.length);
      return undefined;
    } catch (cause) {
      return launchFailed(this.program.name, launches[driver.step].name, driver.step, cause);
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
  if (isWasmProgram(program) && runsOn(program.tier, own)) return program;
  throw otherTier(program, deviceName, tierName(own));
}
