/**
 * Mutated records of programs. Each is refused, or is a program; and one whose kernels are intact writes into nothing
 * but what is its own, when it is run between tensors that belong to others.
 */
import { expect, test } from 'vitest';
import type { DType } from '../../../base/dtype.ts';
import { KilnError } from '../../../base/error.ts';
import { loadBinaryen } from '../../../codegen/wasm/load.ts';
import { generateProgram } from '../../../codegen/wasm/program.ts';
import { Random } from '../../../ir/ops/random.ts';
import { mainOf } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { corrupt } from '../../../runtime/artefact/container.ts';
import { programOfRecord, recordKernel, recordProgram } from '../../../runtime/artefact/program-record.ts';
import type { KernelRecord, ProgramRecord } from '../../../runtime/artefact/records.ts';
import { canonicalJson } from '../../../runtime/artefact/write-container.ts';
import { denseBytes } from '../../../runtime/buffer.ts';
import type { ArraySpec, BufferHandle } from '../../../runtime/device.ts';
import { type Program, plainTier, type TensorSpec } from '../../../runtime/program.ts';
import { evaluateSize } from '../../../runtime/sizes.ts';
import { validateProgram } from '../../../runtime/validate.ts';
import { WasmDevice } from '../../../runtime/wasm/device.ts';
import { randomModule } from '../../support/random-graph.ts';
import { caseCount } from '../../support/runs.ts';
import { randomProgram } from '../cache/programs.ts';
import { compiledSource } from '../support.ts';
import { JsonMutator, outcomeOf, Tally } from './mutations.ts';

const binaryen = await loadBinaryen();

interface Recorded {
  readonly record: string;
  readonly kernels: string;
  readonly blobs: readonly Uint8Array[];
}

function recorded(program: Program): Recorded {
  const blobs: Uint8Array[] = [];
  const add = (bytes: Uint8Array): number => blobs.push(bytes) - 1;
  const kernels = canonicalJson(program.kernels.map((kernel) => recordKernel(kernel, add)));
  return { record: canonicalJson(recordProgram(program, add)), kernels, blobs };
}

/** A record or a list, as every header has them. */
function parsed(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw corrupt('no JSON');
  }
  if (typeof value !== 'object' || value === null) throw corrupt('neither a record nor a list');
  return value;
}

/** The program of records that anybody may have written. */
function read(record: string, kernels: string, blobs: readonly Uint8Array[]): Program {
  const list = parsed(kernels);
  const byHash = new Map((Array.isArray(list) ? (list as KernelRecord[]) : []).map((kernel) => [kernel?.hash, kernel]));
  const blob = (index: number): Uint8Array => {
    if (!Object.hasOwn(blobs, index)) throw corrupt('a blob that is not there');
    return blobs[index];
  };
  return validateProgram(
    programOfRecord(parsed(record) as ProgramRecord, { kernel: (hash) => byHash.get(hash), blob }),
  );
}

/** Of a random module, with some inputs donated and some held, so that there are prepared arrays too. */
function programWithEverything(seed: number): Program {
  const { module } = randomModule(seed, { ops: 10, symbolic: seed % 2 === 1 });
  const { parameters } = mainOf(module).graph;
  const donated = parameters.map((_, at) => at % 2 === 0);
  const held = donated.map((is) => !is);
  const precision = 'fast';
  const lowered = lowerModule(module, { name: 'guest', donated, held, leastSaved: 0, precision });
  return generateProgram(binaryen, lowered, { precision, tier: plainTier }).program;
}

test('mutated records are refused, or are programs', () => {
  const programs = (['wasm', 'webgpu'] as const).flatMap((target) =>
    Array.from({ length: 6 }, (_, seed) => randomProgram(seed, target))
      .filter(({ kernels }) => kernels.length > 0)
      .map(recorded),
  );
  const mutators = programs.map((each) => ({
    ...each,
    ofRecord: new JsonMutator(each.record),
    ofKernels: new JsonMutator(each.kernels),
  }));
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(20_000, 2_000_000); seed++) {
    const random = new Random(seed);
    const { record, kernels, blobs, ofRecord, ofKernels } = random.pick(mutators);
    const isOfKernels = random.boolean(0.4);
    tally.add(
      outcomeOf(seed, () =>
        read(isOfKernels ? record : ofRecord.mutate(random), isOfKernels ? ofKernels.mutate(random) : kernels, blobs),
      ),
    );
  }
  expect(Object.keys(tally.counts).sort()).toEqual([
    'corrupt_artefact',
    'invalid_program',
    'ok',
    'unsupported_version',
  ]);
  expect(tally.counts.ok).toBeGreaterThan(0.02 * tally.total);
  expect(tally.counts.invalid_program).toBeGreaterThan(0.3 * tally.total);
});

interface Wires {
  readonly steps: { readonly buffers: unknown[] }[];
  readonly outputs: { readonly shape: unknown[]; readonly source: unknown }[];
  readonly inputs: { readonly shape: unknown[] }[];
  readonly temporaries: { bytes: unknown; first: number; last: number; offset?: number }[];
  readonly prepared: { readonly shape: unknown[] }[];
}

/** The same record with other buffers in its steps, or smaller ones. */
function rewired(record: string, random: Random): string {
  const wires = JSON.parse(record) as Wires;
  for (let i = random.integer(1, 3); i > 0; i--) {
    const { buffers } = random.pick(wires.steps);
    const at = random.integer(0, buffers.length - 1);
    const specs = random.pick([wires.outputs, wires.inputs, wires.prepared]);
    const kind = random.integer(0, 3);
    if (kind === 0) buffers[at] = random.pick(random.pick(wires.steps).buffers);
    else if (kind === 1 && specs.length > 0) {
      const { shape } = random.pick<{ readonly shape: unknown[] }>(specs);
      if (shape.length > 0) shape[random.integer(0, shape.length - 1)] = random.pick([1, 2, 'B', '2*B']);
    } else if (kind === 2 && wires.temporaries.length > 0) {
      const temporary = random.pick(wires.temporaries);
      temporary.bytes = random.pick([0, 4, 64, '4*B']);
      if (random.boolean()) temporary.last = wires.steps.length - 1;
    } else if (wires.outputs.length > 0) {
      const index = random.integer(0, wires.outputs.length - 1);
      buffers[at] = { kind: random.pick(['output', 'temporary', 'prepared', 'input']), index };
    }
  }
  return canonicalJson(wires);
}

const mostBytes = 20_000;

/** What a caller has who takes the program at its word; undefined where that is nothing small. */
function concrete({ symbols }: Program, specs: readonly TensorSpec[], random: Random): ArraySpec[] | undefined {
  const sizes = new Map(
    symbols.map(({ name, min, max }) => [name, Math.min(max, Math.max(min, random.integer(1, 64)))]),
  );
  const shapes = specs.map(({ dtype, shape }) => ({ dtype, shape: shape.map((size) => evaluateSize(size, sizes)) }));
  const isSmall = shapes.every(
    ({ dtype, shape }) => denseBytes(dtype, shape) <= mostBytes && Math.max(0, ...shape) <= 64,
  );
  return isSmall ? shapes : undefined;
}

const fill = (dtype: DType, shape: readonly number[], value: number): Uint8Array =>
  new Uint8Array(denseBytes(dtype, shape)).fill(value);

const canaryBytes = new Uint8Array(48).fill(0xa5);

/** A device with tensors of others all over its memory, and room between them. */
class Neighbourhood {
  readonly device = new WasmDevice({ memoryLimit: 4 << 20 });
  readonly #canaries: BufferHandle[] = [];

  constructor() {
    // Blocks are multiples of 64 bytes, and the first gap that fits is taken.
    const room = Array.from({ length: 120 }, (_, i) => {
      const bytes = 64 * (1 + (i % 40)) - 16;
      this.#addCanary();
      return this.device.upload('int8', [bytes], new Uint8Array(bytes));
    });
    this.#addCanary();
    for (const handle of room) handle.dispose();
  }

  #addCanary(): void {
    this.#canaries.push(this.device.upload('int8', [canaryBytes.length], canaryBytes));
  }

  assertIntact(seed: number): void {
    const changed = this.#canaries.findIndex(
      (canary) => Buffer.compare(this.device.readSync(canary), canaryBytes) !== 0,
    );
    expect(changed, `seed ${seed}: a tensor of somebody else has changed`).toBe(-1);
  }
}

/** Runs a program twice between canaries. @throws Error where it changes what is not its own */
function runBetween(seed: number, program: Program, { device }: Neighbourhood): void {
  const random = new Random(seed);
  const specs = concrete(program, [...program.inputs, ...program.outputs], random);
  if (!specs) throw new KilnError('invalid_size', 'too large to be tried');
  const inputs = specs.slice(0, program.inputs.length);
  const outputs = specs.slice(program.inputs.length);
  const kept = program.inputs.map(({ donated }, i) =>
    donated ? undefined : fill(inputs[i].dtype, inputs[i].shape, 17 + i),
  );
  const handles = inputs.map(({ dtype, shape }, i) => kept[i] && device.upload(dtype, shape, kept[i]));
  const source = compiledSource(program);
  try {
    for (let times = 0; times < 2; times++) {
      const given = inputs.map(
        ({ dtype, shape }, i) => handles[i] ?? device.upload(dtype, shape, fill(dtype, shape, 3)),
      );
      try {
        const results = device.run(source, given, outputs);
        for (const result of results) device.readSync(result);
        for (const result of results) result.dispose();
      } finally {
        for (const [i, handle] of given.entries()) if (!handles[i]) handle.dispose();
      }
    }
  } finally {
    const changed = handles.findIndex((handle, i) => handle && Buffer.compare(device.readSync(handle), kept[i]!) !== 0);
    for (const handle of handles) handle?.dispose();
    expect(changed, `seed ${seed}: an input that its caller keeps has changed`).toBe(-1);
  }
}

test('programs with intact kernels write nothing that is not their own', () => {
  const programs = Array.from({ length: 24 }, (_, seed) => programWithEverything(seed))
    .filter(({ steps }) => steps.length > 1)
    .map(recorded);
  const mutators = programs.map((each) => ({ ...each, ofRecord: new JsonMutator(each.record) }));
  let neighbourhood = new Neighbourhood();
  for (const [seed, { record, kernels, blobs }] of programs.entries()) {
    runBetween(seed, read(record, kernels, blobs), neighbourhood);
    neighbourhood.assertIntact(seed);
  }
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(3000, 300_000); seed++) {
    const random = new Random(seed);
    const { record, ofRecord, kernels, blobs } = random.pick(mutators);
    const mutated = random.boolean() ? ofRecord.mutate(random) : rewired(record, random);
    let program: Program | undefined;
    if (outcomeOf(seed, () => (program = read(mutated, kernels, blobs))) !== 'ok') continue;
    const outcome = outcomeOf(seed, () => runBetween(seed, program!, neighbourhood));
    neighbourhood.assertIntact(seed);
    tally.add(outcome);
    if (tally.total % 200 === 0) {
      neighbourhood.device.shutdown();
      neighbourhood = new Neighbourhood();
    }
  }
  expect(tally.counts.ok).toBeGreaterThan(200);
  expect(tally.counts.invalid_program).toBeGreaterThan(100);
});
