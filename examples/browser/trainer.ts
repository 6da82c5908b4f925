/**
 * The trainer of the page: it answers requests (`protocol.ts`) on a port. It runs in the page's thread, or in a Web
 * Worker, where it serves the worker's own port.
 *
 *     serve(channel.port1)
 *
 * Steps run in beats of five. The loss of a beat is read while the next one runs, so that a device is never idle, and
 * every few milliseconds the thread is free for what else it has to do: to draw, or to hear that it should stop.
 *
 * It loads either the loader of artefacts or all of Kiln, whichever a request asks for, and neither before.
 */
import type { DeviceArray } from '../../runtime/index.ts';
import { arms } from '../spiral-points.ts';
import type { Answer, DeviceName, Message, Request } from './protocol.ts';
import { grid, type OpenTraining, type Training, type TrainingLoop } from './training.ts';

/** What is used of a port, be it a worker's scope or one end of a channel. */
export interface Port {
  onmessage: ((event: { readonly data: Request }) => void) | null;
  postMessage(message: Message): void;
}

/** Steps between two losses that are read. */
const beat = 5;
/** Milliseconds of work between two tasks. */
const slice = 10;
/** Pictures take at most this part of the time, and come at most this often, in milliseconds. */
const [pictureShare, pictureInterval] = [0.3, 40];

/** Answers requests until the thread ends. A request to train ends the run before. */
export function serve(port: Port): void {
  let run: Run | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  port.onmessage = ({ data: request }) => {
    if (request.type === 'code') return void run?.sendCode();
    run?.stop();
    if (request.type === 'stop') return;
    const next = new Run(port, request.run);
    run = next;
    turn = turn.then(() => next.train(request));
  };
}

/** Where the functions of a training come from. */
const sources = {
  baked: async (): Promise<OpenTraining> => (await import('./baked-training.ts')).openTraining,
  live: async (): Promise<OpenTraining> => (await import('./live-training.ts')).openTraining,
} as const;

type TrainRequest = Request & { readonly type: 'train' };

/** One training, from fresh parameters. */
class Run {
  readonly #port: Port;
  readonly #number: number;
  #training: Training | undefined;
  #isStopped = false;

  constructor(port: Port, number: number) {
    this.#port = port;
    this.#number = number;
  }

  #tell(answer: Answer): void {
    this.#port.postMessage({ run: this.#number, answer });
  }

  stop(): void {
    this.#isStopped = true;
  }

  async sendCode(): Promise<void> {
    if (this.#training) this.#tell({ type: 'code', code: await this.#training.code() });
  }

  /** Never rejects: what goes wrong is told to the page. */
  async train(request: TrainRequest): Promise<void> {
    if (this.#isStopped) return;
    try {
      await this.#train(request);
    } catch (error) {
      // What Kiln throws has a summary, whichever of its packages has thrown it.
      const { summary = 'The training failed' } = error as { readonly summary?: string };
      const message = error instanceof Error ? error.message : String(error);
      this.#tell({ type: 'failed', title: summary, message });
    }
  }

  async #train({ device, steps, compiles }: TrainRequest): Promise<void> {
    const openTraining = await sources[compiles ? 'live' : 'baked']();
    const training = await openTraining(device);
    this.#training = training;
    const { loop, account } = training;
    const { tier, kernels, parameters, isBaked, startMilliseconds } = account;
    this.#tell({
      type: 'started',
      about: { device, tier, parameters, isBaked, startMilliseconds, hardware: await hardwareOf(device) },
      kernels,
      data: { ...loop.data, classes: arms },
    });
    const trained = await this.#takeSteps(loop, steps);
    if (!trained) return;
    const accuracy = await loop.accuracy();
    const times = await training.timeKernels();
    this.#tell({
      type: 'done',
      result: { device, steps, isBaked, startMilliseconds, accuracy, ...trained },
      kernels: kernels.map((row) => ({ ...row, milliseconds: times?.get(row.name) })),
    });
  }

  /** @returns `undefined` when it was stopped */
  async #takeSteps(loop: TrainingLoop, steps: number): Promise<{ loss: number; stepMilliseconds: number } | undefined> {
    let losses: [step: number, loss: number][] = [];
    let pending: { step: number; loss: DeviceArray } | undefined;
    let stepping = 0;
    let picture = { end: performance.now(), milliseconds: await this.#picture(loop) };
    const read = async ({ step, loss }: { step: number; loss: DeviceArray }): Promise<number> => {
      const value = Number(await loss.item());
      loss.dispose();
      losses.push([step, value]);
      return value;
    };
    for (let step = 0; ; ) {
      const start = performance.now();
      let now = start;
      while (now - start < slice && step < steps) {
        const count = Math.min(beat, steps - step);
        step += count;
        const latest = { step, loss: loop.advance(count) };
        if (pending) await read(pending);
        pending = latest;
        now = performance.now();
      }
      const isLast = step === steps;
      const loss = isLast && pending ? await read(pending) : Number.NaN;
      stepping += performance.now() - start;
      this.#tell({ type: 'progress', losses, stepMilliseconds: stepping / step });
      losses = [];
      const rest = Math.max(pictureInterval, picture.milliseconds * (1 / pictureShare - 1));
      if (isLast || now - picture.end > rest) {
        const milliseconds = await this.#picture(loop);
        picture = { end: performance.now(), milliseconds };
      }
      if (isLast) return { loss, stepMilliseconds: stepping / step };
      await nextTask();
      if (this.#isStopped) return undefined;
    }
  }

  /** Sends a picture. @returns the milliseconds it took */
  async #picture(loop: TrainingLoop): Promise<number> {
    const start = performance.now();
    const [odds, accuracy] = [await loop.odds(), await loop.accuracy()];
    this.#tell({ type: 'picture', odds, grid, accuracy });
    return performance.now() - start;
  }
}

/** Resolves in a task of its own. */
const nextTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

interface Scope {
  readonly navigator?: {
    readonly hardwareConcurrency?: number;
    readonly gpu?: { requestAdapter(): Promise<{ readonly info?: AdapterInfo } | null> };
  };
  /** In a worker alone. */
  readonly WorkerGlobalScope?: unknown;
}

interface AdapterInfo {
  readonly vendor?: string;
  readonly architecture?: string;
  readonly description?: string;
  readonly isFallbackAdapter?: boolean;
}

const scope = (): Scope => globalThis as unknown as Scope;

/** The processor or the graphics adapter, as far as the browser says. */
async function hardwareOf(device: DeviceName): Promise<string> {
  const { navigator } = scope();
  if (device === 'wasm') return `${navigator?.hardwareConcurrency ?? 1} cores`;
  const info = (await navigator?.gpu?.requestAdapter())?.info;
  const name = info?.description || [info?.vendor, info?.architecture].filter(Boolean).join(' ');
  const isSoftware = info?.isFallbackAdapter === true || info?.architecture === 'swiftshader';
  return `${name || 'an adapter that keeps its name to itself'}${isSoftware ? ' (in software, so slow)' : ''}`;
}

if (scope().WorkerGlobalScope !== undefined) serve(globalThis as unknown as Port);
