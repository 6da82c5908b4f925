/**
 * A WebgpuProgram for one choice of its symbolic sizes: where its temporaries lie, the uniform blocks of all its launches
 * in one buffer, which is written once, and the bind groups of each launch by the buffers that it has met.
 *
 *     uniforms     [ sizes of launch 0 | … | sizes of launch 2 | … ]        each at a multiple of 256 bytes
 */
import type { DimBindings } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { BoundProgram } from '../bound-program.ts';
import type { BufferRef, LaunchStep, WebgpuProgram, WgslKernel } from '../program.ts';
import { type ArenasPlan, planArenas } from './arenas.ts';
import { bindingBytes } from './constants.ts';
import type { MutableCounters } from './counters.ts';
import type { GpuBlock, GpuMemory } from './memory.ts';
import type { LoadedKernel } from './pipelines.ts';
import { uniformBlocks } from './uniforms.ts';

/** What bindings of one device have in common. */
export interface BindingContext {
  readonly gpu: GPUDevice;
  readonly memory: GpuMemory;
  readonly counters: MutableCounters;
}

interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly x: number;
  readonly y: number;
}

/** A buffer of a launch: whose it is, and which part of it. */
export interface Slot {
  readonly kind: BufferRef['kind'] | 'scratch';
  /** Of an output, its place among the fresh ones; of a temporary, that of its arena. */
  readonly index: number;
  readonly offset: number;
  readonly size: number;
}

/** A launch with everything known but the buffers. */
export interface BoundLaunch {
  readonly name: string;
  readonly slots: readonly Slot[];
  /** Those that run on any workgroups. */
  readonly dispatches: readonly Dispatch[];
  readonly groups: BindGroups;
  readonly flops: number;
  /** Bytes of the buffers it is bound to. */
  readonly bytes: number;
}

export class Binding {
  readonly bound: BoundProgram<WebgpuProgram>;
  readonly plan: ArenasPlan;
  readonly launches: readonly BoundLaunch[];
  /** The buffer of the uniform blocks, where a kernel reads any. Whoever makes the binding destroys it. */
  readonly uniforms: GPUBuffer | undefined;

  /** @throws KilnError `invalid_size`, `invalid_program`, `out_of_memory`; nothing is kept then */
  constructor(
    program: WebgpuProgram,
    sizes: DimBindings,
    kernels: readonly LoadedKernel[],
    { gpu, memory, counters }: BindingContext,
  ) {
    const bound = new BoundProgram(program, sizes);
    this.bound = bound;
    checkElements(bound);
    this.plan = planArenas(program, (size) => bound.evaluate(size), gpu.limits.maxBufferSize);
    const blocks = uniformBlocks(program, bound);
    const mostGroups = gpu.limits.maxComputeWorkgroupsPerDimension;
    const prepared = program.steps.map((step) => {
      const kernel = program.kernels[step.kernel];
      const slots = this.#slotsOf(step, kernel);
      for (const { size } of slots) memory.assertBindable(size);
      return {
        name: kernel.name,
        slots,
        dispatches: dispatchesOf(kernel, kernels[step.kernel]),
        flops: bound.evaluate(kernel.flops),
        bytes: step.buffers.reduce((sum, ref) => sum + bound.bufferBytes(ref), 0),
      };
    });
    const buffer = blocks.words.length > 0 ? memory.uniforms(blocks.words) : undefined;
    this.uniforms = buffer;
    this.launches = prepared.map((launch, step) => {
      const { layout } = kernels[program.steps[step].kernel];
      const place = blocks.places[step];
      const uniforms = buffer && place && { buffer, ...place };
      const { name: label, slots } = launch;
      return { ...launch, groups: new BindGroups({ gpu, counters, label, layout, slots, uniforms }) };
    });

    function dispatchesOf({ name, dispatches }: WgslKernel, { pipelines }: LoadedKernel): Dispatch[] {
      return dispatches.flatMap(({ workgroups }, i) => {
        const layout = layOut(bound.evaluate(workgroups), mostGroups, `${program.name}: kernel ${name}`);
        return layout ? [{ pipeline: pipelines[i], ...layout }] : [];
      });
    }
  }

  #slotsOf({ buffers }: LaunchStep, { scratchBytes }: WgslKernel): Slot[] {
    const { bound, plan } = this;
    const slots = buffers.map((ref): Slot => {
      const { kind, index } = ref;
      const size = bindingBytes(bound.bufferBytes(ref));
      if (kind === 'temporary')
        return { kind, index: plan.places[index].arena, offset: plan.places[index].offset, size };
      return { kind, index: kind === 'output' ? bound.ownIndex[index] : index, offset: 0, size };
    });
    if (scratchBytes !== 0) {
      slots.push({ kind: 'scratch', index: 0, offset: 0, size: bindingBytes(bound.evaluate(scratchBytes)) });
    }
    return slots;
  }
}

/**
 * Kernels count the elements of a buffer in an int32, and a buffer of small elements may have more of them.
 * @throws KilnError `invalid_size`
 */
function checkElements(bound: BoundProgram<WebgpuProgram>): void {
  for (const { shape } of [...bound.program.inputs, ...bound.program.outputs]) {
    const elements = shape.reduce<number>((product, size) => product * bound.evaluate(size), 1);
    bound.checkWord(shape.join('*'), elements);
  }
}

/**
 * Workgroups in two dimensions where one has not room for them: as few as possible too many.
 * @throws KilnError `invalid_size`
 */
function layOut(workgroups: number, most: number, what: string): { x: number; y: number } | undefined {
  if (workgroups === 0) return undefined;
  const y = Math.ceil(workgroups / most);
  if (y <= most) return { x: Math.ceil(workgroups / y), y };
  throw new KilnError('invalid_size', `${what} runs on more workgroups than the device has room for`, {
    given: `${workgroups} workgroups`,
    expected: `at most ${most} x ${most}`,
  });
}

/** Bind groups of one launch that are kept: inputs and outputs come from a few buffers in turn. */
const mostGroups = 8;

interface BindGroupsOptions {
  readonly gpu: GPUDevice;
  readonly counters: MutableCounters;
  readonly label: string;
  readonly layout: GPUBindGroupLayout;
  readonly slots: readonly Slot[];
  readonly uniforms: { readonly buffer: GPUBuffer; readonly offset: number; readonly size: number } | undefined;
}

/** The bind groups of one launch by the blocks in its slots, the one used last first. */
export class BindGroups {
  readonly #options: BindGroupsOptions;
  readonly #known: { readonly blocks: readonly GpuBlock[]; readonly group: GPUBindGroup }[] = [];

  constructor(options: BindGroupsOptions) {
    this.#options = options;
  }

  for(blocks: readonly GpuBlock[]): GPUBindGroup {
    const known = this.#known;
    for (let at = 0; at < known.length; at++) {
      const entry = known[at];
      if (!areSame(entry.blocks, blocks)) continue;
      if (at > 0) {
        known.splice(at, 1);
        known.unshift(entry);
      }
      return entry.group;
    }
    if (known.length >= mostGroups) known.pop();
    const group = this.#make(blocks);
    known.unshift({ blocks: [...blocks], group });
    return group;
  }

  #make(blocks: readonly GpuBlock[]): GPUBindGroup {
    const { gpu, counters, label, layout, slots, uniforms } = this.#options;
    const entries = slots.map(({ offset, size }, binding): GPUBindGroupEntry => {
      return { binding, resource: { buffer: blocks[binding].buffer, offset, size } };
    });
    if (uniforms) entries.push({ binding: slots.length, resource: uniforms });
    counters.bindGroups += 1;
    return gpu.createBindGroup({ label, layout, entries });
  }
}

function areSame(a: readonly GpuBlock[], b: readonly GpuBlock[]): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
