/**
 * onnxruntime, on any provider. A call is `session.run` on tensors that exist already; what it gives is released with
 * the next collection of garbage, as the package leaves it, or at once where it says how.
 */
import type { Prepare } from '../adapter.ts';
import { onnxModel } from '../onnx.ts';
import { onnxGraphOf } from '../onnx-graphs.ts';
import type { Absent } from '../protocol.ts';
import type { Work } from '../rows.ts';
import type { Elements, NamedArray } from '../work.ts';

export interface OrtTensor {
  readonly data: Elements;
  getData?(): Promise<Elements>;
  dispose?(): void;
}
export interface OrtSession {
  run(feeds: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}
export interface Ort {
  readonly env: {
    readonly wasm: { numThreads: number };
    readonly versions: { readonly web?: string; readonly node?: string };
    logLevel: string;
  };
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<OrtSession> };
  readonly Tensor: new (type: string, data: Elements, shape: readonly number[]) => OrtTensor;
}

/**
 * Builds work as a session.
 * @param given makes an input; without it, a tensor of the processor
 */
export async function prepareOnnx(
  ort: Ort,
  options: object,
  work: Work,
  inputs: readonly NamedArray[],
  given: (input: NamedArray) => unknown = ({ dtype, data, shape }) => new ort.Tensor(dtype, data, shape),
): Promise<Prepare | Absent> {
  const row = onnxGraphOf(work, inputs);
  if (!row) return { absent: 'no such inference graph' };
  const session = await ort.InferenceSession.create(onnxModel(row.graph), options);
  const feeds = Object.fromEntries(row.given.map((input) => [input.name, given(input)]));
  const repeat = work.kind === 'inTurn' || work.kind === 'inFlight' ? work.calls : 1;
  const output = row.graph.outputs[0].name;
  return {
    async run(calls) {
      for (let i = 0; i < calls * repeat; i++) (await session.run(feeds))[output].dispose?.();
    },
    async outputs() {
      const result = (await session.run(feeds))[output];
      const elements = (await result.getData?.()) ?? result.data;
      return Array.from({ length: repeat }, () => elements);
    },
    release() {
      void session.release();
    },
  };
}
