/**
 * Runs generated WGSL on a WebGPU device beside the interpreter. Each buffer is bound as programs bind it, its size
 * rounded up to 16 bytes, between guards that must not change. What lies behind the data, scratch memory and the rest
 * are poisoned with NaN patterns. Workgroups are laid out in one row, and in rows with some workgroups too many.
 *
 *     await compareOnGpu(kernel, makeInputs(kernel, bindings, fill), bindings, { precision: 'fast', tier })
 */
import { type DimBindings, evaluateDim } from '../../base/dim.ts';
import { type GeneratedKernel, generateKernel, type KernelOptions } from '../../codegen/wgsl/kernel.ts';
import { mergeInPlace } from '../../codegen/wgsl/merge-in-place.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { BufferData } from '../../ir/kernel-interpret.ts';
import type { LaunchBuffer } from '../../ir/lowered.ts';
import { tierName } from '../../runtime/program.ts';
import { closeToInterpreter, expectationOf } from './kernel-close.ts';
import { type Bindings, bindingMap } from './kernel-data.ts';
import { fullTier, rawDevice } from './webgpu-device.ts';

/** Code for a launch: `GeneratedKernel` with its sizes known. */
export interface Launch {
  readonly code: string;
  readonly access: readonly ('read' | 'read_write')[];
  readonly sizes: readonly number[];
  readonly dispatches: readonly { readonly entryPoint: string; readonly workgroups: number }[];
  readonly scratchBytes: number;
  /** Whether there is a binding for scratch memory, be it empty or not. */
  readonly hasScratch: boolean;
}

/** How many rows workgroups are laid out in. */
type Rows = number;

/** Also the alignment of a binding's beginning. */
const guardBytes = 256;
const guard = 0xff;
const roundUp = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16);

interface Placed {
  readonly buffer: GPUBuffer;
  /** Bytes of the binding. */
  readonly bound: number;
  readonly before: Uint8Array<ArrayBuffer>;
}

function place(device: GPUDevice, data: Uint8Array | undefined, bytes: number): Placed {
  const bound = roundUp(bytes);
  const before = new Uint8Array(bound + 2 * guardBytes).fill(guard);
  if (data) before.set(data, guardBytes);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: before.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, before);
  return { buffer, bound, before };
}

interface Compiled {
  readonly layout: GPUBindGroupLayout;
  readonly pipelines: readonly GPUComputePipeline[];
}

const compiled = new Map<string, Promise<Compiled>>();

/** @throws Error with the compiler's messages and the code */
async function compile(device: GPUDevice, launch: Launch): Promise<Compiled> {
  const key = `${launch.access}\n${launch.hasScratch}\n${launch.sizes.length > 0}\n${launch.code}`;
  let made = compiled.get(key);
  if (!made) {
    if (compiled.size > 500) compiled.clear();
    made = compileNow(device, launch);
    compiled.set(key, made);
  }
  return made;
}

async function compileNow(device: GPUDevice, launch: Launch): Promise<Compiled> {
  const { code, access, dispatches, sizes, hasScratch } = launch;
  const types: GPUBufferBindingType[] = [
    ...access.map((way): GPUBufferBindingType => (way === 'read' ? 'read-only-storage' : 'storage')),
    ...(hasScratch ? (['storage'] as const) : []),
    ...(sizes.length > 0 ? (['uniform'] as const) : []),
  ];
  device.pushErrorScope('validation');
  const layout = device.createBindGroupLayout({
    entries: types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } })),
  });
  const module = device.createShaderModule({ code });
  const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
  const pipelines = await Promise.allSettled(
    dispatches.map(({ entryPoint }) =>
      device.createComputePipelineAsync({ layout: pipelineLayout, compute: { module, entryPoint } }),
    ),
  );
  const error = await device.popErrorScope();
  const failed = pipelines.find(({ status }) => status === 'rejected');
  if (error || failed) {
    const reason = error?.message ?? String((failed as PromiseRejectedResult).reason);
    throw new Error(`${reason}\n${code}`);
  }
  return { layout, pipelines: pipelines.map((made) => (made as PromiseFulfilledResult<GPUComputePipeline>).value) };
}

/**
 * Runs a launch on copies of the data.
 * @returns the bytes of each buffer afterwards
 * @throws Error when bytes outside a binding change, for code that is not valid, and where the device says so
 */
export async function runLaunch(launch: Launch, data: readonly Uint8Array[], rows: Rows = 1): Promise<Uint8Array[]> {
  const device = await rawDevice();
  const { layout, pipelines } = await compile(device, launch);
  device.pushErrorScope('validation');
  const placed = data.map((bytes) => place(device, bytes, bytes.byteLength));
  if (launch.hasScratch) placed.push(place(device, undefined, launch.scratchBytes));
  const entries = placed.map(
    ({ buffer, bound }, binding): GPUBindGroupEntry => ({
      binding,
      resource: { buffer, offset: guardBytes, size: bound },
    }),
  );
  const uniforms = uniformBuffer(device, launch.sizes);
  if (uniforms) entries.push({ binding: entries.length, resource: { buffer: uniforms } });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
  launch.dispatches.forEach(({ workgroups }, at) => {
    if (workgroups === 0) return;
    pass.setPipeline(pipelines[at]);
    pass.dispatchWorkgroups(Math.ceil(workgroups / rows), rows);
  });
  pass.end();
  const size = placed.reduce((sum, { before }) => sum + before.byteLength, 0);
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  let at = 0;
  for (const { buffer, before } of placed) {
    encoder.copyBufferToBuffer(buffer, 0, staging, at, before.byteLength);
    at += before.byteLength;
  }
  device.queue.submit([encoder.finish()]);
  const [error] = await Promise.all([device.popErrorScope(), staging.mapAsync(GPUMapMode.READ)]);
  if (error) throw new Error(`${error.message}\n${launch.code}`);
  const after = new Uint8Array(staging.getMappedRange()).slice();
  for (const buffer of [staging, uniforms, ...placed.map((one) => one.buffer)]) buffer?.destroy();
  at = 0;
  return placed.flatMap(({ before, bound }, i) => {
    const now = after.subarray(at, at + before.byteLength);
    at += before.byteLength;
    const changed = now.findIndex((byte, j) => byte !== before[j] && (j < guardBytes || j >= guardBytes + bound));
    if (changed >= 0) {
      throw new Error(`binding ${i} of ${bound} bytes was written at byte ${changed - guardBytes}\n${launch.code}`);
    }
    return i < data.length ? [now.slice(guardBytes, guardBytes + data[i].byteLength)] : [];
  });
}

function uniformBuffer(device: GPUDevice, sizes: readonly number[]): GPUBuffer | undefined {
  if (sizes.length === 0) return undefined;
  const words = new Int32Array(roundUp(4 * sizes.length) / 4);
  words.set(sizes);
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: words.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, words);
  return buffer;
}

/** A launch of generated code at some sizes. */
export function launchOf(generated: GeneratedKernel, bindings: DimBindings): Launch {
  const { code, access, sizes, dispatches, scratchBytes } = generated;
  return {
    code,
    access,
    sizes: sizes.map((size) => evaluateDim(size, bindings)),
    dispatches: dispatches.map(({ entryPoint, workgroups }) => ({
      entryPoint,
      workgroups: evaluateDim(workgroups, bindings),
    })),
    scratchBytes: evaluateDim(scratchBytes, bindings),
    hasScratch: scratchBytes !== 0,
  };
}

const bytesOf = (data: BufferData): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Each binding of a kernel with in-place pairs as one, and where it was among the kernel's buffers. */
function merged(kernel: Kernel): { readonly kernel: Kernel; readonly from: readonly number[] } {
  const buffers = kernel.buffers.map(
    ({ inPlaceOf }, i): LaunchBuffer => ({ kind: 'temporary', index: inPlaceOf ?? i }),
  );
  const merging = mergeInPlace(kernel, buffers);
  return { kernel: merging.kernel, from: merging.buffers.map(({ index }) => index) };
}

/** The kernel's buffers after a run on the device. */
export async function runKernelOnGpu(
  kernel: Kernel,
  inputs: readonly BufferData[],
  bindings: Bindings,
  options: KernelOptions,
  rows: Rows = 1,
): Promise<BufferData[]> {
  const one = merged(kernel);
  const launch = launchOf(generateKernel(one.kernel, options), bindingMap(bindings));
  const after = await runLaunch(
    launch,
    one.from.map((at) => bytesOf(inputs[at])),
    rows,
  );
  return kernel.buffers.map(({ inPlaceOf }, i) => {
    const copy = inputs[i].slice();
    bytesOf(copy).set(after[one.from.indexOf(inPlaceOf ?? i)]);
    return copy;
  });
}

/** A way of generating code, and how many rows its workgroups are laid out in. */
interface Way {
  readonly options: KernelOptions;
  readonly rows: Rows;
}

/** What is tried on this device: with subgroups and without, in both precisions. */
async function allWays(): Promise<Way[]> {
  const tier = await fullTier();
  const without = { ...tier, subgroups: false };
  return [
    { options: { precision: 'strict', tier }, rows: 1 },
    { options: { precision: 'fast', tier: without }, rows: 3 },
    { options: { precision: 'fast', tier }, rows: 2 },
    ...(tier.subgroups ? [{ options: { precision: 'strict', tier: without } as const, rows: 1 }] : []),
  ];
}

/**
 * Generates a kernel, runs it, and compares with the interpreter.
 * @param turn which of the ways to generate and lay it out is tried: one after the other, or all at once
 * @returns the difference, or `undefined` when there is none
 */
export async function compareOnGpu(
  kernel: Kernel,
  inputs: readonly BufferData[],
  bindings: Bindings = {},
  turn: number | 'all' = 'all',
): Promise<string | undefined> {
  const expected = expectationOf(kernel, inputs, bindings);
  const ways = await allWays();
  for (const { options, rows } of turn === 'all' ? ways : [ways[turn % ways.length]]) {
    const buffers = await runKernelOnGpu(kernel, inputs, bindings, options, rows);
    const difference = closeToInterpreter(kernel, buffers, expected);
    if (difference) return `${options.precision}, ${tierName(options.tier)}: ${difference}`;
  }
  return undefined;
}
