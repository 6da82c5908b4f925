/** The side of a host: answers requests until standard input ends. `protocol.ts` says what is said. */
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Adapter, Prepare } from '../adapter.ts';
import type { Absent, Hello, Prepared, Request } from '../protocol.ts';
import { dtypes, type Elements, type NamedArray } from '../work.ts';

const reply = (answer: object): void => {
  const line = new TextEncoder().encode(`${JSON.stringify(answer)}\n`);
  for (let at = 0; at < line.length; ) at += writeSync(3, line, at);
};

function load({ file, dtype, ...type }: Extract<Request, { op: 'prepare' }>['inputs'][number]): NamedArray {
  const bytes = readFileSync(file);
  const data = new dtypes[dtype](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return { ...type, dtype, data };
}

const dtypeOf = (data: Elements): 'float32' | 'int32' | 'int8' =>
  data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'int8';

class Host {
  readonly #adapter: Adapter;
  readonly #prepared = new Map<string, Prepare>();
  #written = 0;

  constructor(adapter: Adapter) {
    this.#adapter = adapter;
  }

  async answer(request: Request): Promise<object> {
    switch (request.op) {
      case 'hello': {
        const { name, features } = this.#adapter;
        return { name, features } satisfies Hello;
      }
      case 'prepare':
        return this.#prepare(request);
      case 'run': {
        const prepared = this.#known(request.key);
        if (request.lead > 0) await prepared.run(request.lead);
        const start = performance.now();
        await prepared.run(request.calls);
        return { ms: performance.now() - start };
      }
      case 'release':
        this.#prepared.get(request.key)?.release?.();
        this.#prepared.delete(request.key);
        return {};
    }
  }

  #known(key: string): Prepare {
    const prepared = this.#prepared.get(key);
    if (!prepared) throw new Error(`${key} is not prepared`);
    return prepared;
  }

  async #prepare({ key, mode, work, inputs, folder }: Extract<Request, { op: 'prepare' }>): Promise<Prepared | Absent> {
    const arrays = inputs.map(load);
    const start = performance.now();
    const prepared = await this.#adapter.prepare(work, arrays, mode);
    if ('absent' in prepared) return prepared;
    const results = await prepared.outputs();
    const firstMs = performance.now() - start;
    this.#prepared.set(key, prepared);
    const outputs = results.map((data) => {
      const file = join(folder, `output-${process.pid}-${this.#written++}`);
      writeFileSync(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return { file, dtype: dtypeOf(data) };
    });
    const peakBytes = prepared.peakBytes?.();
    return { firstMs, outputs, ...(peakBytes === undefined ? {} : { peakBytes }) };
  }
}

/** Answers for one runtime. Where it can not be had, every answer says so. */
export async function serve(start: () => Promise<Adapter | Absent>): Promise<void> {
  const adapter = await start();
  const host = 'absent' in adapter ? undefined : new Host(adapter);
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      reply(host ? await host.answer(JSON.parse(line) as Request) : adapter);
    } catch (error) {
      reply({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }
  process.exit(0);
}
