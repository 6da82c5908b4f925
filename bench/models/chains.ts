/**
 * Long chains of elementwise operations, and chains of matrix products. The first should be one kernel each, whatever
 * their length; what the second cost depends on the order in which they are multiplied.
 */
import { gelu, silu, type Tensor } from '../../index.ts';
import { defineModel, inputs, type Model } from './model.ts';

/** `relu(tanh(2x + 1) * x)`: the chain that the project's benchmark holds against other runtimes. */
const shortChain = (x: Tensor): Tensor => x.mul(2).add(1).tanh().mul(x).relu();

/** Exponential, sine, error function and division in one chain. */
const functions = (x: Tensor, y: Tensor): Tensor =>
  x.mul(0.5).exp().add(y).sin().mul(x.erf()).div(y.square().add(1)).tanh().sub(y.abs().sqrt());

/** `length` times the same step of five operations. */
const longChain =
  (length: number) =>
  (x: Tensor, y: Tensor): Tensor => {
    let value = x;
    for (let i = 0; i < length; i++) value = value.mul(0.9).add(y).tanh().sub(value.square().mul(0.1));
    return value;
  };

/** Elementwise chains over `f32[elements]`. */
export function elementwiseChains(elements: number): Model[] {
  const x = () => inputs.floats([elements], 2);
  return [
    defineModel(
      'gelu',
      (x: Tensor) => gelu(x),
      () => [x()],
    ),
    defineModel(
      'gelu by tanh',
      (x: Tensor) => gelu(x, { approximate: 'tanh' }),
      () => [x()],
    ),
    defineModel(
      'silu',
      (x: Tensor) => silu(x),
      () => [x()],
    ),
    defineModel('relu(tanh(2x+1)*x)', shortChain, () => [x()]),
    defineModel('chain of exp, sin, erf and division', functions, () => [x(), x()]),
    defineModel('chain of 30 operations', longChain(6), () => [x(), x()]),
  ];
}

/** `A B C D v`: from the left it costs matrix products, from the right products with a vector. */
const towardsVector = (a: Tensor, b: Tensor, c: Tensor, v: Tensor): Tensor => a.matmul(b).matmul(c).matmul(v);

/** A chain whose best order is in the middle, through a transposition and a factor. */
const throughTranspose = (a: Tensor, b: Tensor, c: Tensor): Tensor => a.matmul(b.mT.mul(0.5)).matmul(c);

/** `A B + A C`. */
const commonFactor = (a: Tensor, b: Tensor, c: Tensor): Tensor => a.matmul(b).add(a.matmul(c));

/** Three small products that share their left operand. */
const sharedOperand = (x: Tensor, q: Tensor, k: Tensor, v: Tensor) => [x.matmul(q), x.matmul(k), x.matmul(v)] as const;

/** A product with weights of 8 bits, a scale and a zero point for each of its columns. */
const dequantised = (x: Tensor, weight: Tensor, scale: Tensor, zero: Tensor): Tensor =>
  x.matmul(weight.astype('float32').sub(zero).mul(scale));

/** Chains of products of matrices with about `size` rows. */
export function matmulChains(size: number): Model[] {
  const matrix = (rows: number, columns: number) => inputs.weight([rows, columns], rows);
  const [small, square] = [Math.max(1, size >> 3), () => matrix(size, size)];
  return [
    defineModel('matmul chain to a vector', towardsVector, () => [square(), square(), square(), matrix(size, 1)]),
    defineModel('matmul chain with transpose and factor', throughTranspose, () => [
      matrix(size, small),
      matrix(size, small),
      matrix(size, small),
    ]),
    defineModel('A B + A C', commonFactor, () => [square(), square(), square()]),
    defineModel('products of one operand', sharedOperand, () => [
      matrix(size, size),
      matrix(size, small),
      matrix(size, small),
      matrix(size, small),
    ]),
    defineModel('dequantised matmul', dequantised, () => [
      square(),
      inputs.quantised([size, size]),
      inputs.positive([size]),
      inputs.quantised([size]),
    ]),
  ];
}
