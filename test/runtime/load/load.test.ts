/** Baked artefacts that are loaded: the same bits as compiled functions, from every kind of source. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { compile, memory, shutdown, Tensor, tensor } from '../../../index.ts';
import { preambleBytes, readHeader, readPreamble } from '../../../runtime/artefact/container.ts';
import { programOfRecord } from '../../../runtime/artefact/program-record.ts';
import type { ArtefactContent } from '../../../runtime/artefact/records.ts';
import { writeContainer } from '../../../runtime/artefact/write-container.ts';
import {
  type Artefact,
  type ArtefactSource,
  type DeviceArray,
  load,
  tensor as runtimeTensor,
} from '../../../runtime/index.ts';
import { forSharedMemory } from '../../../runtime/load/share-memory.ts';
import type { Program } from '../../../runtime/program.ts';
import { aloneDriver } from '../../../runtime/wasm/driver-code.ts';
import { engine } from '../../../runtime/wasm/engine.ts';
import { codeOf, errorOf, rejectionOf } from '../../support/errors.ts';
import {
  bakeModel,
  batch,
  forward,
  type ModelFunctions,
  type ModelWeights,
  newParams,
  type Params,
  step,
} from './support.ts';

let bytes: Uint8Array<ArrayBuffer>;
let folder: string;
let path: string;

beforeAll(async () => {
  bytes = await bakeModel(['wasm', 'wasm-threads', 'wasm-relaxed', 'webgpu']);
  folder = mkdtempSync(join(tmpdir(), 'kiln-load-'));
  path = join(folder, 'model.kiln');
  writeFileSync(path, bytes);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const loadModel = (source: ArtefactSource = bytes): Promise<Artefact<ModelFunctions, ModelWeights>> => load(source);

/** What the artefact holds, as a copy. */
function opened(): { readonly content: ArtefactContent; readonly parts: readonly Uint8Array[] } {
  const { headerBytes } = readPreamble(bytes);
  const { content, blobs, offsets } = readHeader(bytes.slice(preambleBytes, preambleBytes + headerBytes));
  const parts = blobs.map((blob, i) => bytes.slice(offsets[i], offsets[i] + blob.bytes));
  return { content: content as ArtefactContent, parts };
}

/** The artefact with code for one target alone. */
function withTargets(name: string): Uint8Array {
  const { content, parts } = opened();
  const functions = content.functions.map((one) => ({
    ...one,
    programs: one.programs.filter(({ target }) => target === name),
  }));
  return writeContainer({ ...content, functions }, parts);
}

const input = (rows: number): Tensor => tensor(batch(rows), { shape: [rows, 6] });

describe('a loaded artefact', () => {
  it('computes the same bits as the compiled functions', async () => {
    using model = await loadModel();
    expect(model.device).toBe('wasm');
    const compiled = compile(forward, { precision: 'strict' });
    for (const rows of [1, 7, 64]) {
      const y = model.functions.forward(model.weights.params, input(rows));
      expect(y.shape).toEqual([rows, 4]);
      expect(await y.bytes()).toEqual(await compiled(newParams(), input(rows)).bytes());
    }
    const expected = compile(step, { precision: 'strict' })(newParams(), input(4), 0.25);
    const { loss, params } = model.functions.step(newParams(), input(4), 0.25);
    expect(await loss.bytes()).toEqual(await expected.loss.bytes());
    expect(await params.w.bytes()).toEqual(await expected.params.w.bytes());
    expect(await params.b.bytes()).toEqual(await expected.params.b.bytes());
    const [scaled, nothing] = model.functions.scaled(input(2));
    const plain = (await compiled(newParams(), input(2)).data()) as Float32Array;
    expect(await scaled.data()).toEqual(plain.map((value, i) => value * (1 + (i % 4))));
    expect(nothing).toBeNull();
  });

  it('takes typed arrays, gives tensors, and has the names of its functions', async () => {
    using model = await loadModel();
    const { mode } = model.functions;
    const y = mode(new Float32Array([0, 1, 2]), { name: 'exp' });
    expect(y).toBeInstanceOf(Tensor);
    expect(y.add(1).arraySync()).toEqual(compile((x: Tensor) => x.exp().add(1))(tensor([0, 1, 2])).arraySync());
    expect(mode.name).toBe('mode');
    expect(Object.keys(model.weights.params)).toEqual(['b', 'w']);
  });

  it('takes what is donated, also its own weights, and does not see it in what is captured', async () => {
    using model = await loadModel();
    const { params } = model.weights;
    const before = model.functions.scaled(input(2))[0].arraySync();
    const trained = model.functions.step(params, input(4), 0.25).params;
    expect(params.w.isDisposed).toBe(true);
    expect(() => model.functions.step(params, input(4), 0.25)).toThrow(/use_after_dispose[\s\S]*donated to step/);
    expect(model.functions.scaled(input(2))[0].arraySync()).toEqual(before);
    expect(model.functions.step(trained, input(4), 0.25).loss.itemSync()).toBeGreaterThan(0);
    const twice = newParams();
    const square = { w: twice.w, b: twice.w } as unknown as Params;
    expect(codeOf(() => model.functions.step(square, input(4), 0.25))).toBe('spec_mismatch');
  });

  it('says what does not fit, where in the arguments, and in which line of the user', async () => {
    using model = await loadModel();
    const { forward, step, mode } = model.functions as unknown as Record<string, (...args: unknown[]) => unknown>;
    const params = newParams();
    const cases: [() => unknown, object][] = [
      [() => forward(params), { code: 'spec_mismatch', given: '1', expected: '2: p, x' }],
      [() => forward(params, input(65)), { code: 'spec_mismatch', expected: '1 <= B <= 64' }],
      [() => forward(params, batch(1)), { code: 'spec_mismatch', given: 'f32[6]', expected: 'f32[B,6]' }],
      [() => forward(params, tensor([[1, 2, 3, 4, 5, 6]], { dtype: 'int32' })), { given: 'i32[1,6]' }],
      [() => forward({ w: params.w }, input(1)), { given: 'an object with w', expected: 'an object with b, w' }],
      [() => forward([params.b, params.w], input(1)), { given: 'an array of 2' }],
      [() => forward({ b: null, w: params.w }, input(1)), { summary: 'forward: p.b is no array', given: 'null' }],
      [() => forward({ b: params.w, w: params.w }, input(1)), { given: 'f32[6,4]', expected: 'f32[4]' }],
      [() => forward(input(1), input(1)), { code: 'spec_mismatch', given: 'f32[1,6]' }],
      [() => step(params, input(4), 0.5), { code: 'guard_failed', given: '0.5', expected: '0.25' }],
      [() => step(params, input(4), '0.25'), { code: 'guard_failed', given: '"0.25"' }],
      [() => step(params, input(4), tensor(0.25)), { code: 'spec_mismatch', given: 'f32[]' }],
      [() => mode(new Float32Array(3), { name: 'neg' }), { code: 'guard_failed', given: 'an object with name' }],
      [() => mode(new Float32Array(4), { name: 'exp' }), { code: 'spec_mismatch', given: 'f32[4]' }],
      [() => mode(new Float64Array(3), { name: 'exp' }), { code: 'spec_mismatch', given: 'f64[3]' }],
    ];
    for (const [call, expected] of cases) {
      const error = errorOf(call);
      expect(error).toMatchObject({ code: 'spec_mismatch', ...expected });
      expect(String(error.location)).toMatch(/load\.test\.ts:\d+:\d+$/);
    }
    expect(params.w.isDisposed).toBe(false);
  });

  it('is refused inside a trace, and after its end', async () => {
    const model = await loadModel();
    const traced = compile((x: Tensor) => model.functions.forward(newParams(), x));
    expect(codeOf(() => traced(input(1)))).toBe('traced_value');
    await model.ready();
    const { tensors } = memory();
    model.dispose();
    model.dispose();
    expect(memory().tensors).toBe(tensors - 5);
    expect(codeOf(() => model.functions.scaled(input(2)))).toBe('use_after_dispose');
    const again = await loadModel();
    await shutdown();
    expect(errorOf(() => again.functions.scaled(input(2)))).toMatchObject({ code: 'shut_down', hint: /load/ });
  });

  it('takes names as names', async () => {
    const { content, parts } = opened();
    const { functions, weights } = content;
    const names = ['__proto__', 'constructor', 'hasOwnProperty', 'toString'];
    for (const [i, one] of functions.entries()) Object.assign(one, { name: names[i] });
    Object.assign(weights!.trees[0], { name: '__proto__' });
    const dict = JSON.stringify(functions[0].parameters[0].tree).replace('"b"', '"__proto__"');
    Object.assign(functions[0].parameters[0], { tree: JSON.parse(dict) });
    using model = await load(writeContainer(content, parts));
    expect(Object.keys(model.functions)).toEqual(names);
    expect(Object.keys(model.weights)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>).w).toBeUndefined();
    const { w, b } = newParams();
    const params = Object.defineProperty({ w }, '__proto__', { value: b, enumerable: true });
    const call = Object.getOwnPropertyDescriptor(model.functions, '__proto__')!.value as typeof forward;
    const plain = await loadModel();
    expect(call(params as unknown as Params, input(1)).arraySync()).toEqual(
      plain.functions.forward(newParams(), input(1)).arraySync(),
    );
    expect(codeOf(() => call({ w } as Params, input(1)))).toBe('spec_mismatch');
  });
});

describe('threads', () => {
  it('are used where the artefact has code for them, with the same bits', async () => {
    await shutdown();
    {
      using model = await load<ModelFunctions, ModelWeights>(bytes, { threads: 2 });
      expect(model.target).toBe('wasm-threads');
      await model.ready();
      const y = model.functions.forward(model.weights.params, input(64)).bytesSync();
      const compiled = compile(forward, { precision: 'strict' });
      expect(y).toEqual(compiled(newParams(), input(64)).bytesSync());
      // Code for one thread runs there too: it is made to import the memory that threads share.
      using plain = await load<ModelFunctions, ModelWeights>(withTargets('wasm'));
      expect(plain.target).toBe('wasm');
      expect(plain.functions.forward(plain.weights.params, input(64)).bytesSync()).toEqual(y);
      const error = await rejectionOf(() => load(bytes, { threads: 1 }));
      expect(error).toMatchObject({ code: 'invalid_argument', summary: expect.stringMatching(/^load: the number/) });
    }
    await shutdown();
    expect((await rejectionOf(() => load(bytes, { threads: 0 }))).code).toBe('invalid_argument');
  });

  it('share the code that was baked for them, byte by byte', async () => {
    const { content, parts } = opened();
    const programOf = (target: string): Program => {
      const { program } = content.functions[0].programs.find((choice) => choice.target === target)!;
      return programOfRecord(content.programs[program], {
        kernel: (hash) => content.kernels.find((kernel) => kernel.hash === hash),
        blob: (index) => parts[index],
      }) as Program;
    };
    const adapted = forSharedMemory(programOf('wasm')).kernels.map(({ code }) => code);
    expect(adapted).toEqual(programOf('wasm-threads').kernels.map(({ code }) => code));
  });
});

describe('compiled modules', () => {
  it('take the place of code, by the hash of their kernels', async () => {
    const { content, parts } = opened();
    const { kernels, programs } = content;
    const plain = new Set(
      programs
        .filter(({ tier }) => tier.target === 'wasm' && !tier.threads && !tier.relaxedSimd)
        .flatMap((program) => program.kernels.map(({ hash }) => hash)),
    );
    const module = (code: Uint8Array): object => new (engine().Module)(code);
    const modules = new Map(
      kernels.filter(({ hash }) => plain.has(hash)).map(({ hash, code }) => [hash, module(parts[code])]),
    );
    expect(await rejectionOf(() => load(bytes, { modules }))).toMatchObject({ given: "modules without 'driver'" });
    modules.set('driver', module(Uint8Array.from(Buffer.from(aloneDriver, 'base64'))));
    await shutdown();
    const refuse = (): never => {
      throw new Error('this engine compiles nothing');
    };
    const compiling = [vi.spyOn(engine(), 'compile'), vi.spyOn(engine(), 'Module')];
    for (const spy of compiling) spy.mockImplementation(refuse);
    try {
      using model = await load<ModelFunctions, ModelWeights>(bytes, { modules });
      // In strict precision the code of both is the same.
      expect(['wasm', 'wasm-relaxed']).toContain(model.target);
      expect(model.functions.mode(new Float32Array(3), { name: 'exp' }).arraySync()).toEqual([1, 1, 1]);
      const [first] = plain;
      modules.delete(first);
      expect((await rejectionOf(() => load(bytes, { modules }))).given).toMatch(/modules without some kernels of/);
    } finally {
      for (const spy of compiling) spy.mockRestore();
    }
    await shutdown();
  });
});

describe('tensor of the runtime', () => {
  it('makes arrays of numbers, nested or flat', async () => {
    using _ = await loadModel();
    expect(
      runtimeTensor([
        [1, 2],
        [3, 4],
      ]),
    ).toMatchObject({ dtype: 'float32', shape: [2, 2] });
    expect(runtimeTensor(batch(2), { shape: [2, 6] }).dataSync()).toEqual(batch(2));
    expect(runtimeTensor([true, false])).toMatchObject({ dtype: 'bool', shape: [2] });
    expect(runtimeTensor(new Int8Array([1]))).toMatchObject({ dtype: 'int8', shape: [1] });
    expect(runtimeTensor(7, { dtype: 'int32' }).itemSync()).toBe(7);
    expect(runtimeTensor([1n, 2n])).toMatchObject({ dtype: 'int32', shape: [2] });
    expect(runtimeTensor(BigInt64Array.of(1n, -5n)).arraySync()).toEqual([1, -5]);
    expect(errorOf(() => runtimeTensor(BigInt64Array.of(2n ** 40n))).code).toBe('dtype_mismatch');
    const typed: DeviceArray<'float32'> = runtimeTensor([1, 2]);
    expect(typed.dtype).toBe('float32');
    expect(runtimeTensor([])).toMatchObject({ dtype: 'float32', shape: [0] });
    expect(errorOf(() => runtimeTensor([[1], [2, 3]])).code).toBe('shape_mismatch');
    expect(errorOf(() => runtimeTensor([1, 2], { shape: [3] })).code).toBe('shape_mismatch');
    expect(errorOf(() => runtimeTensor([1.5], { dtype: 'int32' })).code).toBe('dtype_mismatch');
    expect(errorOf(() => runtimeTensor(['a'] as never)).code).toBe('invalid_argument');
    expect(errorOf(() => runtimeTensor([1], { dtype: 'float31' as 'float32' })).code).toBe('unsupported_dtype');
    expect(String(errorOf(() => runtimeTensor([1], { shape: [-1] })).location)).toMatch(/load\.test\.ts/);
  });
});
