/**
 * Programs by module: one for equal graphs, the same bytes every time, and failures that poison what depends on them.
 */
import { describe, expect, it } from 'vitest';
import { KilnError } from '../../index.ts';
import { parseModule } from '../../ir/parser.ts';
import { currentDevice } from '../../runtime/session.ts';
import { clearPrograms, programFor } from '../../tracer/program-cache.ts';
import { Tensor } from '../../tracer/tensor.ts';

const text = (name: string, dtype: string) => `func @main(%${name}: ${dtype}[3]) -> (${dtype}[3]) {
  %0: ${dtype}[3] = multiply %${name}, %${name}
  return %0
}
`;
const device = currentDevice();
const options = { name: 'square', precision: 'fast', donated: [false], device } as const;

describe('programs', () => {
  it('are shared by graphs that differ in names alone', () => {
    const first = programFor(parseModule(text('x', 'f32')), options);
    const second = programFor(parseModule(text('other', 'f32')), options);
    expect(second.source).toBe(first.source);
    expect(second.isNew).toBe(false);
    const others = [
      programFor(parseModule(text('x', 'i32')), options),
      programFor(parseModule(text('x', 'f32')), { ...options, precision: 'strict' }),
      programFor(parseModule(text('x', 'f32')), { ...options, donated: [true] }),
      programFor(parseModule(text('x', 'f32')), { ...options, name: 'other' }),
    ];
    expect(others.every(({ source, isNew }) => isNew && source !== first.source)).toBe(true);
  });

  it('are the same bytes when they are compiled again', async () => {
    const compile = () => programFor(parseModule(text('x', 'f32')), options).source;
    const first = await compile().prepare();
    clearPrograms();
    const again = compile().prepareSync();
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });

  it('compile once, however often they are asked for', async () => {
    const { source } = programFor(parseModule(text('x', 'u32')), options);
    const [a, b] = [source.prepare(), source.prepare()];
    expect(await a).toBe(await b);
    expect(source.prepareSync()).toBe(await a);
  });
});

describe('a compile that fails', () => {
  it('poisons its outputs and what is made of them with the first cause; the device goes on', async () => {
    const { source } = programFor(parseModule(text('x', 'f64')), options);
    const device = currentDevice();
    const input = device.upload('float64', [3], new Uint8Array(24));
    const [output] = device.run(source, [input], [{ dtype: 'float64', shape: [3] }]);
    const tensor = Tensor.of('float64', [3], output);
    await expect(tensor.data()).rejects.toMatchObject({ code: 'unsupported_dtype' });
    expect(String(tensor)).toMatch(/^<failed float64\[3\]: \[unsupported_dtype\]/);
    expect(() => source.prepareSync()).toThrow(KilnError);
    const { source: works } = programFor(parseModule(text('x', 'f32')), options);
    const ok = device.upload('float32', [3], new Uint8Array(new Float32Array([1, 2, 3]).buffer));
    const [square] = device.run(works, [ok], [{ dtype: 'float32', shape: [3] }]);
    expect(Tensor.of('float32', [3], square).arraySync()).toEqual([1, 4, 9]);
  });
});
