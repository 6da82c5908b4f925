/**
 * Operations as methods: every function of `operations/` whose first operand is a tensor is put on
 * `Tensor.prototype`, with the rest of its arguments, and the class gets the types of all families. Import this module
 * once, with the public entry.
 *
 *     x.matmul(w).add(b).relu()        // relu(add(matmul(x, w), b))
 */
import type { DType } from '../base/dtype.ts';
import type {
  ActivationMethods,
  ArithmeticMethods,
  ConvolutionMethods,
  CumulativeMethods,
  IndexingMethods,
  LinearAlgebraMethods,
  LogicMethods,
  PoolingMethods,
  ReductionMethods,
  ShapeMethods,
  SlicingMethods,
  SortingMethods,
  UnaryMethods,
} from './operations/index.ts';
import * as operations from './operations/index.ts';
import { Tensor } from './tensor.ts';

declare module './tensor.ts' {
  interface Tensor<D extends DType = DType>
    extends ActivationMethods<D>,
      ArithmeticMethods<D>,
      ConvolutionMethods<D>,
      CumulativeMethods<D>,
      IndexingMethods<D>,
      LinearAlgebraMethods<D>,
      LogicMethods<D>,
      PoolingMethods<D>,
      ReductionMethods<D>,
      ShapeMethods<D>,
      SlicingMethods<D>,
      SortingMethods<D>,
      UnaryMethods<D> {}
}

/** Members that are not the function of their name with the tensor first. */
type Special = 'where' | 'T' | 'mT';

/** Every other method that the families promise. */
type MethodName = Exclude<
  | keyof ActivationMethods<DType>
  | keyof ArithmeticMethods<DType>
  | keyof ConvolutionMethods<DType>
  | keyof CumulativeMethods<DType>
  | keyof IndexingMethods<DType>
  | keyof LinearAlgebraMethods<DType>
  | keyof LogicMethods<DType>
  | keyof PoolingMethods<DType>
  | keyof ReductionMethods<DType>
  | keyof ShapeMethods<DType>
  | keyof SlicingMethods<DType>
  | keyof SortingMethods<DType>
  | keyof UnaryMethods<DType>,
  Special
>;

type MethodFunction = (x: Tensor, ...args: never[]) => unknown;

/** A promised method without its function does not compile. */
const methods: { readonly [N in MethodName]: MethodFunction } = operations;

/** What stays a function: nothing else may be missing here or be a method. */
const functionsOnly: { readonly [N in Exclude<keyof typeof operations, MethodName>]: true } = {
  arange: true,
  batchNorm: true,
  binaryCrossEntropy: true,
  binaryCrossEntropyWithLogits: true,
  concat: true,
  crossEntropy: true,
  dropout: true,
  einsum: true,
  embedding: true,
  eye: true,
  full: true,
  interpolate: true,
  fullLike: true,
  huberLoss: true,
  l1Loss: true,
  layerNorm: true,
  linear: true,
  linspace: true,
  mseLoss: true,
  nllLoss: true,
  ones: true,
  onesLike: true,
  random: true,
  rmsNorm: true,
  scaledDotProductAttention: true,
  stack: true,
  tensor: true,
  where: true,
  zeros: true,
  zerosLike: true,
};

type AnyFunction = (x: Tensor, ...args: readonly unknown[]) => unknown;

function addMethod(name: string, operation: AnyFunction): void {
  const method = {
    [name](this: Tensor, ...args: readonly unknown[]): unknown {
      return operation(this, ...args);
    },
  };
  Object.defineProperty(Tensor.prototype, name, { value: method[name], writable: true, configurable: true });
}

for (const [name, operation] of Object.entries(methods)) {
  if (!Object.hasOwn(functionsOnly, name)) addMethod(name, operation as AnyFunction);
}

addMethod('where', (x, condition, y) => operations.where(condition as Tensor, x, y as operations.TensorLike));

Object.defineProperties(Tensor.prototype, {
  T: {
    get(this: Tensor) {
      return operations.transpose(this);
    },
    configurable: true,
  },
  mT: {
    get(this: Tensor) {
      return operations.matrixTranspose(this);
    },
    configurable: true,
  },
});
