/** What only the code for WASM has: tiles, addresses beyond 2^31, and a comparison down to the bit; its functions. */
import { describe, expect, it } from 'vitest';
import { engine, kernelFunction } from '../../runtime/wasm/engine.ts';
import { wave } from '../support/kernel-check.ts';
import { makeInputs, runInterpreted } from '../support/kernel-data.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';
import { compareWithInterpreter, generate, runGenerated, ulpDistance } from '../support/kernel-run.ts';

describe('vector math', () => {
  it('is within 4 ULP in every lane, last ones too', () => {
    const opcodes = ['exponential', 'log', 'tanh', 'erf', 'sine', 'cosine', 'rsqrt', 'log_plus_one'] as const;
    for (const opcode of opcodes) {
      for (const length of [1, 6, 67, 130]) {
        const k = new KernelMaker(opcode, [read('x', length), write('y', length)]);
        k.parallel('i', length, () => k.store('y', at('i'), k.apply(opcode, k.load('x', at('i')))));
        const kernel = k.finish();
        const inputs = makeInputs(kernel, {}, (_, i) => ((i * 37) % 11) / 3 + 0.01);
        const actual = runGenerated(kernel, generate(kernel), inputs).buffers[1];
        const expected = runInterpreted(kernel, inputs)[1];
        const worst = Math.max(...[...expected].map((value, i) => ulpDistance(value, actual[i])));
        expect(worst, `${opcode} of ${length}`).toBeLessThanOrEqual(4);
      }
    }
  });
});

describe('tiles', () => {
  it('has tiles that are neither tiny nor long', () => {
    const k = new KernelMaker('long', [read('x', 4_000_000), write('y', 4_000_000)]);
    k.parallel('i', 4_000_000, () => k.store('y', at('i'), k.apply('negate', k.load('x', at('i')))));
    const { tiles } = generate(k.finish()).phases[0];
    expect(tiles).toBeGreaterThan(30);
    expect(tiles).toBeLessThan(1000);
  });

  it('does nothing for an empty range', () => {
    const k = new KernelMaker('one', [read('x', 5), write('y', 5)]);
    k.parallel('i', 5, () => k.store('y', at('i'), k.load('x', at('i'))));
    const kernel = k.finish();
    const inputs = makeInputs(kernel, {}, wave);
    const { buffers } = runGenerated(kernel, { ...generate(kernel), phases: [] }, inputs);
    expect([...buffers[1]]).toEqual([...inputs[1]]);
  });
});

describe('arrays beyond 2^31 elements', () => {
  const fill = (body: (k: KernelMaker) => void): ReturnType<KernelMaker['finish']> => {
    const k = new KernelMaker('fill', [write('y', 2_500_000_000, 'bool')]);
    body(k);
    return k.finish();
  };

  it('are refused when one axis is that long', () => {
    const flat = fill((k) =>
      k.parallel('i', 2_500_000_000, () => k.store('y', at('i'), k.compare('LT', k.constant(0), k.constant(1)))),
    );
    expect(() => generate(flat)).toThrow(/invalid_size[\s\S]*longer than a kernel can count[\s\S]*2500000000/);
  });

  it('are written to their last element when no axis is', () => {
    const square = fill((k) =>
      k.parallel('i', 50_000, () =>
        k.parallel('j', 50_000, () =>
          k.store('y', at([50_000, 'i'], 'j'), k.compare('LT', k.constant(0), k.constant(1))),
        ),
      ),
    );
    const { code, sizes, phases } = generate(square);
    const [{ tiles }] = phases;
    expect(sizes).toEqual([]);
    const { Memory, Module } = engine();
    // Pages that nothing touches cost nothing.
    const pages = Math.ceil((1024 + 2_500_000_000 + 16) / 65536);
    const memory = new Memory({ initial: pages, maximum: pages });
    new Uint32Array(memory.buffer, 0, 2).set([1024, 512]);
    const run = kernelFunction(new Module(code), memory);
    run(0, Number(tiles) - 1, Number(tiles));
    const end = 1024 + 2_500_000_000;
    expect([...new Uint8Array(memory.buffer, end - 4, 6)]).toEqual([1, 1, 1, 1, 0, 0]);
  });
});

describe('the comparison itself', () => {
  const sum = (order: 'lanes' | 'blocks', length: number, size = length): ReturnType<KernelMaker['finish']> => {
    const k = new KernelMaker('control', [read('x', size), write('y', 1)]);
    const [s] = k.reduce([{ name: 'i', extent: length }], ['sum'], () => [k.load('x', at('i'))], { order });
    k.store('y', at(0), s);
    return k.finish();
  };

  it('sees another order of additions', () => {
    const kernel = sum('lanes', 100);
    const inputs = makeInputs(kernel, {}, wave);
    expect(compareWithInterpreter(kernel, inputs, {}, generate(sum('blocks', 100)))).toMatch(/element 0/);
  });

  it('sees a read too far and a write outside', () => {
    const kernel = sum('lanes', 100);
    const inputs = makeInputs(kernel, {}, wave);
    expect(() => compareWithInterpreter(kernel, inputs, {}, generate(sum('lanes', 109, 109)))).toThrow('out of bounds');
    const copy = (length: number): ReturnType<KernelMaker['finish']> => {
      const k = new KernelMaker('copy', [read('x', length), write('y', length)]);
      k.parallel('i', length, () => k.store('y', at('i'), k.apply('negate', k.load('x', at('i')))));
      return k.finish();
    };
    const ten = copy(10);
    expect(() => compareWithInterpreter(ten, makeInputs(ten, {}, wave), {}, generate(copy(11)))).toThrow(
      'outside its buffers',
    );
  });
});
