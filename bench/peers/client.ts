/**
 * The side of the run: starts a host's process and asks it one thing after the other. A host that dies or does not
 * answer in time fails the request it was asked last. While it is not asked, the process is stopped: threads of some
 * runtimes go on spinning for work after a call, and would take a processor from whoever is timed next.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { HostSpec } from './hosts.ts';
import type { Absent, ArrayFile, Failed, Hello, Prepared, Ran, Request } from './protocol.ts';
import type { Work } from './rows.ts';
import { dtypes, type Elements } from './work.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What one answer may take. */
const limitMs = 120_000;

const running = new Set<ChildProcess>();

function endAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

process.once('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    endAll();
    process.kill(process.pid, signal);
  });
}

/** What a host said of something it prepared. */
export interface PreparedAt extends Prepared {
  /** Each result's elements, read from the files. */
  read(): readonly Elements[];
}

export class HostClient {
  readonly spec: HostSpec;
  readonly #process: ChildProcess;
  #waiting: { resolve(answer: object): void; reject(error: Error): void } | undefined;

  constructor(spec: HostSpec) {
    this.spec = spec;
    const { command, args, env } = spec;
    this.#process = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'ignore', 'inherit', 'pipe'],
    });
    running.add(this.#process);
    const fail = (reason: string): void => this.#waiting?.reject(new Error(`${spec.id}: ${reason}`));
    this.#process.on('error', (error) => fail(error.message));
    this.#process.on('exit', (code, signal) => fail(`the process ended with ${signal ?? code}`));
    createInterface({ input: this.#process.stdio[3] as Readable }).on('line', (line) => {
      this.#waiting?.resolve(JSON.parse(line));
    });
    this.#process.stdin!.on('error', () => {});
  }

  async #ask<T>(request: Request): Promise<T | Absent> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const answer = await new Promise<object>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        timer = setTimeout(() => reject(new Error(`${this.spec.id}: no answer in ${limitMs / 1000} s`)), limitMs);
        if (this.#process.exitCode !== null) reject(new Error(`${this.spec.id}: the process has ended`));
        this.#process.kill('SIGCONT');
        this.#process.stdin!.write(`${JSON.stringify(request)}\n`);
      });
      if ('error' in answer) throw new Error(`${this.spec.id}: ${(answer as Failed).error}`);
      return answer as T | Absent;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
      this.#process.kill('SIGSTOP');
    }
  }

  hello(): Promise<Hello | Absent> {
    return this.#ask<Hello>({ op: 'hello' });
  }

  async prepare(
    key: string,
    mode: string,
    work: Work,
    inputs: readonly ArrayFile[],
    folder: string,
  ): Promise<PreparedAt | Absent> {
    const answer = await this.#ask<Prepared>({ op: 'prepare', key, mode, work, inputs, folder });
    if ('absent' in answer) return answer;
    const read = (): Elements[] =>
      answer.outputs.map(({ file, dtype }) => {
        const { buffer, byteOffset, byteLength } = readFileSync(file);
        return new dtypes[dtype](buffer.slice(byteOffset, byteOffset + byteLength));
      });
    return { ...answer, read };
  }

  /** Milliseconds that so many calls took together, after `lead` others. */
  async run(key: string, calls: number, lead = 0): Promise<number> {
    const answer = await this.#ask<Ran>({ op: 'run', key, calls, lead });
    if ('absent' in answer) throw new Error(`${this.spec.id}: ${answer.absent}`);
    return answer.ms;
  }

  async release(key: string): Promise<void> {
    await this.#ask({ op: 'release', key });
  }

  /** Nothing is asked any more. A process that is stopped can not end by itself. */
  end(): void {
    running.delete(this.#process);
    this.#process.kill('SIGKILL');
  }
}
