/**
 * Where free memory is: a two-level segregated fit over an address range that only grows (M. Masmano, I. Ripoll,
 * A. Crespo, J. Real, "TLSF: a new dynamic memory allocator for real-time systems", ECRTS 2004). Allocating and
 * releasing take constant time; neighbours that are free are merged at once. It works in units of 64 bytes, so that
 * every address is aligned and every number is small, and it never touches the memory itself:
 *
 *     units:   0      1          4                 12
 *              │ used │ free (3) │ used (8)        │ free …
 */

/** Bytes of a unit; the alignment of every block. */
export const unitBytes = 64;

const subdivisionBits = 4;
const subdivisions = 1 << subdivisionBits;
/** Blocks of a size's own class that are looked at before larger ones are split. */
const glances = 8;
/** Rows for sizes up to 2^26 units, which is 4 GiB. */
const rows = 26 - subdivisionBits + 2;

/** A piece of the range, used or free. */
export class Block {
  /** First unit. */
  start: number;
  units: number;
  isFree = false;
  /** Owners of a used block; kept by whoever hands it out. */
  references = 0;
  /** Bytes the owners asked for. */
  bytes = 0;
  /** Whether a compiled program holds it, rather than a tensor. */
  isProgram = false;
  /** Number of the last run that had it as an input, by which a run finds an input that it was given twice. */
  lastRun = 0;
  /** Neighbours in the order of addresses. */
  before: Block | undefined;
  after: Block | undefined;
  /** Neighbours in the list of free blocks of one size class. */
  previousFree: Block | undefined;
  nextFree: Block | undefined;

  constructor(start: number, units: number) {
    this.start = start;
    this.units = units;
  }

  /** Address of the first byte; up to 4 GiB, hence not an int32. */
  get address(): number {
    return this.start * unitBytes;
  }
}

/** The size class of a free block: the largest class whose blocks are all at most this size. */
function sizeClass(units: number): number {
  if (units < subdivisions) return units;
  const log = 31 - Math.clz32(units);
  return ((log - subdivisionBits + 1) << subdivisionBits) + ((units >> (log - subdivisionBits)) - subdivisions);
}

export class Allocator {
  /** Units handed out. */
  used = 0;
  #end = 0;
  #last: Block | undefined;
  readonly #free: (Block | undefined)[] = new Array(rows << subdivisionBits).fill(undefined);
  readonly #subdivisionMaps = new Int32Array(rows);
  #rowMap = 0;

  /** Units in the range. */
  get end(): number {
    return this.#end;
  }

  /** Units that are free at the end of the range, which growing extends. */
  get freeAtEnd(): number {
    return this.#last?.isFree ? this.#last.units : 0;
  }

  /** Adds units at the end of the range. */
  extend(units: number): void {
    if (units <= 0) return;
    const block = new Block(this.#end, units);
    block.before = this.#last;
    if (this.#last) this.#last.after = block;
    this.#last = block;
    this.#end += units;
    this.#insertMerged(block);
  }

  /** A block of at least one and exactly `units` units, `undefined` where no free block is large enough. */
  allocate(units: number): Block | undefined {
    const block = this.#findFit(units);
    if (!block) return undefined;
    this.#unlink(block);
    if (block.units > units) this.#splitAfter(block, units);
    block.isFree = false;
    this.used += units;
    return block;
  }

  /** Gives a block back. */
  release(block: Block): void {
    this.used -= block.units;
    this.#insertMerged(block);
  }

  /** All blocks in the order of addresses. */
  *blocks(): Generator<Block> {
    const reversed: Block[] = [];
    for (let block = this.#last; block; block = block.before) reversed.push(block);
    yield* reversed.reverse();
  }

  #findFit(units: number): Block | undefined {
    // Blocks of the size's own class may be too small. The latest few are looked at first, since programs ask for the
    // same sizes again and again; any block of a class above fits; all of the own class are the last resort.
    const own = sizeClass(units);
    return this.#searchClass(own, units, glances) ?? this.#firstFrom(own + 1) ?? this.#searchClass(own, units);
  }

  #searchClass(index: number, units: number, most = Number.POSITIVE_INFINITY): Block | undefined {
    let block = this.#free[index];
    for (let seen = 0; block && block.units < units; seen++) block = seen < most ? block.nextFree : undefined;
    return block;
  }

  /** The head of the first list that is not empty, from a class upwards. */
  #firstFrom(from: number): Block | undefined {
    let row = from >> subdivisionBits;
    if (row >= rows) return undefined;
    let map = this.#subdivisionMaps[row] & (-1 << (from & (subdivisions - 1)));
    if (map === 0) {
      const rowMap = this.#rowMap & (-2 << row);
      if (rowMap === 0) return undefined;
      row = 31 - Math.clz32(rowMap & -rowMap);
      map = this.#subdivisionMaps[row];
    }
    return this.#free[(row << subdivisionBits) + (31 - Math.clz32(map & -map))];
  }

  #splitAfter(block: Block, units: number): void {
    const rest = new Block(block.start + units, block.units - units);
    block.units = units;
    rest.before = block;
    rest.after = block.after;
    if (block.after) block.after.before = rest;
    else this.#last = rest;
    block.after = rest;
    this.#link(rest);
  }

  #insertMerged(block: Block): void {
    const { before, after } = block;
    if (after?.isFree) {
      this.#unlink(after);
      this.#absorbNext(block, after);
    }
    if (before?.isFree) {
      this.#unlink(before);
      this.#absorbNext(before, block);
      this.#link(before);
    } else this.#link(block);
  }

  #absorbNext(block: Block, next: Block): void {
    block.units += next.units;
    block.after = next.after;
    if (next.after) next.after.before = block;
    else this.#last = block;
  }

  #link(block: Block): void {
    const index = sizeClass(block.units);
    const head = this.#free[index];
    block.isFree = true;
    block.previousFree = undefined;
    block.nextFree = head;
    if (head) head.previousFree = block;
    this.#free[index] = block;
    const row = index >> subdivisionBits;
    this.#subdivisionMaps[row] |= 1 << (index & (subdivisions - 1));
    this.#rowMap |= 1 << row;
  }

  #unlink(block: Block): void {
    const { previousFree, nextFree } = block;
    if (nextFree) nextFree.previousFree = previousFree;
    if (previousFree) previousFree.nextFree = nextFree;
    else {
      const index = sizeClass(block.units);
      this.#free[index] = nextFree;
      if (!nextFree) {
        const row = index >> subdivisionBits;
        this.#subdivisionMaps[row] &= ~(1 << (index & (subdivisions - 1)));
        if (this.#subdivisionMaps[row] === 0) this.#rowMap &= ~(1 << row);
      }
    }
    block.previousFree = undefined;
    block.nextFree = undefined;
  }
}
