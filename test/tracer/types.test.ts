/** Types of the public surface: transforms and compile keep the signatures of functions. Checked by the compiler. */
import { describe, expectTypeOf, it } from 'vitest';
import {
  type Compiled,
  checkpoint,
  compile,
  crossEntropy,
  grad,
  mseLoss,
  spec,
  specOf,
  type Tensor,
  type TensorSpec,
  tensor,
  tree,
  valueAndGrad,
  vjp,
} from '../../index.ts';

interface Params {
  w: Tensor;
  b: Tensor;
  layers: { k: Tensor }[];
}
const loss = (p: Params, x: Tensor, scale: number): Tensor => x.matmul(p.w).add(p.b).mul(scale).sum();
const withAux = (p: Params, x: Tensor) =>
  [x.mul(p.w).sum() as Tensor, { h: x, n: 3 }] as [Tensor, { h: Tensor; n: number }];
const params: Params = { w: tensor([[1]]), b: tensor([1]), layers: [] };

type FloatTensor = Tensor<'float64' | 'float32' | 'float16' | 'bfloat16'>;

describe('types', () => {
  it('of transforms', () => {
    expectTypeOf(grad(loss)).toEqualTypeOf<(p: Params, x: Tensor, scale: number) => Params>();
    expectTypeOf(grad(loss, { argnums: 1 })).returns.toEqualTypeOf<Tensor>();
    expectTypeOf(grad(loss, { argnums: [0, 1] })).returns.toEqualTypeOf<[Params, Tensor]>();
    expectTypeOf(valueAndGrad(loss)).returns.toEqualTypeOf<[value: FloatTensor, gradients: Params]>();
    expectTypeOf(valueAndGrad(loss)).returns.toExtend<[Tensor, Params]>();
    expectTypeOf(grad(withAux, { hasAux: true })).returns.toEqualTypeOf<
      [gradients: Params, aux: { h: Tensor; n: number }]
    >();
    expectTypeOf(valueAndGrad(withAux, { hasAux: true })).returns.toEqualTypeOf<
      [value: [FloatTensor, { h: Tensor; n: number }], gradients: Params]
    >();
    expectTypeOf(vjp((x: Tensor, y: Tensor) => ({ s: x.add(y) as Tensor }))).returns.toEqualTypeOf<
      [output: { s: Tensor }, pullback: (cotangent: { s: Tensor }) => [Tensor, Tensor]]
    >();
    expectTypeOf(checkpoint(loss)).toEqualTypeOf<typeof loss>();
    const generic = checkpoint(<T extends Tensor>(x: T) => ({ x }));
    expectTypeOf(generic(tensor([1]))).toEqualTypeOf<{ x: Tensor<'float32'> }>();
    expectTypeOf(grad(grad((x: Tensor) => x.sum() as Tensor))).toEqualTypeOf<(x: Tensor) => Tensor>();
  });

  it('of scalars: what can only be a float has a number as its item', () => {
    const plain = tensor([1]) as Tensor;
    expectTypeOf(plain.item).returns.resolves.toEqualTypeOf<number | bigint | boolean>();
    expectTypeOf(tensor([1]).sum().item).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(plain.mean().item).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(mseLoss(plain, plain).item).returns.resolves.toEqualTypeOf<number>();
    expectTypeOf(crossEntropy(plain, plain).item).returns.resolves.toEqualTypeOf<number>();
    const step = compile((p: Params, x: Tensor) => valueAndGrad(loss)(p, x, 1));
    expectTypeOf(step(params, plain)[0].item).returns.resolves.toEqualTypeOf<number>();
  });

  it('of compile', () => {
    const f = compile(loss);
    expectTypeOf(f).toExtend<(p: Params, x: Tensor, scale: number) => Tensor>();
    expectTypeOf(f).toEqualTypeOf<Compiled<typeof loss>>();
    expectTypeOf(f.lower).toBeCallableWith(specOf(params), spec([2, 1]), 3);
    expectTypeOf(f.warmup).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(compile(<T extends Tensor>(x: T): T => x)(tensor([1]))).toExtend<Tensor<'float32'>>();
    // @ts-expect-error a number where a tensor belongs
    void (() => f(params, 3, 3));
    // @ts-expect-error no such option
    void (() => compile(loss, { autotuned: true }));
  });

  it('of trees', () => {
    expectTypeOf(tree.map((p, g) => p.sub(g), params, params)).toEqualTypeOf<Params>();
    expectTypeOf(tree.map((t) => t.shape.length, params)).toEqualTypeOf<{
      w: number;
      b: number;
      layers: { k: number }[];
    }>();
    expectTypeOf(tree.leaves(params)).toEqualTypeOf<Tensor[]>();
    expectTypeOf(specOf(params).layers).toEqualTypeOf<{ k: TensorSpec }[]>();
  });
});
