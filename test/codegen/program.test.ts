/** From what passes lower to a Program: plain data, the same bytes every time, equal kernels once. */
import binaryen from 'binaryen';
import { describe, expect, it } from 'vitest';
import { dim, mulDims } from '../../base/dim.ts';
import { generateProgram } from '../../codegen/wasm/program.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { Lowered } from '../../ir/lowered.ts';
import { plainTier } from '../../runtime/program.ts';
import { at, KernelMaker, read, write } from '../support/kernel-maker.ts';

const b = dim('B', { min: 1, max: 64 });

function doubled(name: string): Kernel {
  const size = mulDims(b, 3);
  const k = new KernelMaker(name, [read('x', size), write('y', size)]);
  k.parallel('i', size, () => {
    const x = k.load('x', at('i'));
    k.store('y', at('i'), k.apply('add', x, x));
  });
  return k.finish();
}

const type = { dtype: 'float32', shape: [b, 3] } as const;

const lowered = (name: string): Lowered => ({
  name,
  symbols: [{ name: 'B', min: 1, max: 64 }],
  inputs: [{ type, donated: false, held: false }],
  outputs: [
    { type, source: { kind: 'own' } },
    { type: { dtype: 'bool', shape: [2] }, source: { kind: 'constant', index: 1 } },
  ],
  constants: [
    { dtype: 'float32', shape: [2, 2], data: [0.5] },
    { dtype: 'bool', shape: [2], data: [0, 1] },
    { dtype: 'uint32', shape: [1], data: [2 ** 32 - 1] },
  ],
  prepared: [],
  temporaries: [{ bytes: mulDims(b, 12), first: 0, last: 1 }],
  kernels: [doubled(name)],
  launches: [
    {
      kernel: 0,
      buffers: [
        { kind: 'input', index: 0 },
        { kind: 'temporary', index: 0 },
      ],
    },
    {
      kernel: 0,
      buffers: [
        { kind: 'temporary', index: 0 },
        { kind: 'output', index: 0 },
      ],
    },
  ],
  prepareLaunches: 0,
  report: { opCount: 2, groups: [], refusals: [] },
});

const generate = (name: string, precision: 'fast' | 'strict' = 'fast') =>
  generateProgram(binaryen, lowered(name), { precision, tier: plainTier });

describe('a program', () => {
  it('is plain data that survives being written down', () => {
    const { program } = generate('twice');
    expect(structuredClone(program)).toEqual(program);
    expect(program.inputs).toEqual([{ dtype: 'float32', shape: ['B', 3], donated: false, held: false }]);
    expect(program.temporaries).toEqual([{ bytes: '12*B', first: 0, last: 1 }]);
    expect(program.steps).toHaveLength(2);
    expect(program.kernels).toHaveLength(1);
    const [kernel] = program.kernels;
    expect(kernel.buffers).toBe(2);
    expect(kernel.sizes).toEqual(['3*B']);
    expect(kernel.hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has dense little-endian constants', () => {
    const bytes = generate('twice').program.constants.map((constant) => [...constant.bytes]);
    expect(bytes[0]).toEqual([...new Uint8Array(new Float32Array([0.5, 0.5, 0.5, 0.5]).buffer)]);
    expect(bytes[1]).toEqual([0, 1]);
    expect(bytes[2]).toEqual([255, 255, 255, 255]);
  });

  it('is the same every time; names are no part of hashes, the precision is', () => {
    const [one, two, strict] = [generate('a'), generate('b'), generate('a', 'strict')].map(({ program }) => program);
    expect(generate('a').program).toEqual(one);
    expect(two.kernels[0].hash).toBe(one.kernels[0].hash);
    expect(two.kernels[0].code).toBe(one.kernels[0].code);
    expect(strict.kernels[0].hash).not.toBe(one.kernels[0].hash);
  });

  it('shows its code as text with names', () => {
    const [text] = generate('twice').texts;
    expect(text).toContain('(func $run (param $record i32) (param $begin i32) (param $end i32)');
    expect(text).toContain('f32x4.add');
  });

  it('refuses constants of dtypes it has no code for', () => {
    const wrong = { ...lowered('x'), constants: [{ dtype: 'float64', shape: [1], data: [1] } as const] };
    expect(() => generateProgram(binaryen, wrong, { precision: 'fast', tier: plainTier })).toThrow('unsupported_dtype');
  });
});
