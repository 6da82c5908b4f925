/**
 * A function of an artefact. A call compares its arguments with what the function was baked for, hands buffers to the
 * device, and gives results at once, as a compiled function does:
 *
 *     step({ w, b }, x, 0.1)      // { w, b }: 0.1 is the number that it was baked with
 */
import type { DimBindings } from '../../base/dim.ts';
import { KilnError } from '../../base/error.ts';
import { here } from '../../base/here.ts';
import { DeviceArray } from '../array.ts';
import { newArray } from '../array-class.ts';
import type { FunctionRecord } from '../artefact/records.ts';
import type { ArraySpec, BufferHandle, Device, ProgramSource } from '../device.ts';
import { part } from '../parts.ts';
import type { Program } from '../program.ts';
import { evaluateSize } from '../sizes.ts';
import { bytesOfView } from '../typed-arrays.ts';
import { argumentError } from './mismatch.ts';
import { type ArrayArgument, gatherArrays, rebuildTree, specOfArray } from './trees.ts';

/** Sizes of one function whose outputs are remembered. */
const mostKnownSizes = 256;

const noSizes: DimBindings = new Map();

export class LoadedFunction {
  readonly #record: FunctionRecord;
  readonly #source: ProgramSource & { readonly donated: readonly boolean[] };
  readonly #device: Device;
  /** Arrays, so that they stay as long as the function does. */
  readonly #captures: readonly DeviceArray[];
  readonly #hasDonations: boolean;
  /** What outputs are, by the sizes that vary. */
  readonly #outputs = new Map<string, readonly ArraySpec[]>();
  #isDisposed = false;

  /** @param captures what the program reads behind the arguments */
  constructor(record: FunctionRecord, program: Program, device: Device, captures: readonly DeviceArray[]) {
    const donated = program.inputs.map((input) => input.donated);
    this.#record = record;
    this.#device = device;
    this.#captures = captures;
    this.#hasDonations = donated.includes(true);
    const prepareSync = (): Program => program;
    this.#source = { name: record.name, program, donated, prepareSync, prepare: () => Promise.resolve(program) };
  }

  call(args: readonly unknown[]): unknown {
    try {
      return this.#run(args);
    } catch (error) {
      throw error instanceof KilnError ? error.at(here()) : error;
    }
  }

  /** Later calls say that the artefact is gone. */
  dispose(): void {
    this.#isDisposed = true;
  }

  #run(args: readonly unknown[]): unknown {
    const { parameters, result } = this.#record;
    const arrays: ArrayArgument[] = [];
    // Whoever gives fewer gives undefined, which a tree may hold.
    let fits = args.length <= parameters.length;
    for (let i = 0; fits && i < parameters.length; i++) fits = gatherArrays(args[i], parameters[i].tree, arrays);
    const outputs = fits ? this.#outputsFor(arrays) : undefined;
    if (!outputs) throw argumentError(this.#record, args);
    const results = this.#launch(arrays, outputs);
    if (result.kind === 'array') return newArray(outputs[0].dtype, outputs[0].shape, results[0]);
    let at = 0;
    return rebuildTree(result, () => {
      const { dtype, shape } = outputs[at];
      return newArray(dtype, shape, results[at++]);
    });
  }

  #launch(arrays: readonly ArrayArgument[], outputs: readonly ArraySpec[]): BufferHandle[] {
    this.#assertUsable();
    const uploaded: BufferHandle[] = [];
    try {
      const handles: BufferHandle[] = [];
      for (let i = 0; i < arrays.length; i++) handles.push(this.#handleOf(arrays[i], uploaded));
      for (let i = 0; i < this.#captures.length; i++) handles.push(this.#captures[i].handle!);
      if (this.#hasDonations) part('donation').assertDonatedOnce(this.#record.name, this.#source.donated, handles);
      return this.#device.run(this.#source, handles, outputs);
    } finally {
      for (let i = 0; i < uploaded.length; i++) uploaded[i].dispose();
    }
  }

  #handleOf(array: ArrayArgument, uploaded: BufferHandle[]): BufferHandle {
    if (array instanceof DeviceArray) {
      if (array.handle) return array.handle;
      throw new KilnError('traced_value', `${this.#record.name}: a baked function is called in a traced function`, {
        given: 'a tensor without elements',
        hint: 'call it outside compile, or trace the function that it was baked from',
      });
    }
    const { dtype, shape } = specOfArray(array);
    const handle = this.#device.upload(dtype, shape, bytesOfView(array));
    uploaded.push(handle);
    return handle;
  }

  /** What the outputs are for arguments of these types; `undefined` where they are not those it was baked for. */
  #outputsFor(arrays: readonly ArrayArgument[]): readonly ArraySpec[] | undefined {
    const { inputs } = this.#record;
    let key = '';
    for (let i = 0; i < inputs.length; i++) {
      const expected = inputs[i];
      const given = specOfArray(arrays[i]);
      if (given.dtype !== expected.dtype || given.shape.length !== expected.shape.length) return undefined;
      for (let axis = 0; axis < given.shape.length; axis++) {
        const size = expected.shape[axis];
        if (typeof size === 'string') key += `${given.shape[axis]},`;
        else if (given.shape[axis] !== size) return undefined;
      }
    }
    const known = this.#outputs.get(key);
    if (known) return known;
    const sizes = this.#solve(arrays);
    if (!sizes) return undefined;
    if (this.#outputs.size >= mostKnownSizes) this.#outputs.clear();
    const outputs = this.#record.results.map(({ dtype, shape }) => {
      return { dtype, shape: Object.freeze(shape.map((size) => evaluateSize(size, sizes))) };
    });
    this.#outputs.set(key, outputs);
    return outputs;
  }

  #solve(arrays: readonly ArrayArgument[]): DimBindings | undefined {
    if (this.#record.symbols.length === 0) return noSizes;
    try {
      return part('bindSymbols')(
        this.#record,
        arrays.map((array) => specOfArray(array).shape),
      );
    } catch (error) {
      if (error instanceof KilnError) return undefined;
      throw error;
    }
  }

  #assertUsable(): void {
    const { end } = this.#device;
    if (this.#isDisposed) {
      throw new KilnError('use_after_dispose', `${this.#record.name}: its artefact was disposed`, {
        hint: 'dispose it after the last call, or load it again',
      });
    }
    if (!end) return;
    throw new KilnError(end.code, `${this.#record.name}: ${end.summary}`, { hint: 'load the artefact again' });
  }
}
