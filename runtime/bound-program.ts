/**
 * A program for one choice of its symbolic sizes, as far as that is the same on every device: what its inputs and
 * outputs are, whether a call fits, and which bindings of a program are kept.
 */
import type { DimBindings } from '../base/dim.ts';
import { internalError, KilnError } from '../base/error.ts';
import { type DeviceBuffer, denseBytes } from './buffer.ts';
import type { ArraySpec } from './device.ts';
import { part } from './parts.ts';
import type { BufferRef, Program, Size, TensorSpec } from './program.ts';
import { evaluateInteger, evaluateSize } from './sizes.ts';

const specBytes = ({ dtype, shape }: ArraySpec): number => denseBytes(dtype, shape);

/** Inputs and outputs of a program whose sizes are known. */
export class BoundProgram<P extends Program = Program> {
  readonly program: P;
  /** Bytes of the outputs that get fresh buffers, in order. */
  readonly ownOutputBytes: readonly number[];
  /** For each output, its place among those; -1 for one that lies in another buffer. */
  readonly ownIndex: readonly number[];
  readonly hasOnlyOwnOutputs: boolean;
  readonly #bindings: DimBindings;
  /** Sizes with symbols by their text: launches of a kernel share them. */
  readonly #values = new Map<string, number>();
  readonly #inputBytes: readonly number[];
  readonly #outputSpecs: readonly ArraySpec[];
  #checkedOutputs: readonly ArraySpec[] | undefined;

  /** @throws KilnError `invalid_size`, `invalid_program` */
  constructor(program: P, bindings: DimBindings) {
    this.program = program;
    this.#bindings = bindings;
    const concrete = ({ dtype, shape }: TensorSpec): ArraySpec => ({
      dtype,
      shape: shape.map((size) => this.evaluate(size)),
    });
    this.#inputBytes = program.inputs.map((input) => specBytes(concrete(input)));
    this.#outputSpecs = program.outputs.map(concrete);
    this.#checkAliases();
    this.#checkBuffers();
    let nextOwn = 0;
    this.ownIndex = program.outputs.map(({ source }) => (source.kind === 'own' ? nextOwn++ : -1));
    this.hasOnlyOwnOutputs = nextOwn === program.outputs.length;
    this.ownOutputBytes = this.#outputSpecs.filter((_, index) => this.ownIndex[index] >= 0).map(specBytes);
  }

  /** The number a size stands for. @throws KilnError `invalid_size`, `invalid_program` */
  evaluate(size: Size): number {
    if (typeof size === 'number') return size;
    let value = this.#values.get(size);
    if (value === undefined) {
      value = evaluateSize(size, this.#bindings);
      this.#values.set(size, value);
    }
    return value;
  }

  /**
   * The number that a kernel reads as an int32. Distances between elements may be negative: a reversed axis walks
   * backwards.
   * @throws KilnError `invalid_size`, `invalid_program`
   */
  evaluateWord(size: Size): number {
    return this.checkWord(size, evaluateInteger(size, this.#bindings, -(2 ** 31)));
  }

  /** The value of what a kernel counts in an int32. @throws KilnError `invalid_size` */
  checkWord(size: Size, value: number): number {
    if (value < 2 ** 31) return value;
    throw new KilnError('invalid_size', `${this.program.name}: a size is beyond what a kernel can count`, {
      given: `${size}${typeof size === 'string' ? ` = ${value}` : ''}`,
      expected: 'less than 2^31',
    });
  }

  /** Bytes of the elements of a buffer that steps name. */
  bufferBytes({ kind, index }: BufferRef): number {
    if (kind === 'input') return this.#inputBytes[index];
    if (kind === 'output') return specBytes(this.#outputSpecs[index]);
    if (kind === 'constant') return this.program.constants[index].bytes.length;
    if (kind === 'prepared') return specBytes(this.program.prepared[index]);
    return this.evaluate(this.program.temporaries[index].bytes);
  }

  /** @throws KilnError `invalid_argument`, `dtype_mismatch`, `shape_mismatch` */
  checkInputs(inputs: readonly DeviceBuffer<unknown>[]): void {
    const expected = this.program.inputs;
    if (inputs.length !== expected.length) {
      throw new KilnError('invalid_argument', `${this.program.name} takes ${expected.length} inputs`, {
        given: `${inputs.length}`,
      });
    }
    for (let i = 0; i < inputs.length; i++) {
      if (inputs[i].dtype !== expected[i].dtype) throw this.#inputError('dtype_mismatch', inputs[i], i);
      if (inputs[i].bytes !== this.#inputBytes[i]) throw this.#inputError('shape_mismatch', inputs[i], i);
    }
  }

  /** The caller's idea of the outputs must be the program's. */
  checkOutputs(outputs: readonly ArraySpec[]): void {
    if (outputs === this.#checkedOutputs) return;
    const own = this.#outputSpecs;
    const fits =
      outputs.length === own.length &&
      own.every(({ dtype, shape }, i) => dtype === outputs[i].dtype && `${shape}` === `${outputs[i].shape}`);
    if (!fits) {
      const text = (specs: readonly ArraySpec[]): string => specs.map((s) => `${s.dtype}[${s.shape}]`).join(', ');
      throw internalError(`${this.program.name} gives (${text(own)}), its caller expects (${text(outputs)})`);
    }
    this.#checkedOutputs = outputs;
  }

  /** Outputs that alias must be as large as what they alias; a smaller buffer would be written past its end. */
  #checkAliases(): void {
    this.program.outputs.forEach(({ source }, index) => {
      if (source.kind === 'own') return;
      const { kind, index: at } = source.kind === 'donated' ? { kind: 'input' as const, index: source.input } : source;
      if (this.bufferBytes({ kind, index: at }) === specBytes(this.#outputSpecs[index])) return;
      throw new KilnError('invalid_program', `${this.program.name}: output ${index} is not the size of its source`);
    });
  }

  /**
   * What code touches must be there: a program of a file whose steps name other buffers than those that the code was
   * made for, or whose buffers are smaller, would let it write where other tensors lie.
   */
  #checkBuffers(): void {
    const { name, kernels, steps } = this.program;
    const needed = kernels.map(({ bufferBytes }) => bufferBytes.map((bytes) => this.evaluate(bytes)));
    steps.forEach(({ kernel, buffers }, step) => {
      buffers.forEach((ref, at) => {
        const [given, least] = [this.bufferBytes(ref), needed[kernel][at]];
        if (given >= least) return;
        throw new KilnError('invalid_program', `${name}: step ${step} binds a buffer that is too small`, {
          given: `${ref.kind} ${ref.index} of ${given} bytes`,
          expected: `at least ${least} bytes, which ${kernels[kernel].name} touches`,
          hint: 'compile or bake it again with this version',
        });
      });
    });
  }

  #inputError(code: 'dtype_mismatch' | 'shape_mismatch', given: ArraySpec, index: number): KilnError {
    const { dtype, shape } = this.program.inputs[index];
    return new KilnError(code, `${this.program.name}: input ${index} does not fit the program`, {
      given: `${given.dtype}[${given.shape}]`,
      expected: `${dtype}[${shape}]`,
    });
  }
}

/** Bindings of one program to different sizes that are kept. */
const maximumBindings = 16;

/** A program's bindings by its sizes. */
export class Bindings<Binding extends { readonly bound: BoundProgram }> {
  readonly #program: Program;
  readonly #make: (sizes: DimBindings) => Binding;
  readonly #drop: (binding: Binding) => void;
  readonly #known = new Map<string, Binding>();
  /** `[input, axis]` of every size that is not a number, which together choose the binding. */
  readonly #symbolicAxes: readonly (readonly [number, number])[];

  /** @param drop gives back what a binding holds, when there are too many */
  constructor(program: Program, make: (sizes: DimBindings) => Binding, drop: (binding: Binding) => void) {
    this.#program = program;
    this.#make = make;
    this.#drop = drop;
    this.#symbolicAxes = program.inputs.flatMap(({ shape }, input) =>
      shape.flatMap((size, axis) => (typeof size === 'string' ? [[input, axis] as const] : [])),
    );
  }

  /**
   * The binding for the shapes of these inputs.
   * @throws KilnError `shape_mismatch`, `dtype_mismatch`, `invalid_program`, `invalid_size`, `out_of_memory`
   */
  for(inputs: readonly DeviceBuffer<unknown>[]): Binding {
    let key = '';
    for (const [input, axis] of this.#symbolicAxes) key += `${inputs[input]?.shape[axis]},`;
    const binding = this.#known.get(key) ?? this.#add(key, inputs);
    binding.bound.checkInputs(inputs);
    return binding;
  }

  /** The binding of a program whose sizes are all known, ahead of its first run. */
  ahead(): Binding | undefined {
    if (this.#program.symbols.length > 0) return undefined;
    return this.#known.get('') ?? this.#add('', []);
  }

  /** Keeps a binding; the one made first goes when there are too many. */
  #add(key: string, inputs: readonly DeviceBuffer<unknown>[]): Binding {
    const shapes = inputs.map((input) => input.shape);
    const sizes =
      this.#program.symbols.length > 0 ? part('bindSymbols')(this.#program, shapes) : new Map<string, number>();
    const binding = this.#make(sizes);
    if (this.#known.size >= maximumBindings) {
      const [oldestKey, oldest] = this.#known.entries().next().value!;
      this.#known.delete(oldestKey);
      this.#drop(oldest);
    }
    this.#known.set(key, binding);
    return binding;
  }
}
