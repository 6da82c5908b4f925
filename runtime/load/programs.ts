/**
 * The programs of the target that was chosen: which blobs they are made of, and their putting together as soon as the
 * last of those has come.
 */
import { KilnError } from '../../base/error.ts';
import { type Blob, corrupt } from '../artefact/container.ts';
import { programOfRecord } from '../artefact/program-record.ts';
import type { ArtefactContent, FunctionRecord, KernelRecord, ProgramRecord } from '../artefact/records.ts';
import type { Program, TensorSpec } from '../program.ts';
import { validateProgram } from '../validate.ts';
import type { ChosenTarget } from './target.ts';

export class ProgramAssembly {
  readonly #content: ArtefactContent;
  readonly #blobs: readonly Blob[];
  readonly #kernels: ReadonlyMap<string, KernelRecord>;
  /** What has come and is still needed. */
  readonly #bytes = new Map<number, Uint8Array>();
  /** How many blobs a program waits for. */
  readonly #missing = new Map<number, number>();
  /** By blob, the programs that wait for it. */
  readonly #waiting = new Map<number, number[]>();
  readonly #programs = new Map<number, Program>();
  readonly #adapt: ChosenTarget['adapt'];
  readonly #onProgram: (program: Program) => void;

  /**
   * @param target one for which each function has a program
   * @param onProgram is given each program when it is there
   * @throws KilnError `corrupt_artefact`
   */
  constructor(
    content: ArtefactContent,
    blobs: readonly Blob[],
    { name: target, adapt }: Pick<ChosenTarget, 'name' | 'adapt'>,
    onProgram: (program: Program) => void,
  ) {
    this.#adapt = adapt;
    this.#content = content;
    this.#blobs = blobs;
    this.#kernels = new Map(content.kernels.map((kernel) => [kernel.hash, kernel]));
    this.#onProgram = onProgram;
    for (const number of new Set(content.functions.map((one) => numberOf(one, target)))) this.#await(number);
    for (const [number, blobsLeft] of this.#missing) if (blobsLeft === 0) this.#assemble(number);
  }

  /** The blobs that the programs are made of. */
  get wanted(): Iterable<number> {
    return this.#waiting.keys();
  }

  /** @throws KilnError `invalid_program`, `corrupt_artefact` */
  take(index: number, bytes: Uint8Array): void {
    const waiting = this.#waiting.get(index);
    // Of weights no program takes anything: they are not kept here.
    if (!waiting) return;
    this.#bytes.set(index, bytes);
    for (const number of waiting) {
      const blobsLeft = this.#missing.get(number)! - 1;
      this.#missing.set(number, blobsLeft);
      if (blobsLeft === 0) this.#assemble(number);
    }
  }

  #await(number: number): void {
    const blobs = this.#blobsOf(this.#content.programs[number]);
    this.#missing.set(number, blobs.size);
    for (const blob of blobs) {
      const waiting = this.#waiting.get(blob);
      if (waiting) waiting.push(number);
      else this.#waiting.set(blob, [number]);
    }
  }

  /** The program of a function, when all blobs have come. @throws KilnError `corrupt_artefact` */
  programOf(one: FunctionRecord, target: string): Program {
    const program = this.#programs.get(numberOf(one, target))!;
    assertSame(one, program, this.#content);
    return program;
  }

  #blobsOf({ kernels, constants }: ProgramRecord): Set<number> {
    return new Set([...kernels.map(({ hash }) => this.#kernel(hash).code), ...constants.map(({ bytes }) => bytes)]);
  }

  #kernel(hash: string): KernelRecord {
    const kernel = this.#kernels.get(hash);
    if (!kernel) throw corrupt(`a program without its kernel ${hash.slice(0, 64)}`);
    return kernel;
  }

  #assemble(number: number): void {
    const sources = {
      // A device knows kernels by their hash and keeps them: that of the bytes, which has been checked, is not a name
      // that another artefact, or another version of the compiler, could give to other code.
      kernel: (hash: string): KernelRecord => {
        const kernel = this.#kernel(hash);
        return { ...kernel, hash: this.#blobs[kernel.code].sha256 };
      },
      blob: (index: number): Uint8Array => this.#bytes.get(index)!,
    };
    const checked = validateProgram(programOfRecord(this.#content.programs[number], sources));
    const { symbols, temporaries, arenaBytes } = checked;
    // Nobody else plans them: what plans arenas is loaded for symbolic sizes alone.
    const isPlanned = symbols.length > 0 || temporaries.length === 0 || arenaBytes !== undefined;
    if (!isPlanned) throw corrupt('a program without places for its temporaries');
    const program = this.#adapt(checked);
    this.#programs.set(number, program);
    this.#onProgram(program);
  }
}

/** The number of a function's program for a target that it has. */
const numberOf = ({ programs }: FunctionRecord, target: string): number =>
  programs.find((choice) => choice.target === target)!.program;

/** @throws KilnError `corrupt_artefact` for a function whose program takes or gives something else than it says */
function assertSame(
  { name, inputs, captures, results, symbols }: FunctionRecord,
  program: Program,
  { weights }: ArtefactContent,
): void {
  const captured = captures.map((number) => weights!.tensors[number]);
  const isSame =
    areSame([...inputs, ...captured], program.inputs) &&
    areSame(results, program.outputs) &&
    symbols.length === program.symbols.length &&
    program.symbols.every(({ name, min, max }, i) => {
      return symbols[i].name === name && symbols[i].min === min && symbols[i].max === max;
    });
  if (!isSame) throw corrupt(`a function ${JSON.stringify(name.slice(0, 100))} that is not what its program computes`);
  // What is captured is there for every call.
  if (program.inputs.slice(inputs.length).some(({ donated }) => donated)) {
    throw new KilnError('corrupt_artefact', `${name}: a program that takes over what its function has captured`);
  }
}

/** Whether these are the types that a checked program has. Nobody has looked at them before. */
const areSame = (types: readonly TensorSpec[], own: readonly TensorSpec[]): boolean =>
  types.length === own.length &&
  own.every(({ dtype, shape }, i) => {
    const given: unknown = types[i].shape;
    return (
      types[i].dtype === dtype &&
      Array.isArray(given) &&
      given.length === shape.length &&
      shape.every((size, axis) => given[axis] === size)
    );
  });
