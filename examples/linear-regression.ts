/** The textbook linear regression: find w in y = x w, by 1000 steps of gradient descent. The answer is [0, 1]. */
import { compile, mean, square, type Tensor, tensor, valueAndGrad, zeros } from '../index.ts';

/** One step of gradient descent on the mean squared error: `[loss, next weights]`. */
export const descend = (w: Tensor, x: Tensor, y: Tensor) => {
  const [loss, slope] = valueAndGrad((weights: Tensor) => mean(square(x.matmul(weights).sub(y))))(w);
  return [loss, w.sub(slope.mul(0.02))] as const;
};

export interface LinearRegression {
  /** Step and mean squared error, each hundredth step. */
  readonly losses: readonly (readonly [step: number, loss: number])[];
  readonly weights: readonly number[];
}

/** Trains on x=[[1,2],[3,4],[5,6]], y=[[2],[4],[6]]. */
export async function linearRegression(onLoss?: (step: number, loss: number) => void): Promise<LinearRegression> {
  const x = tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  const y = tensor([[2], [4], [6]]);
  const step = compile(descend, { donate: [0] });
  const losses: [number, number][] = [];
  let weights: Tensor = zeros([2, 1]);
  for (let i = 1; i <= 1000; i++) {
    const [loss, next] = step(weights, x, y);
    weights = next;
    if (i % 100 === 0) {
      const value = await loss.item();
      losses.push([i, value]);
      onLoss?.(i, value);
    }
    loss.dispose();
  }
  return { losses, weights: Array.from(await weights.data(), Number) };
}
