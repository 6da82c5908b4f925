/**
 * onnxruntime as a host, in WASM or native: `onnxruntime.ts web 2` or `onnxruntime.ts node 1`. A call is `session.run`
 * on tensors that exist already; what it gives is released with the next collection of garbage, as the package leaves
 * it.
 */
import { onnxModel } from '../onnx.ts';
import { onnxGraphOf } from '../onnx-graphs.ts';
import type { Absent } from '../protocol.ts';
import type { Work } from '../rows.ts';
import type { Elements, NamedArray } from '../work.ts';
import { type Adapter, type Prepare, serve } from './serve.ts';

interface OrtTensor {
  readonly data: Elements;
  dispose?(): void;
}
interface OrtSession {
  run(feeds: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}
interface Ort {
  readonly env: {
    readonly wasm: { numThreads: number };
    readonly versions: { readonly web?: string; readonly node?: string };
    logLevel: string;
  };
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<OrtSession> };
  readonly Tensor: new (type: string, data: Elements, shape: readonly number[]) => OrtTensor;
}

type Flavour = 'web' | 'node';

async function start(flavour: Flavour, threads: number): Promise<Adapter | Absent> {
  const packageName = `onnxruntime-${flavour}`;
  let ort: Ort;
  try {
    const loaded = (await import(packageName)) as Ort & { readonly default?: Ort };
    ort = loaded.default ?? loaded;
  } catch (error) {
    return { absent: `${packageName} is not installed: ${(error as Error).message.split('\n')[0]}` };
  }
  ort.env.logLevel = 'error';
  if (flavour === 'web') ort.env.wasm.numThreads = threads;
  const options = {
    executionProviders: [flavour === 'web' ? 'wasm' : 'cpu'],
    graphOptimizationLevel: 'all',
    ...(flavour === 'node' ? { intraOpNumThreads: threads, interOpNumThreads: 1 } : {}),
  };
  const prepare = async (work: Work, inputs: readonly NamedArray[]): Promise<Prepare | Absent> => {
    const row = onnxGraphOf(work, inputs);
    if (!row) return { absent: 'no such inference graph' };
    const session = await ort.InferenceSession.create(onnxModel(row.graph), options);
    const feeds = Object.fromEntries(
      row.given.map(({ name, dtype, data, shape }) => [name, new ort.Tensor(dtype, data, shape)]),
    );
    const repeat = work.kind === 'inTurn' || work.kind === 'inFlight' ? work.calls : 1;
    const output = row.graph.outputs[0].name;
    return {
      async run(calls) {
        for (let i = 0; i < calls * repeat; i++) (await session.run(feeds))[output].dispose?.();
      },
      async outputs() {
        const [first] = [(await session.run(feeds))[output].data];
        return Array.from({ length: repeat }, () => first);
      },
      release() {
        void session.release();
      },
    };
  };
  const version = ort.env.versions[flavour] ?? '';
  return {
    name: `${packageName} ${version}`.trim(),
    features: [`${threads} threads`, flavour === 'web' ? 'WASM' : 'native'],
    prepare,
  };
}

const [flavour, threads] = process.argv.slice(2);
await serve(() => start(flavour as Flavour, Number(threads)));
