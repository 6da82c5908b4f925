/**
 * A process that computes a little of everything, for tests of the cache: it prints one line of JSON, with the bits of
 * every result and what it took to get them.
 *
 *     node --import tsx test/support/cache-child.ts '{ "version": "v1" }'
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { compile, dim, grad, init, relu, softmax, spec, type Tensor, tensor, tree } from '../../index.ts';
import { isCompilerLoaded } from '../../tracer/compiler-client.ts';
import { sourcesNamed } from '../../tracer/program-cache.ts';

interface Options {
  /** Of the function under an explicit key. */
  readonly version?: string;
  readonly cache?: Parameters<typeof init>[0];
  readonly device?: string;
}

const threads = createRequire(import.meta.url)('node:worker_threads') as { Worker: new (...args: never[]) => object };
let workers = 0;
threads.Worker = class extends threads.Worker {
  constructor(...args: never[]) {
    super(...args);
    workers++;
  }
};

const { version = 'v1', cache, device } = JSON.parse(process.argv[2] ?? '{}') as Options;
await init({ ...cache, ...(device !== undefined && { device }) });

const counted = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
  return tensor(data, { shape });
};
const bitsOf = async (result: Tensor): Promise<string> => {
  const data = (await result.data()) as Float32Array;
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('base64');
};

class Pair {
  constructor(
    readonly first: Tensor,
    readonly second: Tensor,
  ) {}
}
tree.register(Pair, {
  flatten: ({ first, second }) => [[first, second], { kind: 'pair', at: -0 }] as const,
  unflatten: ([first, second]) => new Pair(first, second),
});

let runs = 0;
const traced = compile(
  (x: Tensor, scale: number) => {
    runs++;
    return { pair: new Pair(x.mul(scale), x.sum()), nothing: null, list: [x.sub(1)] };
  },
  { cache: `traced ${version}` },
);
let steps = 0;
class Counter {
  total = tensor([1, 2]);
  state: { count: Tensor<'float32'>; mode: string } = { count: tensor(0), mode: 'idle' };

  @compile({ cache: `counter ${version}` })
  add(x: Tensor<'float32'>): Tensor<'float32'> {
    steps++;
    this.total = this.total.add(x);
    this.state.count = this.state.count.add(1);
    this.state.mode = 'busy';
    return this.total.mul(2);
  }
}

const w = counted(24, 16);
const rows = dim('B', { min: 1, max: 64 });
const layer = compile((x: Tensor, weights: Tensor) => relu(x.matmul(weights)), { name: 'layer' });
const captured = compile((x: Tensor) => x.matmul(w).tanh(), { name: 'captured', cache: 'captured' });
const symbolic = compile((x: Tensor, weights: Tensor) => x.matmul(weights).exp(), {
  name: 'symbolic',
  cache: 'symbolic',
  dynamic: [spec([rows, 24]), undefined],
});
const budgeted = compile((x: Tensor) => x.add(1).matmul(w).sin().sum(), { name: 'budgeted', memoryBudget: 1 << 20 });
const step = compile((p: Tensor, g: Tensor) => p.sub(g.mul(0.5)), { name: 'step', donate: [0] });
const slope = grad((x: Tensor) => x.matmul(w).tanh().sum());

const results: Record<string, string> = {};
results.layer = await bitsOf(layer(counted(8, 24), w));
results.eager = await bitsOf(softmax(counted(5, 7), -1));
results.slope = await bitsOf(slope(counted(8, 24)));
results.captured = await bitsOf(captured(counted(8, 24)));
for (const count of [3, 40]) results[`symbolic ${count}`] = await bitsOf(symbolic(counted(count, 24), w));
results.budgeted = await bitsOf(budgeted(counted(8, 24)));
results.step = await bitsOf(step(counted(9), counted(9)));
const given = traced(counted(4), 0.25);
results.first = await bitsOf(given.pair.first);
results.second = await bitsOf(given.pair.second);
results.list = await bitsOf(given.list[0]);
const counter = new Counter();
for (let i = 0; i < 2; i++) results[`counter ${i}`] = await bitsOf(counter.add(tensor([0.5, 1])));
results.count = await bitsOf(counter.state.count);

console.log(
  JSON.stringify({
    results,
    kinds: [given.pair instanceof Pair, given.nothing === null, counter.state.mode],
    runs,
    steps,
    workers,
    isCompilerLoaded: isCompilerLoaded('wasm') || isCompilerLoaded('webgpu'),
    stats: Object.fromEntries(
      Object.entries({ layer, captured, symbolic, budgeted, step, traced }).map(([name, fn]) => {
        const { compiles, hits, compileMs } = fn.stats();
        return [name, { compiles, hits, compileMs }];
      }),
    ),
    fromCache: sourcesNamed('layer').every((source) => source.isFromCache),
  }),
);
