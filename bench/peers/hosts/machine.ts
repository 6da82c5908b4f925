/**
 * What the machine does without any runtime, in WASM and in the process of Kiln's host: a copy, reading, and the
 * register tile of a product on operands that stay in the first cache. With two threads each does half. A thread is a
 * worker that waits on a word of the shared memory; there is nothing of Kiln in it.
 */
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import binaryen from 'binaryen';
import type { Prepare } from '../adapter.ts';
import { type Elements, tileFlops } from '../work.ts';

interface TileShape {
  readonly rows: number;
  /** Vectors of four columns. */
  readonly vectors: number;
}

/** From few accumulators to as many as there are registers, with and without vectors that come in pairs. */
const tiles: readonly TileShape[] = [
  { rows: 6, vectors: 1 },
  { rows: 4, vectors: 2 },
  { rows: 5, vectors: 2 },
  { rows: 6, vectors: 2 },
  { rows: 4, vectors: 3 },
  { rows: 2, vectors: 4 },
  { rows: 3, vectors: 4 },
  { rows: 4, vectors: 4 },
];

/** Steps along the summed axis: the left operand and the right one fit the first cache together. */
const depth = 256;
const nameOf = ({ rows, vectors }: TileShape): string => `tile${rows}x${4 * vectors}`;
const times = (count: number, text: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => text(i)).join('\n');

/** `repeat` times the products of a packed block of the left operand and one of the right, summed in locals. */
function tileText(shape: TileShape, relaxed: boolean): string {
  const { rows, vectors } = shape;
  const sum = (i: number, j: number): string => {
    const [a, b, c] = [`(local.get $a)`, `(local.get $b${j})`, `(local.get $c${i}_${j})`];
    return relaxed ? `(f32x4.relaxed_madd ${a} ${b} ${c})` : `(f32x4.add ${c} (f32x4.mul ${a} ${b}))`;
  };
  // One step a round of the loop: V8 moves the loads of several to the front, and runs out of registers.
  const step = `
    ${times(vectors, (j) => `(local.set $b${j} (v128.load offset=${16 * j} (local.get $q)))`)}
    ${times(
      rows,
      (i) => `(local.set $a (v128.load32_splat offset=${4 * i} (local.get $p)))
      ${times(vectors, (j) => `(local.set $c${i}_${j} ${sum(i, j)})`)}`,
    )}`;
  return `(func (export "${nameOf(shape)}") (param $at i32) (param $repeat i32)
    (local $p i32) (local $q i32) (local $end i32) (local $a v128)
    ${times(vectors, (j) => `(local $b${j} v128)`)}
    ${times(rows, (i) => times(vectors, (j) => `(local $c${i}_${j} v128)`))}
    (loop $again
      (local.set $p (local.get $at))
      (local.set $q (i32.add (local.get $at) (i32.const ${4 * rows * depth})))
      (local.set $end (local.get $q))
      (loop $next
        ${step}
        (local.set $p (i32.add (local.get $p) (i32.const ${4 * rows})))
        (local.set $q (i32.add (local.get $q) (i32.const ${16 * vectors})))
        (br_if $next (i32.lt_u (local.get $p) (local.get $end))))
      (local.set $repeat (i32.sub (local.get $repeat) (i32.const 1)))
      (br_if $again (local.get $repeat)))
    ${times(rows, (i) =>
      times(vectors, (j) => `(v128.store offset=${16 * (i * vectors + j)} (local.get $at) (local.get $c${i}_${j}))`),
    )})`;
}

/** Sums of vectors that are read, eight at a time. */
const readText = `(func (export "read") (param $at i32) (param $end i32)
  ${times(8, (i) => `(local $sum${i} v128)`)}
  (loop $next
    ${times(8, (i) => `(local.set $sum${i} (f32x4.add (local.get $sum${i}) (v128.load offset=${16 * i} (local.get $at))))`)}
    (local.set $at (i32.add (local.get $at) (i32.const 128)))
    (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
  ${times(8, (i) => `(v128.store offset=${16 * i} (local.get $end) (local.get $sum${i}))`)})`;

function moduleBytes(relaxed: boolean): Uint8Array {
  const text = `(module
    (import "env" "memory" (memory 1 65536 shared))
    (func (export "copy") (param $to i32) (param $from i32) (param $bytes i32)
      (memory.copy (local.get $to) (local.get $from) (local.get $bytes)))
    ${readText}
    ${tiles.map((shape) => tileText(shape, relaxed)).join('\n')})`;
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  const code = module.emitBinary();
  module.dispose();
  return code;
}

type Exports = Readonly<Record<string, (...operands: number[]) => void>>;
interface Memory {
  readonly buffer: SharedArrayBuffer;
}
interface Engine {
  readonly Memory: new (descriptor: object) => Memory;
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Exports };
}

/** The memory has room for twice so many bytes. */
const mostCopied = 64 * 2 ** 20;

/** Words at the start of the memory: what round it is, rounds done, the function's number, three operands. */
const words = { round: 0, done: 1, fn: 2, operands: 3 } as const;

const workerText = `
const { workerData: { module, memory, names } } = require('node:worker_threads');
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
const control = new Int32Array(memory.buffer, 0, 8);
for (let round = 0; ; round++) {
  Atomics.wait(control, ${words.round}, round);
  const [a, b, c] = control.subarray(${words.operands}, ${words.operands + 3});
  exports[names[control[${words.fn}]]](a, b, c);
  Atomics.store(control, ${words.done}, round + 1);
}`;

export class Machine {
  readonly #exports: Exports;
  readonly #names: string[];
  readonly #control: Int32Array;
  readonly #threads: number;
  readonly #free = 4096;

  /** @param relaxed whether the tile may multiply and add in one step */
  constructor(threads: 1 | 2, relaxed: boolean) {
    const { Memory, Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;
    const pages = (2 * mostCopied) / 65536 + 8;
    const memory = new Memory({ initial: pages, maximum: pages, shared: true });
    // Before Node 22 the engine takes relaxed operations behind a flag; where it knows no such flag, nothing happens.
    if (relaxed) setFlagsFromString('--experimental-wasm-relaxed-simd');
    const module = new Module(moduleBytes(relaxed));
    this.#exports = new Instance(module, { env: { memory } }).exports;
    this.#names = Object.keys(this.#exports);
    this.#control = new Int32Array(memory.buffer, 0, 8);
    this.#threads = threads;
    if (threads === 2) {
      new Worker(workerText, { eval: true, workerData: { module, memory, names: this.#names } }).unref();
    }
  }

  /** Calls a function here, and at the same time on the other thread with operands of its own. */
  #both(name: string, here: readonly number[], there: readonly number[]): void {
    if (this.#threads === 1) {
      this.#exports[name](...here);
      return;
    }
    const control = this.#control;
    control[words.fn] = this.#names.indexOf(name);
    control.set(there, words.operands);
    const round = Atomics.add(control, words.round, 1) + 1;
    Atomics.notify(control, words.round);
    this.#exports[name](...here);
    while (Atomics.load(control, words.done) !== round);
  }

  /** So many bytes from one place to another. */
  copy(bytes: number): Prepare {
    const part = bytes / this.#threads;
    const at = this.#free + 65536;
    const to = at + bytes;
    const once = (): void => this.#both('copy', [to, at, part], [to + part, at + part, part]);
    return prepared(once);
  }

  /** So many bytes, summed. */
  read(bytes: number): Prepare {
    // What is stored behind the first half must not be on the way of the second.
    const [at, part] = [this.#free + 65536, bytes / this.#threads];
    const there = at + part + 4096;
    return prepared(() => this.#both('read', [at, at + part], [there, there + part, 0]));
  }

  /** The fastest of the tiles, as many operations as `tileFlops` says. */
  registerTile(): Prepare {
    const call = (shape: TileShape, flops: number): void => {
      const repeat = Math.max(1, Math.round(flops / this.#threads / (8 * shape.rows * shape.vectors * depth)));
      this.#both(nameOf(shape), [this.#free, repeat], [this.#free + 65536, repeat, 0]);
    };
    // A few rounds, since the engine's second compiler takes over after a while.
    const best = tiles.map(() => Number.POSITIVE_INFINITY);
    for (let round = 0; round < 12; round++) {
      for (const [i, shape] of tiles.entries()) {
        const start = performance.now();
        call(shape, tileFlops / 4);
        best[i] = Math.min(best[i], performance.now() - start);
      }
    }
    const fastest = tiles[best.indexOf(Math.min(...best))];
    return prepared(() => call(fastest, tileFlops));
  }
}

const prepared = (once: () => void): Prepare => ({
  run(calls) {
    for (let i = 0; i < calls; i++) once();
  },
  outputs(): Promise<readonly Elements[]> {
    once();
    return Promise.resolve([]);
  },
});
