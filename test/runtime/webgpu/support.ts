/**
 * WebgpuPrograms made by hand: tiny kernels in WGSL, which keep to the convention of `runtime/program.ts`, and devices
 * that end with their test.
 */
import { createHash } from 'node:crypto';
import { onTestFinished } from 'vitest';
import type { BufferHandle } from '../../../runtime/device.ts';
import { decodeElements } from '../../../runtime/elements.ts';
import {
  coreWebgpuTier,
  programVersion,
  type Size,
  type WebgpuProgram,
  type WgslKernel,
} from '../../../runtime/program.ts';
import { openWebgpu, type WebgpuDevice, type WebgpuOptions } from '../../../runtime/webgpu/device.ts';
import { compiledSource, float32Bytes, float32Input, input, output, ownOutput, temporary } from '../support.ts';

/** Elements of one workgroup of the kernels here. */
export const groupElements = 64;

/** A device of its own, shut down when the test ends. */
export async function openDevice(options: WebgpuOptions = {}): Promise<WebgpuDevice> {
  const device = await openWebgpu(options);
  onTestFinished(() => device.shutdown());
  return device;
}

export function kernelOf(name: string, code: string, fields: Partial<WgslKernel>): WgslKernel {
  return {
    name,
    hash: createHash('sha256').update(code).digest('hex'),
    code,
    buffers: 0,
    bufferBytes: Array<Size>(fields.buffers ?? 0).fill(0),
    access: [],
    sizes: [],
    dispatches: [{ entryPoint: 'main', workgroups: 1 }],
    scratchBytes: 0,
    flops: 0,
    ...fields,
  };
}

const groupsFor = (elements: Size): Size =>
  typeof elements === 'number'
    ? Math.ceil(elements / groupElements)
    : `floordiv(${elements}+${groupElements - 1},${groupElements})`;

/** The number of this thread among all, with workgroups in two dimensions. */
export const threadNumber = `(id.x + id.y * groups.x) * ${groupElements} + thread`;
export const entryPoint = (name: string): string => `@compute @workgroup_size(${groupElements})
fn ${name}(@builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u,
        @builtin(local_invocation_index) thread: u32)`;

/**
 * A kernel over float32 that computes one element of the last buffer from those of the others, `x0`, `x1`, …
 * @param body an expression in WGSL, such as `x0 + x1`
 * @param inPlace the buffer written is the first that is read
 */
export function elementwise(name: string, inputs: number, elements: Size, body: string, inPlace = false): WgslKernel {
  const reads = Array.from({ length: inputs }, (_, i) => i);
  const outputAt = inPlace ? 0 : inputs;
  const buffers = inPlace ? inputs : inputs + 1;
  const access = Array.from({ length: buffers }, (_, i) =>
    i === outputAt ? ('read_write' as const) : ('read' as const),
  );
  const code = `struct Sizes { elements: i32 }
${access.map((way, i) => `@group(0) @binding(${i}) var<storage, ${way}> b${i}: array<f32>;`).join('\n')}
@group(0) @binding(${buffers}) var<uniform> sizes: Sizes;
${entryPoint('main')} {
  let i = ${threadNumber};
  if (i >= u32(sizes.elements)) { return; }
${reads.map((i) => `  let x${i} = b${i}[i];`).join('\n')}
  b${outputAt}[i] = ${body};
}`;
  return kernelOf(name, code, {
    buffers,
    bufferBytes: Array<Size>(buffers).fill(float32Bytes(elements)),
    access,
    sizes: [elements],
    dispatches: [{ entryPoint: 'main', workgroups: groupsFor(elements) }],
    flops: elements,
  });
}

export const addition = (elements: Size): WgslKernel => elementwise('add', 2, elements, 'x0 + x1');
export const doubling = (elements: Size): WgslKernel => elementwise('double', 1, elements, '2 * x0');
export const doublingThere = (elements: Size): WgslKernel => elementwise('double_there', 1, elements, '2 * x0', true);

export function programOf(fields: Partial<WebgpuProgram>): WebgpuProgram {
  return {
    version: programVersion,
    name: 'test',
    tier: coreWebgpuTier,
    symbols: [],
    inputs: [],
    outputs: [],
    constants: [],
    prepared: [],
    temporaries: [],
    kernels: [],
    steps: [],
    prepareSteps: 0,
    ...fields,
  };
}

/** `x + y` of float32 vectors. */
export const additionProgram = (elements: Size, fields: Partial<WebgpuProgram> = {}): WebgpuProgram =>
  programOf({
    name: 'add',
    inputs: [float32Input([elements]), float32Input([elements])],
    outputs: [ownOutput([elements])],
    kernels: [addition(elements)],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), input(1), output(0)] }],
    ...fields,
  });

/** `2 * x`, in the memory of its donated input. */
export const doublingInPlace = (elements: number): WebgpuProgram =>
  programOf({
    name: 'double',
    inputs: [float32Input([elements], true)],
    outputs: [{ dtype: 'float32', shape: [elements], source: { kind: 'donated', input: 0 } }],
    kernels: [doublingThere(elements)],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0)] }],
  });

/** `2^steps * x` through temporaries. */
export function chainProgram(elements: Size, steps: number, name = 'chain'): WebgpuProgram {
  const bytes: Size = typeof elements === 'number' ? 4 * elements : `4*(${elements})`;
  return programOf({
    name,
    symbols: typeof elements === 'number' ? [] : [{ name: 'B', min: 0, max: 100_000 }],
    inputs: [float32Input([elements])],
    outputs: [ownOutput([elements])],
    temporaries: Array.from({ length: steps - 1 }, (_, i) => ({ bytes, first: i, last: i + 1 })),
    kernels: [doubling(elements)],
    steps: Array.from({ length: steps }, (_, i) => ({
      kind: 'launch',
      kernel: 0,
      buffers: [i === 0 ? input(0) : temporary(i - 1), i === steps - 1 ? output(0) : temporary(i)],
    })),
  });
}

/** `x + 2 * w`, where `2 * w` is kept. */
export const keepingProgram = (elements: number): WebgpuProgram =>
  programOf({
    name: 'keep',
    inputs: [float32Input([elements]), { ...float32Input([elements]), held: true }],
    outputs: [ownOutput([elements])],
    prepared: [{ dtype: 'float32', shape: [elements] }],
    kernels: [doubling(elements), addition(elements)],
    steps: [
      { kind: 'launch', kernel: 0, buffers: [input(1), { kind: 'prepared', index: 0 }] },
      { kind: 'launch', kernel: 1, buffers: [input(0), { kind: 'prepared', index: 0 }, output(0)] },
    ],
    prepareSteps: 1,
  });

/** Runs a program with outputs of one axis. */
export const run = (
  device: WebgpuDevice,
  program: WebgpuProgram,
  inputs: readonly BufferHandle[],
  sizes: readonly number[],
): BufferHandle[] =>
  device.run(
    compiledSource(program),
    inputs,
    program.outputs.map(({ dtype }, i) => ({ dtype, shape: [sizes[i]] })),
  );

export const valuesOf = async (device: WebgpuDevice, handle: BufferHandle): Promise<number[]> =>
  Array.from(decodeElements('float32', await device.read(handle)));

export const filled = (elements: number, value = 1): number[] => new Array<number>(elements).fill(value);
