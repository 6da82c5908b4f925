/**
 * Programs made by hand for the tests of the runtime: tiny kernels in WASM text, which keep to the convention of
 * `runtime/program.ts`, and sources that are compiled at once, later, or never.
 */

import { createHash } from 'node:crypto';
import binaryen from 'binaryen';
import type { DType } from '../../base/dtype.ts';
import type { BufferHandle, Device, ProgramSource } from '../../runtime/device.ts';
import '../../runtime/complete.ts';
import { decodeElements, encodeElements } from '../../runtime/elements.ts';
import {
  type KernelPhase,
  type Program,
  type ProgramInput,
  type ProgramOutput,
  plainTier,
  programVersion,
  type Size,
  type WasmKernel,
  type WasmProgram,
  type WasmTier,
} from '../../runtime/program.ts';

/** Elements of one outer tile of the kernels here. */
export const tileElements = 1024;

const compiled = new Map<string, Uint8Array>();

/** The bytes of a module in text form. */
export function assemble(text: string): Uint8Array {
  let code = compiled.get(text);
  if (!code) {
    const module = binaryen.parseText(text);
    module.setFeatures(binaryen.Features.All);
    code = module.emitBinary();
    module.dispose();
    compiled.set(text, code);
  }
  return code;
}

/** Bytes of so many float32. */
export const float32Bytes = (elements: Size): Size => (typeof elements === 'number' ? 4 * elements : `4*(${elements})`);

/** Of a kernel that writes its last buffer. */
const accessTo = (buffers: number): readonly ('read' | 'read_write')[] =>
  Array.from({ length: buffers }, (_, at) => (at === buffers - 1 ? 'read_write' : 'read'));

const ceilTiles = (elements: Size): Size =>
  typeof elements === 'number'
    ? Math.ceil(elements / tileElements)
    : `floordiv(${elements}+${tileElements - 1},${tileElements})`;

/** The memory that a kernel imports, in WASM text. */
type MemoryText = '(memory 0)' | '(memory 0 65536 shared)';
export const unshared = '(memory 0)';
export const shared = '(memory 0 65536 shared)';

/** What programs for devices with several threads are made for. */
export const sharedTier: WasmTier = { ...plainTier, threads: true };

const onePhase = (tiles: Size): KernelPhase[] => [{ tiles, group: 1 }];

export function kernelOf(name: string, text: string, fields: Partial<WasmKernel>): WasmKernel {
  const code = assemble(text);
  const hash = createHash('sha256').update(code).digest('hex');
  return {
    name,
    hash,
    code,
    buffers: 0,
    bufferBytes: Array<Size>(fields.buffers ?? 0).fill(0),
    access: accessTo(fields.buffers ?? 0),
    sizes: [],
    phases: onePhase(1),
    scratchBytes: 0,
    sharedBytes: 0,
    flops: 0,
    ...fields,
  };
}

/**
 * A kernel over float32 that computes one element of the last buffer from those of the others, `$x0`, `$x1`, …
 * @param body an expression in WASM text, such as `(f32.add (local.get $x0) (local.get $x1))`
 */
export function elementwise(
  name: string,
  inputs: number,
  elements: Size,
  body: string,
  memory: MemoryText = unshared,
): WasmKernel {
  const word = (index: number): string => `(i32.load offset=${index * 4} (local.get $record))`;
  const element = (index: number): string => `(i32.add ${word(index)} (i32.shl (local.get $i) (i32.const 2)))`;
  const text = `(module (import "kiln" "memory" ${memory})
    (func (export "run") (param $record i32) (param $begin i32) (param $end i32)
      (local $i i32) (local $last i32)
      ${Array.from({ length: inputs }, (_, i) => `(local $x${i} f32)`).join(' ')}
      (local.set $i (i32.mul (local.get $begin) (i32.const ${tileElements})))
      (local.set $last (i32.mul (local.get $end) (i32.const ${tileElements})))
      (if (i32.gt_u (local.get $last) ${word(inputs + 1)}) (then (local.set $last ${word(inputs + 1)})))
      (block $done (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $last)))
        ${Array.from({ length: inputs }, (_, i) => `(local.set $x${i} (f32.load ${element(i)}))`).join('\n')}
        (f32.store ${element(inputs)} ${body})
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))))`;
  return kernelOf(name, text, {
    buffers: inputs + 1,
    bufferBytes: Array<Size>(inputs + 1).fill(float32Bytes(elements)),
    access: accessTo(inputs + 1),
    sizes: [elements],
    phases: onePhase(ceilTiles(elements)),
    flops: elements,
  });
}

export const addition = (elements: Size, memory: MemoryText = unshared): WasmKernel =>
  elementwise('add', 2, elements, '(f32.add (local.get $x0) (local.get $x1))', memory);

export const doubling = (elements: Size): WasmKernel =>
  elementwise('double', 1, elements, '(f32.mul (local.get $x0) (f32.const 2))');

/** Fails as soon as it is called. */
export const trap = (elements: Size): WasmKernel =>
  elementwise('trap', 1, elements, '(block (result f32) (unreachable))');

export const float32Input = (shape: readonly Size[], donated = false): ProgramInput => ({
  dtype: 'float32',
  shape,
  donated,
  held: false,
});
export const ownOutput = (shape: readonly Size[]): ProgramOutput => ({
  dtype: 'float32',
  shape,
  source: { kind: 'own' },
});

export function programOf(fields: Partial<WasmProgram>): WasmProgram {
  return {
    version: programVersion,
    name: 'test',
    tier: plainTier,
    symbols: [],
    inputs: [],
    outputs: [],
    constants: [],
    prepared: [],
    temporaries: [],
    arenaBytes: fields.temporaries ? undefined : 0,
    kernels: [],
    steps: [],
    prepareSteps: 0,
    ...fields,
  } as WasmProgram;
}

/** `x + y` of float32 vectors. */
export const additionProgram = (elements: Size, fields: Partial<WasmProgram> = {}): WasmProgram =>
  programOf({
    name: 'add',
    inputs: [float32Input([elements]), float32Input([elements])],
    outputs: [ownOutput([elements])],
    kernels: [addition(elements)],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), input(1), output(0)] }],
    ...fields,
  });

/** `2 * x`, in the memory of its donated input. */
export const doublingInPlace = (elements: number): WasmProgram =>
  programOf({
    name: 'double',
    inputs: [float32Input([elements], true)],
    outputs: [{ dtype: 'float32', shape: [elements], source: { kind: 'donated', input: 0 } }],
    kernels: [doubling(elements)],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), input(0)] }],
  });

/** A program whose only kernel traps. */
export const trappingProgram = (elements: number, donated = false): WasmProgram =>
  programOf({
    name: 'broken',
    inputs: [float32Input([elements], donated)],
    outputs: [ownOutput([elements])],
    kernels: [trap(elements)],
    steps: [{ kind: 'launch', kernel: 0, buffers: [input(0), output(0)] }],
  });

export const input = (index: number) => ({ kind: 'input', index }) as const;
export const output = (index: number) => ({ kind: 'output', index }) as const;
export const temporary = (index: number) => ({ kind: 'temporary', index }) as const;
export const constant = (index: number) => ({ kind: 'constant', index }) as const;

/** A source that is compiled. */
export const compiledSource = (program: Program): ProgramSource => ({
  name: program.name,
  program,
  prepare: () => Promise.resolve(program),
  prepareSync: () => program,
});

/** A source that waits until the test says how its compile ended. */
export class PendingSource<P extends Program = WasmProgram> implements ProgramSource {
  readonly name: string;
  readonly donated: readonly boolean[];
  program: P | undefined;
  preparations = 0;
  /** What a synchronous compile gives, or throws. */
  now: () => P;
  readonly #promise: Promise<P>;
  #resolve!: (program: P) => void;
  #reject!: (error: unknown) => void;

  constructor(program: P, now: () => P = () => program) {
    this.name = program.name;
    this.donated = program.inputs.map((each) => each.donated);
    this.now = now;
    this.#promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  prepare(): Promise<P> {
    this.preparations += 1;
    return this.#promise;
  }

  prepareSync(): P {
    this.program = this.now();
    return this.program;
  }

  complete(program: P = this.now()): void {
    this.program = program;
    this.#resolve(program);
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

export function upload(device: Device, values: readonly number[], dtype: DType = 'float32'): BufferHandle {
  return device.upload(dtype, [values.length], encodeElements(dtype, values));
}

export const vector = (elements: number) => [{ dtype: 'float32', shape: [elements] } as const];

export function valuesOf(device: Device, handle: BufferHandle): number[] {
  return Array.from(decodeElements('float32', device.readSync(handle)));
}
