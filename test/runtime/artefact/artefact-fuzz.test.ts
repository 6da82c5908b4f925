/** Mutated artefacts: each is loaded, or refused with an error that says so; never anything else. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { shutdown, tensor } from '../../../index.ts';
import { Random } from '../../../ir/ops/random.ts';
import { readHeader, readPreamble } from '../../../runtime/artefact/container.ts';
import { readArtefact } from '../../../runtime/artefact/read-artefact.ts';
import type { WeightsRecord } from '../../../runtime/artefact/records.ts';
import { canonicalJson } from '../../../runtime/artefact/write-container.ts';
import { load } from '../../../runtime/index.ts';
import { openContainer, readBlobs } from '../../../runtime/load/open-container.ts';
import { ProgramAssembly } from '../../../runtime/load/programs.ts';
import { forSharedMemory } from '../../../runtime/load/share-memory.ts';
import { openSource } from '../../../runtime/load/source.ts';
import { LoadedWeights } from '../../../runtime/load/weights.ts';
import type { Program, WasmProgram } from '../../../runtime/program.ts';
import { WasmDevice } from '../../../runtime/wasm/device.ts';
import { engine } from '../../../runtime/wasm/engine.ts';
import { KernelTable } from '../../../runtime/wasm/kernels.ts';
import { bakeArtefact } from '../../../tracer/bake/bake.ts';
import { rejectionOf } from '../../support/errors.ts';
import { caseCount } from '../../support/runs.ts';
import { batch, type ModelFunctions, type ModelWeights, newModel, newParams } from '../load/support.ts';
import { addition, programOf } from '../support.ts';
import { headerOf, JsonMutator, mutateBytes, outcomeLater, outcomeOf, Tally, withHeader } from './mutations.ts';

type Functions = Pick<ModelFunctions, 'forward' | 'scaled'>;

/** Functions with symbolic sizes, with captures and with weights; small, since its header is read tens of thousands of times. */
async function bakeSmall(target: string, names = ['forward', 'scaled']): Promise<Uint8Array<ArrayBuffer>> {
  const { entries, weights } = newModel();
  const some = Object.fromEntries(names.map((name) => [name, entries[name]]));
  return (await bakeArtefact({ kind: 'kiln bake', entries: some, weights }, { targets: [target] })).bytes;
}

let artefact: Uint8Array<ArrayBuffer>;
let artefacts: readonly { readonly bytes: Uint8Array; readonly header: JsonMutator }[];
beforeAll(async () => {
  const all = await Promise.all(['wasm', 'webgpu'].map((target) => bakeSmall(target)));
  [artefact] = all;
  artefacts = all.map((bytes) => ({ bytes, header: new JsonMutator(headerOf(bytes)) }));
});
afterAll(() => shutdown());

const refusals = ['corrupt_artefact', 'not_an_artefact', 'truncated_artefact', 'unsupported_version'];

test('bytes that were changed are refused, unless nobody reads them', async () => {
  const tally = new Tally();
  const blobs = new Set(readHeader(new TextEncoder().encode(headerOf(artefact))).blobs.keys());
  for (let seed = 0; seed < caseCount(15_000, 1_500_000); seed++) {
    const random = new Random(seed);
    const bytes = mutateBytes(artefact, random);
    tally.add(
      await outcomeLater(seed, async () => {
        const source = await openSource(bytes);
        await readBlobs(source, (await openContainer(source)).header, blobs, () => undefined);
      }),
    );
  }
  expect([...refusals, 'ok'], 'outcomes').toEqual(expect.arrayContaining(Object.keys(tally.counts)));
  expect(tally.counts.ok).toBeLessThan(0.3 * tally.total);
});

/** Everything that is made of an artefact before a device has it. */
function readAll(bytes: Uint8Array, adapt: (program: Program) => Program): void {
  const { headerBytes } = readPreamble(bytes);
  const { blobs, content, offsets } = readHeader(bytes.subarray(112, 112 + headerBytes));
  const read = readArtefact(content, blobs.length);
  const { target } = read.functions[0]?.programs[0] ?? {};
  if (target === undefined || read.functions.some((one) => one.programs.every((choice) => choice.target !== target)))
    return;
  const programs = new ProgramAssembly(read, blobs, { name: target, adapt }, () => undefined);
  for (const blob of programs.wanted)
    programs.take(blob, bytes.subarray(offsets[blob], offsets[blob] + blobs[blob].bytes));
  for (const one of read.functions) programs.programOf(one, target);
}

test('headers that were changed, with the right hash, are read or refused', () => {
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(10_000, 1_200_000); seed++) {
    const random = new Random(seed);
    const { bytes: whole, header } = random.pick(artefacts);
    const bytes = withHeader(whole, header.mutate(random));
    tally.add(outcomeOf(seed, () => readAll(bytes, seed % 2 === 0 ? (program) => program : forSharedMemory)));
  }
  expect([...refusals, 'invalid_program', 'ok'], 'outcomes').toEqual(expect.arrayContaining(Object.keys(tally.counts)));
  expect(tally.counts.corrupt_artefact).toBeGreaterThan(0.1 * tally.total);
  expect(tally.counts.invalid_program).toBeGreaterThan(0.02 * tally.total);
  expect(tally.counts.ok).toBeGreaterThan(0.05 * tally.total);
});

/** What of a header stands for its kernels: whoever writes that, writes code, and code may do everything. */
function kernelsIn(header: string): string {
  const { content } = JSON.parse(header) as { readonly content: { readonly kernels: unknown } };
  return `"kernels":${canonicalJson(content.kernels)}`;
}

test('what loads can be called, or says why not, and touches nothing of others', async () => {
  const x = tensor(batch(5), { shape: [5, 6] });
  const neighbour = tensor(new Float32Array(64).fill(0.5));
  // It keeps the kernels, so that they are compiled once.
  using whole = await load<Functions, ModelWeights>(artefact);
  const expected = await whole.functions.forward(whole.weights.params, x).data();
  const text = headerOf(artefact);
  const header = new JsonMutator(text, kernelsIn(text));
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(1500, 150_000); seed++) {
    const bytes = withHeader(artefact, header.mutate(new Random(seed)));
    const outcome = await outcomeLater(seed, async () => {
      using model = await load<Functions, ModelWeights>(bytes, { device: 'wasm' });
      const { forward } = model.functions;
      // New ones each time: a program may say that it takes its arguments over.
      const [params, rows] = [newParams(), tensor(batch(5), { shape: [5, 6] })];
      if (typeof forward === 'function') await forward(params, rows).data?.();
      for (const each of [params.w, params.b, rows]) each.dispose();
    });
    tally.add(outcome);
  }
  expect(tally.counts.ok).toBeGreaterThan(0.05 * tally.total);
  expect(await neighbour.data()).toEqual(new Float32Array(64).fill(0.5));
  expect(await whole.functions.forward(whole.weights.params, x).data()).toEqual(expected);
});

test('code that was changed is refused, or is a function over the memory', () => {
  const kernel = addition('B');
  const { Memory } = engine();
  const memories = {
    plain: new Memory({ initial: 1, maximum: 65_536 }),
    shared: new Memory({ initial: 1, maximum: 65_536, shared: true }),
  };
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(3000, 300_000); seed++) {
    const random = new Random(seed);
    const hash = seed.toString(16).padStart(64, '0');
    const program = programOf({ kernels: [{ ...kernel, hash, code: mutateBytes(kernel.code, random) }] });
    const isShared = random.boolean();
    tally.add(
      outcomeOf(seed, () => {
        const { kernels } = isShared ? (forSharedMemory(program) as WasmProgram) : program;
        new KernelTable(isShared ? memories.shared : memories.plain).acquire(kernels[0]);
      }),
    );
  }
  expect(Object.keys(tally.counts).sort()).toEqual(['compile_failed', 'corrupt_artefact', 'ok']);
});

test('a program of fixed sizes says where its temporaries lie, since the loader plans none', async () => {
  const bytes = await bakeSmall('wasm', ['step']);
  const header = headerOf(bytes);
  expect(header).toContain('"arenaBytes":');
  const without = withHeader(bytes, header.replaceAll('"arenaBytes":', '"arena":'));
  expect((await rejectionOf(() => load(without, { device: 'wasm' }))).code).toBe('corrupt_artefact');
});

test('weights that were changed are refused, or are other numbers', () => {
  const { headerBytes } = readPreamble(artefact);
  const { blobs, content, offsets } = readHeader(artefact.subarray(112, 112 + headerBytes));
  const { weights } = readArtefact(content, blobs.length) as { readonly weights: WeightsRecord };
  const blob = artefact.slice(offsets[weights.blob], offsets[weights.blob] + blobs[weights.blob].bytes);
  const device = new WasmDevice();
  const tally = new Tally();
  for (let seed = 0; seed < caseCount(1000, 100_000); seed++) {
    const bytes = mutateBytes(blob, new Random(seed));
    tally.add(outcomeOf(seed, () => new LoadedWeights(device, weights, new Set([0]), bytes).dispose()));
  }
  expect(Object.keys(tally.counts).sort()).toEqual(['corrupt_artefact', 'ok']);
  expect(device.memory().bytes).toBe(0);
  device.shutdown();
});
