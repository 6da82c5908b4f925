/**
 * Runs scalar code of the WebGPU backend over arrays, on whatever adapter there is: what its tests and measurements
 * stand on.
 *
 *     const gpu = await openGpu();
 *     const sums = await mapWgsl(gpu.device, codeOf({ opcode: 'add', dtype: 'float32', from: 'float32' }, 2), way, [x, y]);
 *     gpu.close();
 */
import { create, globals } from 'webgpu';
import type { DType } from '../base/dtype.ts';
import { laneKind } from '../codegen/wgsl/math/convert.ts';
import { applyText, type MathContext, type ScalarOp } from '../codegen/wgsl/math/index.ts';
import { opaqueZero } from '../codegen/wgsl/math/writer.ts';

/** Dawn's device, and how to let go of it: a process that ends with it open may hang. */
export interface Gpu {
  readonly device: GPUDevice;
  /** The name of the adapter, for people. */
  readonly adapter: string;
  close(): void;
}

/** The device of Dawn for Node, or `undefined` where there is no adapter. */
export async function openGpu(): Promise<Gpu | undefined> {
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const adapter = await gpu.requestAdapter();
  if (!adapter) return undefined;
  const { vendor, architecture, description } = adapter.info;
  const device = await adapter.requestDevice({
    requiredLimits: { maxStorageBufferBindingSize: adapter.limits.maxStorageBufferBindingSize },
  });
  return {
    device,
    adapter: [description || vendor, architecture].filter(Boolean).join(', '),
    // The instance must outlive its devices.
    close: () => void (gpu && device.destroy()),
  };
}

/** How code is written. */
export interface Way {
  readonly precision: 'fast' | 'strict';
  readonly lanes: 1 | 4;
}

/** An expression of operands. */
export interface ScalarCode {
  readonly operands: readonly DType[];
  readonly result: DType;
  text(context: MathContext, names: readonly string[]): string;
}

/** The code of an op whose operands are all of one dtype, or of the dtypes given. */
export const codeOf = (op: ScalarOp, operands: number | readonly DType[] = 1): ScalarCode => ({
  operands: typeof operands === 'number' ? Array.from({ length: operands }, () => op.from) : operands,
  result: op.dtype,
  text: (context, names) => applyText(context, op, names),
});

const types = {
  1: { f: 'f32', i: 'i32', u: 'u32', b: 'bool' },
  4: { f: 'vec4f', i: 'vec4i', u: 'vec4u', b: 'vec4<bool>' },
} as const;

/** The module that applies code to each element of arrays of 32-bit words; bools are the words 0 and 1. */
export function mapModule(code: ScalarCode, way: Way): string {
  const helpers = new Map<string, string>();
  const context: MathContext = { ...way, helper: (name, text) => helpers.set(name, text) };
  const word = way.lanes === 1 ? 'u32' : 'vec4u';
  const loads = code.operands.map((dtype, at) => {
    const kind = laneKind(dtype);
    const bits = `x${at}[i]`;
    const value = kind === 'b' ? `${bits} != ${word}(0u)` : `bitcast<${types[way.lanes][kind]}>(${bits})`;
    return `  let v${at} = ${kind === 'u' ? bits : value};`;
  });
  const names = code.operands.map((_, at) => `v${at}`);
  const result = code.text(context, names);
  const kind = laneKind(code.result);
  const bits = kind === 'b' ? `select(${word}(0u), ${word}(1u), result)` : `bitcast<${word}>(result)`;
  const bindings = names.map((_, at) => `@group(0) @binding(${at}) var<storage, read> x${at}: array<${word}>;`);
  return [
    ...bindings,
    `@group(0) @binding(${names.length}) var<storage, read_write> y: array<${word}>;`,
    ...helpers.values(),
    '@compute @workgroup_size(64)',
    'fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) num_workgroups: vec3u) {',
    ...(helpers.has(opaqueZero) ? [`  ${opaqueZero} = num_workgroups.x >> 31u;`] : []),
    '  let i = id.x;',
    '  if (i >= arrayLength(&y)) {',
    '    return;',
    '  }',
    ...loads,
    `  let result: ${types[way.lanes][kind]} = ${result};`,
    `  y[i] = ${kind === 'u' ? 'result' : bits};`,
    '}',
  ].join('\n');
}

const pipelines = new WeakMap<GPUDevice, Map<string, GPUComputePipeline>>();

async function pipelineOf(device: GPUDevice, code: string): Promise<GPUComputePipeline> {
  const known = pipelines.get(device) ?? new Map<string, GPUComputePipeline>();
  pipelines.set(device, known);
  let pipeline = known.get(code);
  if (!pipeline) {
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    const errors = messages.filter(({ type }) => type === 'error');
    if (errors.length > 0) {
      const lines = errors.map(({ lineNum, message }) => `${lineNum}: ${message}`).join('\n');
      throw new Error(`${lines}\n${code}`);
    }
    pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    known.set(code, pipeline);
  }
  return pipeline;
}

/**
 * The bits of the results.
 * @param operands bits of the operands, all of one length, a multiple of 4, at most 4 million
 */
export async function mapWgsl(
  device: GPUDevice,
  code: ScalarCode,
  way: Way,
  operands: readonly Uint32Array[],
): Promise<Uint32Array> {
  const pipeline = await pipelineOf(device, mapModule(code, way));
  const size = operands[0].byteLength;
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  const inputs = operands.map((bits) => {
    const buffer = device.createBuffer({ size, usage: STORAGE | COPY_DST });
    device.queue.writeBuffer(buffer, 0, bits.buffer, bits.byteOffset, bits.byteLength);
    return buffer;
  });
  const output = device.createBuffer({ size, usage: STORAGE | COPY_SRC });
  const staging = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
  const buffers = [...inputs, output];
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.ceil(operands[0].length / way.lanes / 64));
  pass.end();
  encoder.copyBufferToBuffer(output, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const result = new Uint32Array(staging.getMappedRange().slice(0));
  for (const buffer of [...buffers, staging]) buffer.destroy();
  return result;
}
