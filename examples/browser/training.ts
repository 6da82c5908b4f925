/**
 * The spirals as a page trains them: a few steps at a time, with pictures of what the network thinks of each place.
 * Where its two functions come from is not known here: `live-training.ts` compiles them in the page,
 * `baked-training.ts` loads what was compiled when the page was built.
 *
 *     const training = await openTraining('wasm');
 *     const loss = training.advance(5);      // an array; the device goes on meanwhile
 */
import type { DeviceArray } from '../../runtime/index.ts';
import { accuracyOf, type Spirals, spirals } from '../spiral-points.ts';
import type { KernelCode } from './kernel-account.ts';
import type { DeviceName, KernelRow } from './protocol.ts';

/** Points a side of the picture. */
export const grid = 96;

/** What is trained: parameters, and whatever else the optimizer keeps. */
export interface State {
  readonly parameters: unknown;
}

/** The two functions, and how arrays get to the device. */
export interface Functions<S extends State> {
  /** Takes the state over. */
  step(state: S, points: DeviceArray, labels: DeviceArray): readonly [loss: DeviceArray, next: S];
  /** Places float32[n, 2] to how likely each arm is there, float32[n, arms]. */
  likelihood(parameters: S['parameters'], places: DeviceArray): DeviceArray;
  tensor(data: Float32Array | Int32Array, options: { readonly shape: readonly number[] }): DeviceArray;
}

/** What the page says of a training. */
export interface Account {
  readonly isBaked: boolean;
  /** What the code uses of the engine: `wasm+threads+relaxed-simd`. */
  readonly tier: string;
  readonly kernels: readonly KernelRow[];
  readonly parameters: number;
  /** Until the first step could be taken: of compiling, or of loading. */
  readonly startMilliseconds: number;
}

export interface Training {
  readonly account: Account;
  readonly loop: TrainingLoop;
  /** Runs a few more steps, and says how long each kernel took in one of them, in milliseconds, where that is known. */
  timeKernels(): Promise<ReadonlyMap<string, number> | undefined>;
  /** The code of each kernel: WAT or WGSL. */
  code(): Promise<KernelCode>;
}

/** Ends the training before, and begins another on a device. */
export type OpenTraining = (device: DeviceName) => Promise<Training>;

export class TrainingLoop<S extends State = State> {
  readonly data: Spirals = spirals();
  readonly #functions: Functions<S>;
  readonly #points: DeviceArray;
  readonly #labels: DeviceArray;
  readonly #pixels: DeviceArray;
  #state: S;

  constructor(functions: Functions<S>, state: S) {
    const { points, labels } = this.data;
    this.#functions = functions;
    this.#state = state;
    this.#points = functions.tensor(points, { shape: [labels.length, 2] });
    this.#labels = functions.tensor(labels, { shape: [labels.length] });
    this.#pixels = functions.tensor(pixels(), { shape: [grid * grid, 2] });
  }

  /** Arguments of the next step, and those of the picture. */
  get arguments(): readonly [state: S, points: DeviceArray, labels: DeviceArray, pixels: DeviceArray] {
    return [this.#state, this.#points, this.#labels, this.#pixels];
  }

  /** Takes so many steps. @returns the loss of the last one, float32[] */
  advance(steps: number): DeviceArray {
    for (let i = 1; ; i++) {
      const [loss, next] = this.#functions.step(this.#state, this.#points, this.#labels);
      this.#state = next;
      if (i === steps) return loss;
      loss.dispose();
    }
  }

  /** How likely each arm is at each place: float32[grid, grid, arms], rows from the top. */
  odds(): Promise<Float32Array> {
    return this.#likelihood(this.#pixels);
  }

  /** The part of the points that the network gets right. */
  async accuracy(): Promise<number> {
    return accuracyOf(await this.#likelihood(this.#points), this.data.labels);
  }

  async #likelihood(places: DeviceArray): Promise<Float32Array> {
    const odds = this.#functions.likelihood(this.#state.parameters, places);
    const elements = Float32Array.from(await odds.data(), Number);
    odds.dispose();
    return elements;
  }
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
