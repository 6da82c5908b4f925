/**
 * The runtimes beside each other in one page, or in one process of Node: Kiln, onnxruntime-web, TensorFlow.js and
 * jax-js, each on WebGPU in its best form. Modules of rivals come from `Modules`, since a page and a process find them
 * in different places.
 */
import { devices, init } from '../../index.ts';
import { tierName } from '../../runtime/program.ts';
import { currentDevice } from '../../runtime/session.ts';
import type { Adapter, Prepare } from '../peers/adapter.ts';
import { type Jax, prepareJax } from '../peers/adapters/jax-js.ts';
import { type FunctionKind, prepareKiln } from '../peers/adapters/kiln.ts';
import { type Ort, prepareOnnx } from '../peers/adapters/onnxruntime.ts';
import { prepareTf, type Tf } from '../peers/adapters/tfjs.ts';
import type { Absent } from '../peers/protocol.ts';
import type { Work, WorkOf } from '../peers/rows.ts';
import { inputsOf, type NamedArray } from '../peers/work.ts';

export const peers = ['kiln', 'onnxruntime-web', 'tfjs', 'jax-js'] as const;
export type Peer = (typeof peers)[number];

/** Loads the packages of rivals. */
export interface Modules {
  onnxruntime(): Promise<unknown>;
  /** TensorFlow.js with its backend for WebGPU. */
  tfjs(): Promise<unknown>;
  jax(): Promise<unknown>;
}

/** A runtime; `flush` hands over what it has recorded and not submitted. */
export interface Runtime extends Adapter {
  flush?(): void;
}

/** Kinds that measure the machine, which another row does here. */
const isOfMachine = ({ kind }: Work): boolean => kind === 'copy' || kind === 'read' || kind === 'registerTile';

async function startKiln(): Promise<Runtime | Absent> {
  if (!devices().includes('webgpu')) return { absent: 'there is no WebGPU here' };
  await init({ device: 'webgpu' });
  const prepare = async (work: Work, inputs: readonly NamedArray[], mode: string): Promise<Prepare | Absent> => {
    if (isOfMachine(work)) return { absent: 'no work of a program' };
    const storage = mode === 'fast float16' ? 'float16' : undefined;
    return prepareKiln(work as WorkOf<FunctionKind>, inputs, 'fast', storage);
  };
  return { name: 'Kiln', features: [tierName(currentDevice().tier)], prepare };
}

interface WebgpuOrt extends Ort {
  readonly env: Ort['env'] & { readonly webgpu: { readonly device: Promise<GPUDevice> | GPUDevice } };
  readonly Tensor: Ort['Tensor'] & {
    fromGpuBuffer(buffer: GPUBuffer, options: { readonly dataType: string; readonly dims: readonly number[] }): unknown;
  };
}

async function startOnnxruntime(modules: Modules): Promise<Runtime> {
  const ort = (await modules.onnxruntime()) as WebgpuOrt;
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;
  const options = {
    executionProviders: ['webgpu'],
    graphOptimizationLevel: 'all',
    preferredOutputLocation: 'gpu-buffer',
  };
  // Its device goes with the last session, so one stays.
  const tiny: Work = { kind: 'tiny' };
  await prepareOnnx(ort, options, tiny, inputsOf(tiny));
  const device = await ort.env.webgpu.device;
  const prepare = async (work: Work, inputs: readonly NamedArray[]): Promise<Prepare | Absent> => {
    const buffers: GPUBuffer[] = [];
    const prepared = await prepareOnnx(ort, options, work, inputs, ({ dtype, data, shape }) => {
      const size = Math.max(16, Math.ceil(data.byteLength / 16) * 16);
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
      const buffer = device.createBuffer({ size, usage });
      device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
      buffers.push(buffer);
      return ort.Tensor.fromGpuBuffer(buffer, { dataType: dtype, dims: shape });
    });
    if ('absent' in prepared) return prepared;
    return {
      ...prepared,
      release() {
        prepared.release?.();
        for (const buffer of buffers) buffer.destroy();
      },
    };
  };
  return { name: `onnxruntime-web ${ort.env.versions.web ?? ''}`.trim(), features: ['webgpu'], prepare };
}

interface WebgpuTf extends Tf {
  backend(): { readonly commandEncoder?: object | null; submitQueue?(): void };
}

async function startTf(modules: Modules): Promise<Runtime> {
  const tf = (await modules.tfjs()) as WebgpuTf;
  if (!(await tf.setBackend('webgpu'))) throw new Error('its webgpu backend does not start');
  await tf.ready();
  return {
    name: `tfjs ${tf.version_core}`,
    features: ['webgpu'],
    prepare: (work, inputs) => prepareTf(tf, work, inputs),
    flush() {
      const backend = tf.backend();
      if (backend.commandEncoder) backend.submitQueue?.();
    },
  };
}

async function startJax(modules: Modules): Promise<Runtime | Absent> {
  const jax = (await modules.jax()) as Jax;
  const found = await jax.init('webgpu');
  if (!found.includes('webgpu')) return { absent: 'jax-js finds no WebGPU' };
  jax.defaultDevice('webgpu');
  return { name: 'jax-js 0.1.25', features: ['webgpu'], prepare: (work, inputs) => prepareJax(jax, work, inputs) };
}

/** A runtime, or why it can not be had. */
export async function startRuntime(peer: Peer, modules: Modules): Promise<Runtime | Absent> {
  try {
    if (peer === 'kiln') return await startKiln();
    if (peer === 'onnxruntime-web') return await startOnnxruntime(modules);
    return peer === 'tfjs' ? await startTf(modules) : await startJax(modules);
  } catch (error) {
    return { absent: `${peer}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}` };
  }
}
