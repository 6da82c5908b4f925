/**
 * The order of a device's work. Tasks run one after the other in the order they came; a task that is not ready (its
 * program is still being compiled) holds back all that came later. Nothing here throws into the void: what fails,
 * fails its task, and the queue goes on.
 *
 *     queue.push(launch);        // runs when it is its turn and it is ready
 *     queue.drainSync();         // readies and runs everything now
 */
import { internalError, KilnError } from '../base/error.ts';

export interface QueuedTask {
  readonly isReady: boolean;
  /** Readies it in the background. Called again, it gives the same promise. */
  prepare(): Promise<void>;
  /** Readies it now. */
  prepareSync(): void;
  /** Does it. Throws only while nothing has happened yet. */
  run(): void;
  /** It will never be done. */
  fail(error: unknown): void;
}

const isCode = (error: unknown, code: KilnError['code']): boolean => error instanceof KilnError && error.code === code;

export class TaskQueue {
  #tasks: QueuedTask[] = [];
  #isPumping = false;
  /** Gives the collector a chance to release memory, once before a task fails for lack of it. */
  readonly #relieve: (error: unknown) => Promise<void>;

  constructor(relieve: (error: unknown) => Promise<void>) {
    this.#relieve = relieve;
  }

  get isIdle(): boolean {
    return this.#tasks.length === 0;
  }

  /** Adds a task. Its preparation starts at once, so that several programs compile side by side. */
  push(task: QueuedTask): void {
    this.#tasks.push(task);
    // The pump sees the failure when it is the task's turn.
    if (!task.isReady) task.prepare().catch(() => undefined);
    if (!this.#isPumping) void this.#pump();
  }

  /**
   * Runs everything that is queued.
   * @throws KilnError `blocking_read` when a task can not be readied without waiting; the queue is as it was from there
   */
  drainSync(): void {
    for (let task = this.#tasks[0]; task; task = this.#tasks[0]) {
      try {
        if (!task.isReady) task.prepareSync();
        this.#take(task);
        task.run();
      } catch (error) {
        if (isCode(error, 'blocking_read')) throw error;
        this.#fail(task, error);
      }
    }
  }

  /** Fails everything that is queued. */
  failAll(error: unknown): void {
    for (let task = this.#tasks[0]; task; task = this.#tasks[0]) this.#fail(task, error);
  }

  /**
   * Runs tasks as they become ready. Between any two steps here, `drainSync` or `failAll` may have emptied the queue.
   */
  async #pump(): Promise<void> {
    this.#isPumping = true;
    let relievedFor: QueuedTask | undefined;
    for (let task = this.#tasks[0]; task; task = this.#tasks[0]) {
      try {
        if (!task.isReady) {
          await task.prepare();
          if (this.#tasks[0] !== task) continue;
          if (!task.isReady) throw internalError('a queued task is not ready after its preparation');
        }
        task.run();
        this.#take(task);
      } catch (error) {
        if (this.#tasks[0] !== task) continue;
        if (isCode(error, 'out_of_memory') && relievedFor !== task) {
          relievedFor = task;
          await this.#relieve(error);
        } else this.#fail(task, error);
      }
    }
    this.#isPumping = false;
  }

  #take(task: QueuedTask): void {
    if (this.#tasks[0] === task) this.#tasks.shift();
  }

  #fail(task: QueuedTask, error: unknown): void {
    this.#take(task);
    task.fail(error);
  }
}
