/**
 * A Program on the webgpu device. Loading it once compiles its pipelines and uploads its constants; binding it to
 * concrete sizes plans its memory and writes its uniforms; running it records one dispatch after the other into the batch
 * that is open.
 *
 * A run first finds all the memory it needs, which may fail and then changes nothing; from then on it is committed, and
 * donated inputs are the program's. The GPU runs what was recorded in that order, so that a buffer may be released, and
 * used again, as soon as the run has been recorded.
 */
import { internalError, KilnError } from '../../base/error.ts';
import { Bindings } from '../bound-program.ts';
import { bytesOfAll, type DeviceBuffer } from '../buffer.ts';
import type { ArraySpec, ProgramSource } from '../device.ts';
import { inputStorage, launchFailed, otherTier } from '../launch-errors.ts';
import { collectOutputs } from '../outputs.ts';
import { type Parts, part, partIfLoaded } from '../parts.ts';
import type { PreparedArrays, PreparedSets } from '../prepared.ts';
import { launchObserver } from '../profile.ts';
import { isWebgpuProgram, type Program, runsOn, tierName, type WebgpuProgram, type WebgpuTier } from '../program.ts';
import { ProgramResources } from '../program-resources.ts';
import { Binding, type BindingContext, type BoundLaunch, type Slot } from './binding.ts';
import type { Commands } from './commands.ts';
import type { Faults } from './faults.ts';
import type { GpuBlock, GpuMemory } from './memory.ts';
import type { LoadedKernel, Pipelines } from './pipelines.ts';
import type { LaunchTimer } from './timing.ts';
import type { Workspace } from './workspace.ts';

export type GpuArray = DeviceBuffer<GpuBlock>;

/** What executables of one device have in common. */
export interface ExecutableContext extends BindingContext {
  readonly deviceName: string;
  readonly tier: WebgpuTier;
  readonly commands: Commands;
  readonly faults: Faults;
  readonly pipelines: Pipelines;
  readonly workspace: Workspace;
  /** Made when a launch is observed for the first time. */
  timer: LaunchTimer | undefined;
  /** What all programs keep from run to run and can make again. */
  readonly prepared: Set<PreparedArrays<GpuBlock>>;
}

/** What a program holds on the device: blocks, pipelines, and the uniforms of its bindings. */
export class GpuResources extends ProgramResources<GpuBlock> {
  readonly #gpuMemory: GpuMemory;
  readonly #pipelines: Pipelines;
  readonly #kernels: readonly LoadedKernel[];
  /** Not the bindings, which lead back to the program. */
  readonly #uniforms = new Set<GPUBuffer>();

  constructor({ memory, prepared, pipelines }: ExecutableContext, kernels: readonly LoadedKernel[]) {
    super(memory, prepared);
    this.#gpuMemory = memory;
    this.#pipelines = pipelines;
    this.#kernels = kernels;
  }

  keepUniforms({ uniforms }: Binding): void {
    if (uniforms) this.#uniforms.add(uniforms);
  }

  destroyUniforms({ uniforms }: Binding): void {
    if (uniforms && this.#uniforms.delete(uniforms)) this.#gpuMemory.destroyUniforms(uniforms);
  }

  override releaseAll(): void {
    super.releaseAll();
    for (const uniforms of this.#uniforms) this.#gpuMemory.destroyUniforms(uniforms);
    this.#uniforms.clear();
    for (const kernel of this.#kernels) this.#pipelines.release(kernel);
  }
}

/** Buffers of one run, by what steps call them. */
interface RunBlocks {
  readonly inputs: readonly GpuBlock[];
  readonly own: readonly GpuBlock[];
  readonly prepared: PreparedArrays<GpuBlock> | undefined;
}

export class Executable {
  readonly program: WebgpuProgram;
  /** What must be released when the program is gone. */
  readonly resources: GpuResources;
  readonly #constants: readonly GpuBlock[];
  readonly #context: ExecutableContext;
  readonly #kernels: readonly LoadedKernel[];
  readonly #bindings: Bindings<Binding>;
  /** Where the program may overwrite inputs. */
  readonly #donation: Parts['donation'] | undefined;
  readonly #prepared: PreparedSets<GpuBlock> | undefined;

  /**
   * Compiles all pipelines of a program, side by side.
   * @throws KilnError (as a rejection) `invalid_program` for code that needs more than the adapter has,
   *   `compile_failed`, `out_of_memory`; nothing is kept then
   */
  static async load(given: Program, context: ExecutableContext, source?: ProgramSource): Promise<Executable> {
    const program = ofTier(given, context);
    const { pipelines } = context;
    const wanted = program.kernels.map((kernel, at) =>
      pipelines.acquire(kernel, () => source?.origin?.(program.steps.findIndex((step) => step.kernel === at))),
    );
    const made = await Promise.allSettled(wanted);
    const kernels = made.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failure = made.find((result) => result.status === 'rejected');
    if (failure) {
      for (const kernel of kernels) pipelines.release(kernel);
      throw failure.reason;
    }
    return new Executable(program, context, kernels);
  }

  private constructor(program: WebgpuProgram, context: ExecutableContext, kernels: readonly LoadedKernel[]) {
    this.program = program;
    this.#context = context;
    this.#kernels = kernels;
    this.#donation = program.inputs.some((input) => input.donated) ? part('donation') : undefined;
    this.resources = new GpuResources(context, kernels);
    this.#prepared =
      program.prepareSteps > 0
        ? new (part('prepared').PreparedSets)(program, bytesOfAll(program.prepared), this.resources)
        : undefined;
    this.#bindings = new Bindings(
      program,
      (sizes) => {
        const binding = new Binding(program, sizes, this.#kernels, context);
        this.resources.keepUniforms(binding);
        return binding;
      },
      (binding) => this.resources.destroyUniforms(binding),
    );
    try {
      this.#constants = program.constants.map(({ bytes }) => {
        const block = this.resources.allocate(bytes.length);
        context.memory.write(block, bytes);
        return block;
      });
    } catch (error) {
      this.resources.releaseAll();
      throw error;
    }
  }

  /** Binds a program whose sizes are all known, ahead of its first run. */
  bindAhead(): void {
    this.#bindings.ahead();
  }

  /**
   * Records the program. The outputs' blocks carry a reference each for whoever takes them.
   * @returns the blocks, or the error of a run that failed after it had begun
   * @throws KilnError while nothing has happened yet: `out_of_memory`, or as `Bindings.for`
   */
  run(inputs: readonly GpuArray[], outputs: readonly ArraySpec[]): readonly GpuBlock[] | KilnError {
    const binding = this.#bindings.for(inputs);
    const { bound, plan } = binding;
    bound.checkOutputs(outputs);
    const { memory, workspace, faults } = this.#context;
    const inputBlocks = inputs.map(inputStorage);
    for (const block of inputBlocks) {
      const fault = faults.ofBlock(block);
      if (fault) return fault;
    }
    const own: GpuBlock[] = [];
    const copies: GpuBlock[] = [];
    let prepared: PreparedArrays<GpuBlock> | undefined;
    try {
      for (const bytes of bound.ownOutputBytes) own.push(memory.allocate(bytes, 'tensor'));
      prepared = this.#prepared?.use(inputs);
      this.#donation?.separateDonated(this.program, inputBlocks, copies, (block) => this.#copyOf(block));
      workspace.reserve(plan);
    } catch (error) {
      for (const block of own) memory.release(block);
      for (const block of copies) memory.release(block);
      prepared?.endUse();
      throw error;
    }
    this.#donation?.commitDonations(this.program, inputs);
    const failure = this.#record(binding, { inputs: inputBlocks, own, prepared });
    prepared?.endUse();
    const results =
      failure ?? (bound.hasOnlyOwnOutputs ? own : collectOutputs(this.program, inputBlocks, this.#constants, own));
    if (failure) for (const block of own) memory.release(block);
    for (const block of copies) memory.release(block);
    this.#donation?.releaseDonated(this.program, inputs);
    return results;
  }

  #copyOf(block: GpuBlock): GpuBlock {
    const { memory } = this.#context;
    const copy = memory.allocate(block.bytes, 'tensor');
    memory.copy(block, copy);
    return copy;
  }

  #record({ launches }: Binding, blocks: RunBlocks): KilnError | undefined {
    const { commands, faults } = this.#context;
    const { prepared } = blocks;
    if (prepared?.isFilled && prepared.blocks.some((block) => faults.ofBlock(block))) prepared.isFilled = false;
    const first = prepared?.isFilled ? this.program.prepareSteps : 0;
    let step = first;
    commands.enter(this.program.name);
    try {
      for (; step < launches.length; step++) {
        if (launchObserver && partIfLoaded('launchTimer')) this.#recordObserved(launches[step], step, blocks);
        else this.#recordLaunch(launches[step], blocks);
      }
    } catch (cause) {
      return cause instanceof KilnError ? cause : launchFailed(this.program.name, launches[step].name, step, cause);
    } finally {
      // Also after a failure: what was recorded before it still runs, and must not meet bytes that were uploaded later.
      this.#touch(blocks, first);
      commands.leave();
    }
    if (prepared) prepared.isFilled = true;
    return undefined;
  }

  /** @param pass an own pass of the launch; the open one unless given */
  #recordLaunch({ slots, dispatches, groups }: BoundLaunch, blocks: RunBlocks, pass?: GPUComputePassEncoder): void {
    if (dispatches.length === 0) return;
    const { commands } = this.#context;
    const group = groups.for(this.#resolve(slots, blocks));
    for (const { pipeline, x, y } of dispatches) commands.dispatch(pipeline, group, x, y, pass);
  }

  #recordObserved(launch: BoundLaunch, step: number, blocks: RunBlocks): void {
    const context = this.#context;
    const { gpu, commands, deviceName: device } = context;
    const { name: kernel, flops, bytes } = launch;
    context.timer ??= new (part('launchTimer'))(gpu, commands);
    context.timer.time({ device, program: this.program.name, kernel, step, flops, bytes }, (pass) =>
      this.#recordLaunch(launch, blocks, pass),
    );
  }

  /** The blocks in the slots of a launch; the list is used again by the next. */
  #resolve(slots: readonly Slot[], { inputs, own, prepared }: RunBlocks): readonly GpuBlock[] {
    const { workspace } = this.#context;
    const found = resolved;
    found.length = slots.length;
    for (let i = 0; i < slots.length; i++) {
      const { kind, index } = slots[i];
      let block: GpuBlock | undefined;
      if (kind === 'input') block = inputs[index];
      else if (kind === 'output') block = own[index];
      else if (kind === 'constant') block = this.#constants[index];
      else if (kind === 'prepared') block = prepared?.blocks[index];
      else if (kind === 'temporary') block = workspace.arenas[index];
      else block = workspace.scratch;
      if (!block) throw internalError(`${this.program.name}: a launch has no buffer for its ${kind} ${index}`);
      found[i] = block;
    }
    return found;
  }

  /** Remembers the last batch that used and wrote the blocks; while launches are timed, a run may take several. */
  #touch({ inputs, own, prepared }: RunBlocks, first: number): void {
    const { commands, workspace } = this.#context;
    const batch = commands.lastBatch;
    for (let i = 0; i < inputs.length; i++) {
      inputs[i].usedIn = batch;
      if (this.#donation && this.program.inputs[i].donated) inputs[i].writtenIn = batch;
    }
    for (const block of own) {
      block.usedIn = batch;
      block.writtenIn = batch;
    }
    for (const block of this.#constants) block.usedIn = batch;
    if (prepared) {
      for (const block of prepared.blocks) {
        block.usedIn = batch;
        if (first === 0) block.writtenIn = batch;
      }
    }
    workspace.touch(batch);
  }
}

/** Where launches find the blocks in their slots; only one is recorded at a time. */
const resolved: GpuBlock[] = [];

/**
 * The program, when the adapter has all that its code needs.
 * @throws KilnError `invalid_program`
 */
function ofTier(program: Program, { deviceName, tier: own }: ExecutableContext): WebgpuProgram {
  if (isWebgpuProgram(program) && runsOn(program.tier, own)) return program;
  throw otherTier(program, deviceName, `${tierName(own)} or less`);
}
