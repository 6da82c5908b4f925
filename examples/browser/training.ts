/**
 * The spirals as a page trains them: a few steps at a time, with pictures of what the network thinks of each place and
 * an account of its kernels.
 *
 *     const training = new Training();
 *     await training.compile();
 *     const loss = training.advance(5);      // a tensor; the device goes on meanwhile
 */
import { compile, type Explanation, profile, type Tensor, tensor, tree } from '../../index.ts';
import { accuracyOf, initialState, likelihood, spirals, type TrainingState, trainingStep } from '../spirals.ts';
import type { KernelRow } from './protocol.ts';

/** Points a side of the picture. */
export const grid = 96;
/** Steps that the kernels are timed in. */
const timedSteps = 10;

export class Training {
  readonly data = spirals();
  readonly #step = compile(trainingStep, { donate: [0], name: 'step' });
  readonly #likelihood = compile(likelihood, { name: 'picture' });
  readonly #points = tensor(this.data.points, { shape: [this.data.labels.length, 2] });
  readonly #labels = tensor(this.data.labels);
  readonly #pixels = tensor(pixels(), { shape: [grid * grid, 2] });
  #state: TrainingState = initialState();

  /** Makes everything ready for the first step. @returns the milliseconds it took to compile that */
  async compile(): Promise<number> {
    await this.#state.step.ready();
    const start = performance.now();
    await this.#step.warmup(this.#state, this.#points, this.#labels);
    const milliseconds = performance.now() - start;
    await this.#likelihood.warmup(this.#state.parameters, this.#pixels);
    await this.#likelihood.warmup(this.#state.parameters, this.#points);
    return milliseconds;
  }

  /** Takes so many steps. @returns the loss of the last one, float32[] */
  advance(steps: number): Tensor {
    for (let i = 1; ; i++) {
      const [loss, next] = this.#step(this.#state, this.#points, this.#labels);
      this.#state = next;
      if (i === steps) return loss;
      loss.dispose();
    }
  }

  /** How likely each arm is at each place: float32[grid, grid, arms], rows from the top. */
  async odds(): Promise<Float32Array> {
    using odds = this.#likelihood(this.#state.parameters, this.#pixels);
    return Float32Array.from(await odds.data(), Number);
  }

  /** The part of the points that the network gets right. */
  async accuracy(): Promise<number> {
    using odds = this.#likelihood(this.#state.parameters, this.#points);
    return accuracyOf(Float32Array.from(await odds.data(), Number), this.data.labels);
  }

  get parameterCount(): number {
    return tree.leaves(this.#state.parameters).reduce((sum, leaf) => sum + leaf.size, 0);
  }

  explain(): Explanation {
    return this.#step.explain(this.#state, this.#points, this.#labels);
  }

  /** Runs a few more steps, and says how long each kernel took in one of them, in milliseconds. */
  async timeKernels(): Promise<ReadonlyMap<string, number>> {
    const { launches } = await profile(() => this.advance(timedSteps).data());
    const times = new Map<string, number>();
    for (const { kernel, milliseconds } of launches) {
      times.set(kernel, (times.get(kernel) ?? 0) + milliseconds / timedSteps);
    }
    return times;
  }

  /** The code of each kernel: WAT or WGSL, under a header of comments. */
  code(): (readonly [kernel: string, text: string])[] {
    const { text } = this.#step.lower(this.#state, this.#points, this.#labels).code;
    const parts = text.split(/^(?=(?:;;|\/\/) kernel )/m).filter((part) => part.trim() !== '');
    return parts.map((part) => [/kernel (\S+)/.exec(part)?.[1] ?? '', part.trimEnd()]);
  }
}

/** The kernels of one step, in the order of their first launches. */
export function kernelRows({ groups }: Explanation, times?: ReadonlyMap<string, number>): KernelRow[] {
  const rows = new Map<string, { launches: number; ops: readonly string[] }>();
  for (const { kernel, ops } of groups) {
    rows.set(kernel, { launches: (rows.get(kernel)?.launches ?? 0) + 1, ops: counted(ops) });
  }
  return [...rows].map(([name, row]) => ({ name, ...row, milliseconds: times?.get(name) }));
}

/** Opcodes without their lines, equal ones once: `multiply ×3`. */
function counted(ops: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const op of ops) {
    const [opcode] = op.split(' ');
    counts.set(opcode, (counts.get(opcode) ?? 0) + 1);
  }
  return [...counts].map(([opcode, count]) => (count === 1 ? opcode : `${opcode} ×${count}`));
}

/** The middle of each pixel, within [-1, 1], y upwards: float32 of 2 grid². */
function pixels(): Float32Array {
  const at = new Float32Array(grid * grid * 2);
  for (let i = 0; i < grid * grid; i++) {
    at[2 * i] = ((i % grid) + 0.5) / (grid / 2) - 1;
    at[2 * i + 1] = 1 - (Math.floor(i / grid) + 0.5) / (grid / 2);
  }
  return at;
}
