/** Weights: the file is one that every reader of safetensors takes, and each tensor is in it once. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteSize, type DType, dtypes } from '../../../base/dtype.ts';
import { tensor } from '../../../index.ts';
import { inFileOrder, type NamedTensor, tensorsOf, writeSafetensors } from '../../../tracer/bake/safetensors.ts';
import { WeightsCollector } from '../../../tracer/bake/weights.ts';
import { codeOf } from '../../support/errors.ts';

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Reads as https://github.com/huggingface/safetensors#format says, and checks what it demands. */
function readSafetensors(file: Uint8Array): Map<string, { readonly entry: Entry; readonly bytes: Uint8Array }> {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const json = new TextDecoder().decode(file.subarray(8, 8 + length));
  expect(json[0]).toBe('{');
  const data = file.subarray(8 + length);
  let end = 0;
  const read = Object.entries(JSON.parse(json) as Record<string, Entry>).map(([name, entry]) => {
    const [from, to] = entry.data_offsets;
    expect(from, 'no holes').toBe(end);
    end = to;
    return [name, { entry, bytes: data.subarray(from, to) }] as const;
  });
  expect(end, 'nothing behind').toBe(data.length);
  return new Map(read);
}

const named = fc
  .record({ dtype: fc.constantFrom(...dtypes), shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }) })
  .chain(({ dtype, shape }) => {
    const bytes = shape.reduce((product, size) => product * size, byteSize(dtype));
    const name = fc.string({ unit: 'grapheme' }).filter((text) => text !== '__metadata__' && text !== '__proto__');
    return fc.record({
      name,
      dtype: fc.constant(dtype),
      shape: fc.constant(shape),
      bytes: fc.uint8Array({ minLength: bytes, maxLength: bytes }),
    });
  });
const tensors = fc.uniqueArray(named, { selector: ({ name }) => name, maxLength: 6 });

describe('writeSafetensors', () => {
  it('writes files that read back, aligned, whatever the order of the tensors', () => {
    fc.assert(
      fc.property(tensors, (given) => {
        const sorted = inFileOrder(given);
        const file = writeSafetensors(sorted);
        const read = readSafetensors(file);
        expect(read.size).toBe(given.length);
        for (const { name, shape, bytes, dtype } of given) {
          const found = read.get(name)!;
          expect(found.entry.shape).toEqual(shape);
          expect(found.bytes).toEqual(bytes);
          if (bytes.length > 0) expect(found.bytes.byteOffset % byteSize(dtype)).toBe(0);
        }
        expect(tensorsOf(sorted, file)).toEqual(sorted);
        expect(writeSafetensors(inFileOrder([...given].reverse()))).toEqual(file);
      }),
      { seed: 7, numRuns: 60 },
    );
  });

  it('calls dtypes as the format does', () => {
    const all = dtypes.map((dtype): NamedTensor => ({ name: dtype, dtype, shape: [0], bytes: new Uint8Array(0) }));
    const read = readSafetensors(writeSafetensors(inFileOrder(all)));
    const names: Record<DType, string> = {
      ...{ float64: 'F64', float32: 'F32', float16: 'F16', bfloat16: 'BF16', int64: 'I64', int32: 'I32' },
      ...{ int16: 'I16', int8: 'I8', uint32: 'U32', uint16: 'U16', uint8: 'U8', bool: 'BOOL' },
    };
    expect(Object.fromEntries([...read].map(([name, { entry }]) => [name, entry.dtype]))).toEqual(names);
  });

  it('refuses to read what is shorter than its tensors', () => {
    const one: NamedTensor = { name: 'w', dtype: 'float32', shape: [2], bytes: new Uint8Array(8) };
    const file = writeSafetensors([one]);
    expect(codeOf(() => tensorsOf([one], file.subarray(0, file.length - 1)))).toBe('corrupt_artefact');
    expect(codeOf(() => tensorsOf([one], new Uint8Array(3)))).toBe('corrupt_artefact');
  });
});

describe('WeightsCollector', () => {
  it('stores each tensor once, under its first name, and knows it by number', async () => {
    const [w, b, own] = [tensor([[1, 2]]), tensor([3, 4], { dtype: 'float16' }), tensor(5)];
    const collector = new WeightsCollector();
    collector.addTree('net', {
      layers: [
        { w, b },
        { w, b: null },
      ],
      size: 2,
    });
    collector.addTree('raw', new Int8Array([1, 2]));
    collector.addCaptures('f', [own, w]);
    collector.addCaptures('g', [own]);
    const { record, captures, file } = (await collector.collect())!;
    const names = record.tensors.map(({ name }) => name);
    expect(names).toEqual(['f.0', 'net.layers.0.w', 'net.layers.0.b', 'raw']);
    expect(record.trees.map(({ tensors: numbers }) => numbers)).toEqual([[2, 1, 1], [3]]);
    expect(record.trees[0].tree).toMatchObject({ keys: ['layers', 'size'] });
    expect([captures.get('f'), captures.get('g')]).toEqual([[0, 1], [0]]);
    const read = readSafetensors(Uint8Array.from(file));
    expect(read.get('net.layers.0.b')!.bytes).toEqual(Uint8Array.of(0x00, 0x42, 0x00, 0x44));
    expect(new Float32Array(read.get('f.0')!.bytes.slice().buffer)).toEqual(Float32Array.of(5));
  });

  it('gives tensors of one path names of their own', async () => {
    const collector = new WeightsCollector();
    collector.addTree('a.b', tensor(1));
    collector.addTree('a', { b: tensor(2) });
    collector.addTree('__metadata__', tensor(3));
    const { record } = (await collector.collect())!;
    expect(record.tensors.map(({ name }) => name)).toEqual(['__metadata__~2', 'a.b', 'a.b~2']);
  });

  it('collects nothing from nothing', async () => {
    expect(await new WeightsCollector().collect()).toBeUndefined();
  });
});
