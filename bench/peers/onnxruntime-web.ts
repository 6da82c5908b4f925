/**
 * onnxruntime-web as a rival, when it is installed (`npm install --no-save onnxruntime-web`): one session of a small
 * model, on WASM with a given number of threads.
 */
import { type OnnxGraph, onnxModel } from './onnx.ts';

interface OrtTensor {
  readonly data: Float32Array;
}
interface OrtSession {
  run(feeds: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, OrtTensor>>>;
}
interface Ort {
  readonly env: { readonly wasm: { numThreads: number }; readonly versions: { readonly web?: string } };
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<OrtSession> };
  readonly Tensor: new (type: 'float32', data: Float32Array, shape: readonly number[]) => unknown;
}

export interface Peer {
  readonly name: string;
  run(inputs: Readonly<Record<string, Float32Array>>): Promise<Float32Array>;
}

/** A session for the graph's first output, or `undefined` when the package is not installed. */
export async function onnxruntimeWeb(graph: OnnxGraph, threads: number): Promise<Peer | undefined> {
  const packageName = 'onnxruntime-web';
  let ort: Ort;
  try {
    ort = await import(packageName);
  } catch {
    return undefined;
  }
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(onnxModel(graph), { executionProviders: ['wasm'] });
  return {
    name: `onnxruntime-web ${ort.env.versions.web ?? ''} (WASM, ${threads} thread${threads === 1 ? '' : 's'})`,
    async run(inputs) {
      const feeds = Object.fromEntries(
        graph.inputs.map(({ name, shape }) => [name, new ort.Tensor('float32', inputs[name], shape)]),
      );
      return (await session.run(feeds))[graph.outputs[0].name].data;
    },
  };
}
