/**
 * Bakes entries for the plugin: each bake is a process of its own, which loads the entry afresh, so that edits are
 * seen and a fault of the user's code stays there. What has not changed since is not baked again.
 *
 *     const baker = new Baker(settings);
 *     const { artefact, hash, files } = await baker.bake('/app/model.bake.ts');
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { textOfFailures } from './bake-failures.ts';
import type { BakedArtefact, BakeFailure, BakeReply, BakeRequest } from './messages.ts';
import type { BakeSettings } from './options.ts';

export interface Baked extends BakedArtefact {
  /** SHA-256 of the bytes in hexadecimal digits. */
  readonly hash: string;
  /** The entry, what it imports and what it reads, apart from packages: when one changes, so may the artefact. */
  readonly files: readonly string[];
}

/** An entry that can not be baked, with every reason. */
export class BakeError extends Error {
  override readonly name = 'BakeError';
  readonly entry: string;
  readonly failures: readonly BakeFailure[];
  readonly files: readonly string[];

  constructor(entry: string, failures: readonly BakeFailure[], files: readonly string[]) {
    super(textOfFailures(failures));
    this.entry = entry;
    this.failures = failures;
    this.files = files;
  }
}

interface Known {
  readonly outcome: Baked | BakeError;
  /** Sizes and times of the files that it was made from; `undefined` when they may have changed meanwhile. */
  readonly stamp: string | undefined;
}

const bakers = new Map<string, Baker>();

/** One for all plugins with these settings, so that several builds in a process share what they bake. */
export function bakerFor(settings: BakeSettings): Baker {
  const key = JSON.stringify([settings.targets, settings.sign]);
  const baker = bakers.get(key) ?? new Baker(settings);
  bakers.set(key, baker);
  return baker;
}

/** A process that has not answered. */
interface EndedEarly {
  readonly failures: readonly BakeFailure[];
  readonly files: readonly string[];
  readonly hasEnded: true;
}

/** Milliseconds by which the time of a file may lag behind the clock. */
const fileTimeLag = 20;

export class Baker {
  readonly #settings: BakeSettings;
  readonly #known = new Map<string, Known>();
  readonly #running = new Map<string, Promise<Known>>();
  readonly #turns = new Turns(Math.max(1, availableParallelism() >> 1));

  constructor(settings: BakeSettings) {
    this.#settings = settings;
  }

  /** @throws BakeError (as a rejection) when the entry can not be baked */
  async bake(entry: string): Promise<Baked> {
    // One after the other: whoever comes while a bake runs looks afterwards whether it saw the newest files.
    const running = this.#running.get(entry)?.then(
      () => this.#update(entry),
      () => this.#update(entry),
    );
    const update = running ?? this.#update(entry);
    this.#running.set(entry, update);
    try {
      const { outcome } = await update;
      if (outcome instanceof BakeError) throw outcome;
      return outcome;
    } finally {
      if (this.#running.get(entry) === update) this.#running.delete(entry);
    }
  }

  /** The entries that a file was part of when they were last baked, or failed to be. */
  entriesWith(file: string): readonly string[] {
    const path = withSlashes(file);
    const known = [...this.#known].filter(([, { outcome }]) =>
      outcome.files.some((part) => withSlashes(part) === path),
    );
    return known.map(([entry]) => entry);
  }

  async #update(entry: string): Promise<Known> {
    const known = this.#known.get(entry);
    if (known?.stamp !== undefined && known.stamp === stampOf(known.outcome.files)) return known;
    const began = Date.now();
    const reply = await this.#turns.take(() => this.#run({ entry, settings: this.#settings }));
    const files = [...new Set([entry, ...reply.files])];
    const update: Known = {
      outcome:
        'failures' in reply
          ? new BakeError(entry, reply.failures, files)
          : { ...reply.artefact, files, hash: createHash('sha256').update(reply.artefact.bytes).digest('hex') },
      // A process that was ended from outside says nothing of the entry.
      stamp: 'hasEnded' in reply ? undefined : stampOf(files, began),
    };
    this.#known.set(entry, update);
    return update;
  }

  #run(request: BakeRequest): Promise<BakeReply | EndedEarly> {
    const process = startProcess();
    return new Promise<BakeReply | EndedEarly>((resolve, reject) => {
      process.once('message', (reply: BakeReply) => resolve(reply));
      process.once('error', reject);
      process.once('exit', (code, signal) => {
        const message = `the process that bakes ${request.entry} ended too early (${signal ?? `exit code ${code}`})`;
        resolve({ failures: [{ message }], files: [], hasEnded: true });
      });
      process.send(request, (error) => error && reject(error));
    });
  }
}

/** Files as they are now; `undefined` when one is newer than `began`, so that a bake may have seen it before. */
function stampOf(files: readonly string[], began = Number.POSITIVE_INFINITY): string | undefined {
  const parts: string[] = [];
  for (const file of files) {
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats && stats.mtimeMs > began - fileTimeLag) return undefined;
    parts.push(`${file}\n${stats?.mtimeMs}\n${stats?.size}`);
  }
  return parts.join('\n');
}

/** A path as Vite and Rollup write it, on Windows too. */
const withSlashes = (path: string): string => path.replaceAll('\\', '/');

function startProcess(): ChildProcess {
  const isSource = import.meta.url.endsWith('.ts');
  const path = fileURLToPath(new URL(isSource ? './bake-process.ts' : './bake-process.js', import.meta.url));
  return fork(path, [], {
    // Only what Kiln needs to run from its own sources; options of the bundler's process are not for this one.
    execArgv: isSource ? ['--import', import.meta.resolve('tsx')] : [],
    serialization: 'advanced',
    // What an entry prints goes to the console, but not among what a bundler writes to its output.
    stdio: ['ignore', 2, 2, 'ipc'],
  });
}

/** So many at a time, in the order in which they come. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
