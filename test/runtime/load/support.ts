/** A small model that is baked, and the same compiled: for tests of the loader. */
import {
  type BakeDefinition,
  defineBake,
  dim,
  spec,
  specOf,
  type Tensor,
  tensor,
  tree,
  valueAndGrad,
} from '../../../index.ts';
import { bakeArtefact } from '../../../tracer/bake/bake.ts';
import { loadCompiler } from '../../../tracer/compiler-client.ts';

export interface Params {
  readonly w: Tensor;
  readonly b: Tensor;
}

/** The same numbers each time; on the session's device. */
export const newParams = (): Params => ({
  w: tensor(
    Float32Array.from({ length: 24 }, (_, i) => Math.sin(i) / 3),
    { shape: [6, 4] },
  ),
  b: tensor([0.5, -0.25, 0.125, 0]),
});

export const batch = (rows: number): Float32Array =>
  Float32Array.from({ length: rows * 6 }, (_, i) => Math.cos(i * 1.7));

export const forward = (p: Params, x: Tensor): Tensor => x.matmul(p.w).add(p.b).tanh();

export const step = (p: Params, x: Tensor, rate: number): { loss: Tensor; params: Params } => {
  const [loss, gradients] = valueAndGrad((q: Params) => forward(q, x).square().mean())(p);
  return { loss, params: tree.map((w: Tensor, g: Tensor) => w.sub(g.mul(rate)), p, gradients) };
};

/** A forward pass over any number of rows, a training step, and a function that has captured tensors. */
export function newModel(): BakeDefinition {
  const params = newParams();
  const scale = tensor([1, 2, 3, 4]);
  return defineBake(
    {
      forward: { fn: forward, args: [specOf(params), spec([dim('B', { max: 64 }), 6])], precision: 'strict' },
      step: { fn: step, args: [specOf(params), spec([4, 6]), 0.25], donate: [0], precision: 'strict' },
      scaled: { fn: (x: Tensor) => [forward(params, x).mul(scale), null], args: [spec([2, 6])], precision: 'strict' },
      mode: {
        fn: (x: Tensor, options: { readonly name: string }) => (options.name === 'exp' ? x.exp() : x.neg()),
        args: [spec([3]), { name: 'exp' }],
        static: [1],
        precision: 'strict',
      },
    },
    { weights: { params } },
  );
}

/** On this thread, whose compiler other files use too. */
export async function bakeModel(targets: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  await loadCompiler();
  return (await bakeArtefact(newModel(), { targets, threads: 1 })).bytes;
}

/** Types as `kiln bake` writes them beside the artefact. */
export interface ModelFunctions {
  forward(p: Params, x: Tensor | Float32Array): Tensor;
  step(p: Params, x: Tensor, rate: number): { loss: Tensor; params: Params };
  scaled(x: Tensor): [Tensor, null];
  mode(x: Tensor | Float32Array, options: { readonly name: string }): Tensor;
}

export interface ModelWeights {
  readonly params: Params;
}
