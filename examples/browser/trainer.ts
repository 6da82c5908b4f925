/**
 * The trainer of the page: it answers requests (`protocol.ts`) on a port. It runs in the page's thread, or in a Web
 * Worker, where it serves the worker's own port.
 *
 *     serve(channel.port1)
 *
 * Steps run in beats of five. The loss of a beat is read while the next one runs, so that a device is never idle, and
 * every few milliseconds the thread is free for what else it has to do: to draw, or to hear that it should stop.
 */
import { init, KilnError, shutdown, type Tensor } from '../../index.ts';
import { arms } from '../spirals.ts';
import type { Answer, DeviceName, Message, Request } from './protocol.ts';
import { grid, kernelRows, Training } from './training.ts';

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
    if (request.type === 'code') return run?.sendCode();
    run?.stop();
    if (request.type === 'stop') return;
    const next = new Run(port, request.run);
    run = next;
    turn = turn.then(() => next.train(request.device, request.steps));
  };
}

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

  sendCode(): void {
    if (this.#training) this.#tell({ type: 'code', code: this.#training.code() });
  }

  /** Never rejects: what goes wrong is told to the page. */
  async train(device: DeviceName, steps: number): Promise<void> {
    if (this.#isStopped) return;
    try {
      await this.#train(device, steps);
    } catch (error) {
      const title = error instanceof KilnError ? error.summary : 'The training failed';
      this.#tell({
        type: 'failed',
        title,
        message: error instanceof Error ? error.message : String(error),
      });
    }
  }

  async #train(device: DeviceName, steps: number): Promise<void> {
    await shutdown();
    await init({ device });
    const training = new Training();
    const compileMilliseconds = await training.compile();
    this.#training = training;
    const explanation = training.explain();
    const { parameterCount: parameters, data } = training;
    const about = { device, tier: explanation.tier, compileMilliseconds, parameters };
    this.#tell({
      type: 'started',
      about: { ...about, hardware: await hardwareOf(device) },
      kernels: kernelRows(explanation),
      data: { ...data, classes: arms },
    });
    const trained = await this.#takeSteps(training, steps);
    if (!trained) return;
    const result = { device, steps, compileMilliseconds, accuracy: await training.accuracy(), ...trained };
    const kernels = kernelRows(explanation, await training.timeKernels());
    this.#tell({ type: 'done', result, kernels });
  }

  /** @returns `undefined` when it was stopped */
  async #takeSteps(training: Training, steps: number): Promise<{ loss: number; stepMilliseconds: number } | undefined> {
    let losses: [step: number, loss: number][] = [];
    let pending: { step: number; loss: Tensor } | undefined;
    let stepping = 0;
    let picture = { end: performance.now(), milliseconds: await this.#picture(training) };
    const read = async ({ step, loss }: { step: number; loss: Tensor }): Promise<number> => {
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
        const latest = { step, loss: training.advance(count) };
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
        const milliseconds = await this.#picture(training);
        picture = { end: performance.now(), milliseconds };
      }
      if (isLast) return { loss, stepMilliseconds: stepping / step };
      await nextTask();
      if (this.#isStopped) return undefined;
    }
  }

  /** Sends a picture. @returns the milliseconds it took */
  async #picture(training: Training): Promise<number> {
    const start = performance.now();
    const [odds, accuracy] = [await training.odds(), await training.accuracy()];
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
  readonly name?: string;
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
