/**
 * What a program keeps from call to call: arrays that follow from the inputs that are the same at every call, mostly.
 * They are filled by the first steps of the program, at its first run and whenever one of those inputs is another
 * buffer than before; buffers never change but by donation, which ends them.
 *
 *     held inputs [w1, w2]     →  arrays filled from w1 and w2
 *     held inputs [w1, w3]     →  arrays of their own; those before stay for as long as w1 and w2 do
 *
 * Arrays go with the first buffer that they follow from, and where memory is short: then the next run fills new ones.
 */
import type { Dependant, DeviceBuffer } from './buffer.ts';
import type { Program } from './program.ts';
import type { ProgramResources } from './program-resources.ts';

/** Sets of held inputs of one program for which arrays are kept: models of one architecture that are used in turn. */
const mostSets = 4;

/** The arrays that follow from one set of held inputs. */
export class PreparedArrays<Block> implements Dependant {
  readonly blocks: readonly Block[];
  readonly sources: readonly DeviceBuffer<Block>[];
  /** Whether the steps that write them have run. */
  isFilled = false;
  isReleased = false;
  /** A run has begun that reads them. */
  #isInUse = false;
  /** A source has ended during a run. */
  #isDue = false;
  readonly #resources: ProgramResources<Block>;

  constructor(blocks: readonly Block[], sources: readonly DeviceBuffer<Block>[], resources: ProgramResources<Block>) {
    this.blocks = blocks;
    this.sources = sources;
    this.#resources = resources;
    resources.keep(this);
    for (const source of sources) source.addDependant(this);
  }

  /** Keeps them whatever happens. */
  beginUse(): void {
    this.#isInUse = true;
  }

  endUse(): void {
    this.#isInUse = false;
    if (this.#isDue) this.release();
  }

  /** Their sources have ended: they go now, or after the run that reads them. */
  sourceEnded(): void {
    this.#isDue = true;
    this.release();
  }

  /** Gives the memory back, unless a run reads it. Whether it did. */
  release(): boolean {
    if (this.#isInUse || this.isReleased) return false;
    this.isReleased = true;
    for (const block of this.blocks) this.#resources.release(block);
    this.#resources.drop(this);
    for (const source of this.sources) source.removeDependant(this);
    return true;
  }
}

export class PreparedSets<Block> {
  readonly #resources: ProgramResources<Block>;
  readonly #heldInputs: readonly number[];
  readonly #bytes: readonly number[];
  /** The one used last comes last. */
  #sets: PreparedArrays<Block>[] = [];

  /** @param bytes of each array */
  constructor({ inputs }: Program, bytes: readonly number[], resources: ProgramResources<Block>) {
    this.#resources = resources;
    this.#heldInputs = inputs.flatMap(({ held }, input) => (held ? [input] : []));
    this.#bytes = bytes;
  }

  /**
   * The arrays for the inputs of a run, in use from now on.
   * @throws KilnError `out_of_memory`; nothing is kept then
   */
  use(inputs: readonly DeviceBuffer<Block>[]): PreparedArrays<Block> {
    const last = this.#sets[this.#sets.length - 1];
    const found = last && this.#follows(last, inputs) ? last : this.#find(inputs);
    found.beginUse();
    return found;
  }

  #follows({ sources, isReleased }: PreparedArrays<Block>, inputs: readonly DeviceBuffer<Block>[]): boolean {
    const held = this.#heldInputs;
    for (let i = 0; i < held.length; i++) if (sources[i] !== inputs[held[i]]) return false;
    return !isReleased;
  }

  #find(inputs: readonly DeviceBuffer<Block>[]): PreparedArrays<Block> {
    const kept = this.#sets.filter(({ isReleased }) => !isReleased);
    const known = kept.findIndex((set) => this.#follows(set, inputs));
    const [found] = known < 0 ? [this.#make(kept, inputs)] : kept.splice(known, 1);
    this.#sets = [...kept, found];
    return found;
  }

  #make(kept: PreparedArrays<Block>[], inputs: readonly DeviceBuffer<Block>[]): PreparedArrays<Block> {
    while (kept.length >= mostSets) kept.shift()?.release();
    const blocks: Block[] = [];
    try {
      for (const bytes of this.#bytes) blocks.push(this.#resources.allocate(bytes));
    } catch (error) {
      for (const block of blocks) this.#resources.release(block);
      throw error;
    }
    const sources = this.#heldInputs.map((input) => inputs[input]);
    return new PreparedArrays(blocks, sources, this.#resources);
  }
}
