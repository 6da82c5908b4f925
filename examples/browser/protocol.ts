/**
 * What the page and the trainer say to each other. The trainer runs in the page's own thread or in a Web Worker; either
 * way all that passes between the two is these messages, over a port.
 */

/** From the page. */
export type Request =
  /** Begins a run, and ends the one before. */
  | {
      readonly type: 'train';
      readonly run: number;
      readonly device: DeviceName;
      readonly steps: number;
      /** Whether the page compiles the functions itself, instead of loading what was compiled when it was built. */
      readonly compiles: boolean;
    }
  | { readonly type: 'stop' }
  /** Asks for the code of all kernels. */
  | { readonly type: 'code' };

export type DeviceName = 'wasm' | 'webgpu';

/** From the trainer. A run is one `started`, then `progress` and `picture`, then `done`; or, at any time, `failed`. */
export type Answer =
  | { readonly type: 'started'; readonly about: About; readonly kernels: readonly KernelRow[]; readonly data: Points }
  | {
      readonly type: 'progress';
      /** Steps, and the loss of each in nats, that were not told before. */
      readonly losses: readonly (readonly [step: number, loss: number])[];
      /** Milliseconds a step, so far. */
      readonly stepMilliseconds: number;
    }
  | {
      readonly type: 'picture';
      /** How likely each class is: float32[grid, grid, classes], rows from the top. */
      readonly odds: Float32Array;
      readonly grid: number;
      /** Of the training points, from 0 to 1. */
      readonly accuracy: number;
    }
  | { readonly type: 'done'; readonly result: Result; readonly kernels: readonly KernelRow[] }
  | { readonly type: 'failed'; readonly title: string; readonly message: string }
  | { readonly type: 'code'; readonly code: readonly (readonly [kernel: string, text: string])[] };

/** An answer, and the run that it is about: the page may have begun another one meanwhile. */
export interface Message {
  readonly run: number;
  readonly answer: Answer;
}

export interface About {
  readonly device: DeviceName;
  /** What the code uses of the engine: `wasm+threads+relaxed-simd`. */
  readonly tier: string;
  /** The processor or the graphics adapter, as far as the browser says. */
  readonly hardware: string;
  readonly parameters: number;
  /** Whether the functions come from an artefact. */
  readonly isBaked: boolean;
  /** Until the first step could be taken: of loading the artefact, or of loading the compiler and compiling. */
  readonly startMilliseconds: number;
}

export interface Points {
  /** x and y of each, within [-1, 1]. */
  readonly points: Float32Array;
  /** The class of each. */
  readonly labels: Int32Array;
  readonly classes: number;
}

export interface KernelRow {
  readonly name: string;
  /** What it computes: opcodes with their counts, most frequent first. */
  readonly ops: readonly string[];
  /** In one step. */
  readonly launches: number;
  /** Of all its launches in one step, in milliseconds; `undefined` where it was not measured. */
  readonly milliseconds: number | undefined;
}

export interface Result {
  readonly device: DeviceName;
  readonly steps: number;
  readonly loss: number;
  readonly accuracy: number;
  /** Without the start and without pictures. */
  readonly stepMilliseconds: number;
  readonly isBaked: boolean;
  readonly startMilliseconds: number;
}
