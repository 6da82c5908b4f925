/**
 * Programs whose kernels are as they were compiled, but whose steps and buffers are not: kernels say what they touch and
 * what they write, so none of them runs where that is not there.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { BufferRef, LaunchStep, Size, WasmKernel, WasmProgram } from '../../../runtime/program.ts';
import { validateProgram } from '../../../runtime/validate.ts';
import { WasmDevice } from '../../../runtime/wasm/device.ts';
import { KernelTable } from '../../../runtime/wasm/kernels.ts';
import { WasmMemory } from '../../../runtime/wasm/memory.ts';
import { codeOf } from '../../support/errors.ts';
import {
  addition,
  assemble,
  compiledSource,
  constant,
  doubling,
  float32Input,
  input,
  kernelOf,
  output,
  ownOutput,
  programOf,
  temporary,
  upload,
  valuesOf,
} from '../support.ts';

const prepared = (index: number): BufferRef => ({ kind: 'prepared', index });
const launch = (kernel: number, ...buffers: BufferRef[]): LaunchStep => ({ kind: 'launch', kernel, buffers });

/** `4 * x + 2 * w + c`, with everything that a program can hold. */
const parts = (elements: Size) => ({
  symbols: typeof elements === 'string' ? [{ name: elements, min: 1, max: 64 }] : [],
  inputs: [float32Input([elements]), { ...float32Input([8]), held: true }, float32Input([elements], true)],
  outputs: [
    ownOutput([elements]),
    { dtype: 'float32' as const, shape: [elements], source: { kind: 'donated' as const, input: 2 } },
  ],
  constants: [{ dtype: 'float32' as const, shape: [8], bytes: new Uint8Array(32) }],
  prepared: [{ dtype: 'float32' as const, shape: [8] }],
  temporaries: [
    { bytes: 32, first: 1, last: 3, ...(elements === 8 && { offset: 0 }) },
    { bytes: 32, first: 2, last: 3, ...(elements === 8 && { offset: 64 }) },
  ],
  ...(elements === 8 && { arenaBytes: 128 }),
  kernels: [doubling(8), addition(8), doubling(elements)],
  steps: [
    launch(0, input(1), prepared(0)),
    launch(0, constant(0), temporary(0)),
    launch(1, temporary(0), prepared(0), temporary(1)),
    launch(1, temporary(0), temporary(1), temporary(1)),
    launch(2, input(0), output(0)),
    launch(2, input(2), input(2)),
  ],
  prepareSteps: 1,
});
type Parts = ReturnType<typeof parts>;

const programWith = (elements: Size, change: (whole: Parts) => Partial<WasmProgram>): WasmProgram => {
  const whole = parts(elements);
  return programOf({ ...whole, ...change(whole) });
};

const withStep = (at: number, step: LaunchStep) => (whole: Parts) => ({
  steps: whole.steps.map((old, i) => (i === at ? step : old)),
});

let device: WasmDevice;
beforeAll(() => {
  device = new WasmDevice();
});

const run = (program: WasmProgram): number[][] => {
  const inputs = program.inputs.map(({ shape: [elements] }, i) =>
    upload(device, new Array<number>(typeof elements === 'number' ? elements : 8).fill(10 ** i)),
  );
  const results = device.run(
    compiledSource(program),
    inputs,
    program.outputs.map(({ dtype }) => ({ dtype, shape: [8] })),
  );
  return results.map((result) => valuesOf(device, result));
};

describe.each<[string, Size]>([
  ['8 elements', 8],
  ['B elements', 'B'],
])('a program of %s', (_, elements) => {
  it('runs as it was compiled', () => {
    expect(run(programWith(elements, () => ({})))).toEqual([Array(8).fill(2), Array(8).fill(200)]);
  });

  it.each<[string, (whole: Parts) => Partial<WasmProgram>]>([
    [
      'a constant that is shorter',
      () => ({ constants: [{ dtype: 'float32', shape: [7], bytes: new Uint8Array(28) }] }),
    ],
    ['a prepared array that is shorter', () => ({ prepared: [{ dtype: 'float32', shape: [7] }] })],
    ['a prepared array of fewer bytes', () => ({ prepared: [{ dtype: 'int8', shape: [8] }] })],
    [
      'a temporary that is shorter',
      ({ temporaries: [first, second] }) => ({ temporaries: [first, { ...second, bytes: 31 }] }),
    ],
    [
      'an output that is shorter',
      ({ outputs: [first, ...others] }) => ({
        outputs: [{ ...first, shape: [typeof elements === 'number' ? elements - 1 : `${elements}-1`] }, ...others],
      }),
    ],
    [
      'an output of a smaller type',
      ({ outputs: [first, ...others] }) => ({ outputs: [{ ...first, dtype: 'int8' }, ...others] }),
    ],
    [
      'an input that is shorter',
      ({ inputs: [first, , third] }) => ({
        inputs: [first, { ...float32Input([7]), held: true }, third],
      }),
    ],
  ])('with %s does not run', (_, change) => {
    const program = programWith(elements, change);
    expect(codeOf(() => run(validateProgram(program) as WasmProgram))).toBe('invalid_program');
  });

  it.each<[string, (whole: Parts) => Partial<WasmProgram>]>([
    ['a step that writes a constant', withStep(1, launch(0, temporary(0), constant(0)))],
    ['a step that writes an input that its caller keeps', withStep(4, launch(2, output(0), input(0)))],
    ['a step that writes a held input', withStep(0, launch(0, prepared(0), input(1)))],
    ['a step of every run that writes what is prepared once', withStep(1, launch(0, constant(0), prepared(0)))],
    ['a step that names a temporary before its time', withStep(1, launch(0, constant(0), temporary(1)))],
    ['a step that names a temporary after its time', withStep(4, launch(0, temporary(0), output(0)))],
    ['a step that lacks a buffer', withStep(2, launch(1, temporary(0), temporary(1)))],
  ])('with %s is no program', (_, change) => {
    expect(codeOf(() => validateProgram(programWith(elements, change)))).toBe('invalid_program');
  });
});

describe('a planned arena', () => {
  const [first, second] = parts(8).temporaries;
  it.each<[string, Partial<WasmProgram>]>([
    ['is too small', { arenaBytes: 95 }],
    ['begins before the memory of the program', { arenaBytes: -4096, temporaries: [], steps: [], prepareSteps: 0 }],
    ['holds two temporaries in one place', { temporaries: [first, { ...second, offset: 31 }] }],
    ['does not tell where a temporary lies', { temporaries: [first, { bytes: 32, first: 2, last: 3 }] }],
  ])('that %s is no program', (_, change) => {
    expect(codeOf(() => validateProgram(programWith(8, () => change)))).toBe('invalid_program');
  });
});

describe('the code of a kernel', () => {
  const run = '(func (export "run") (param i32 i32 i32))';
  const acquire = (text: string): (() => unknown) => {
    const kernels = new KernelTable(new WasmMemory().memory);
    const kernel: WasmKernel = { ...kernelOf('guest', `(module ${text})`, {}), code: assemble(`(module ${text})`) };
    return () => kernels.acquire(kernel);
  };

  it('gets the memory and gives a function', () => {
    expect(acquire(`(import "kiln" "memory" (memory 0)) ${run}`)).not.toThrow();
  });

  it.each([
    [
      'that imports a table too',
      `(import "kiln" "memory" (memory 0)) (import "kiln" "table" (table 1 funcref)) ${run}`,
    ],
    ['that imports a function', `(import "kiln" "memory" (memory 0)) (import "env" "now" (func)) ${run}`],
    ['that imports another memory', `(import "kiln" "other" (memory 0)) ${run}`],
    ['with a memory of its own', `(memory 1) ${run}`],
    ['without a function', '(import "kiln" "memory" (memory 0))'],
    ['that exports a global as `run`', '(import "kiln" "memory" (memory 0)) (global (export "run") i32 (i32.const 1))'],
    ['that exports the memory too', `(import "kiln" "memory" (memory 0)) ${run} (export "memory" (memory 0))`],
  ])('%s is refused', (_, text) => {
    expect(codeOf(acquire(text))).toBe('compile_failed');
  });
});
