/**
 * What blocks hand to each other lies in memory, so they should hand over little. An operand that is cheap to compute
 * from what a block reads anyway, or from something smaller, is computed inside the block again: broadcasts, casts, and
 * the elementwise steps between what the forward pass of a layer stores and what its backward pass asks for.
 *
 *     backward block reads  x * 0.5 and 1 + erf(x)     becomes     reads x and erf(x)
 */

import { nothing } from '../features.ts';
import { GraphAnalysis, operandFlops } from '../fuse/analysis.ts';
import { isContraction, isFree } from '../fuse/graph-uses.ts';
import type { FusionTarget } from '../fuse/target.ts';
import { type Block, columnsOf, exampleOf, type Input, inputsOf, placeOf } from './block.ts';
import { excerptOf } from './excerpt.ts';
import { type IndexedGraph, isCheap } from './indexed-graph.ts';

/** Copies in one block, at most, and times that its inputs are gone through. */
const mostCopies = 256;
const mostRounds = 16;
/** Values smaller than the largest input by this factor cost next to nothing to keep. */
const smallShare = 16;

/** Blocks with copies of cheap ops, and the ops of blocks that are copied for what stands outside of them. */
export interface Copied {
  readonly blocks: readonly Block[];
  readonly outside: ReadonlySet<number>;
}

export function copyCheapOps(blocks: readonly Block[], indexed: IndexedGraph, target?: FusionTarget): Copied {
  const analysis = new GraphAnalysis(excerptOf(blocks, indexed), nothing, target);
  const carried = carriedValues(blocks, indexed);
  const copied = [...blocks, restOf(blocks, indexed)].map((block) =>
    new Copier(block, indexed, analysis, carried).run(),
  );
  const { sites, owned } = copied[blocks.length];
  return { blocks: copied.slice(0, -1), outside: new Set(sites[0].slice(owned)) };
}

/** Values that one site of a block hands to another, at all of its sites: they are in memory whatever is copied. */
function carriedValues(blocks: readonly Block[], indexed: IndexedGraph): ReadonlySet<number> {
  const carried = new Set<number>();
  for (const block of blocks) {
    const columns = new Int32Array(indexed.tokens.length).fill(-1);
    for (const site of block.sites) {
      site.forEach((op, column) => {
        columns[op] = column;
      });
    }
    for (const { values } of inputsOf(block, indexed).values()) {
      for (const value of values) {
        const producer = indexed.producers[value];
        const column = producer < 0 ? -1 : columns[producer];
        if (column < 0) continue;
        const result = value - indexed.firstResult[producer];
        for (const site of block.sites) carried.add(indexed.firstResult[site[column]] + result);
      }
    }
  }
  return carried;
}

/** The ops that stand alone, as one more block with a single site. */
function restOf(blocks: readonly Block[], { graph }: IndexedGraph): Block {
  const inBlocks = new Uint8Array(graph.ops.length);
  for (const { sites, owned } of blocks) {
    for (const site of sites) for (let column = 0; column < owned; column++) inBlocks[site[column]] = 1;
  }
  const alone = graph.ops.flatMap((_, op) => (inBlocks[op] ? [] : [op]));
  return { sites: [alone], owned: alone.length };
}

class Copier {
  readonly #owned: number;
  readonly #indexed: IndexedGraph;
  readonly #analysis: GraphAnalysis;
  readonly #carried: ReadonlySet<number>;
  readonly #leastBytes: number;
  readonly #sites: number[][];
  /** Columns by op, for each site. */
  readonly #columns: Map<number, number>[];
  readonly #example: number;
  readonly #inputs: Map<string, Input>;

  constructor(block: Block, indexed: IndexedGraph, analysis: GraphAnalysis, carried: ReadonlySet<number>) {
    this.#carried = carried;
    this.#owned = block.owned;
    this.#indexed = indexed;
    this.#analysis = analysis;
    this.#sites = block.sites.map((site) => [...site]);
    this.#columns = block.sites.map(columnsOf);
    this.#example = block.sites.indexOf(exampleOf(block));
    this.#inputs = inputsOf(block, indexed);
    const sizes = [...this.#inputs.values()].map(({ values }) => indexed.bytes[values[this.#example]]);
    this.#leastBytes = sizes.reduce((most, size) => Math.max(most, size), 0) / smallShare;
  }

  run(): Block {
    let copies = 0;
    for (let round = 0; round < mostRounds; round++) {
      const before = copies;
      for (const [key, input] of this.#latestFirst()) {
        const operands = copies < mostCopies ? this.#operandsToRead(input) : undefined;
        if (!operands) continue;
        this.#copy(key, input, operands);
        copies++;
      }
      if (copies === before) break;
    }
    return { sites: this.#sites, owned: this.#owned };
  }

  #latestFirst(): [string, Input][] {
    const position = ({ values }: Input): number => this.#indexed.producers[values[this.#example]];
    return [...this.#inputs].sort(([, a], [, b]) => position(b) - position(a));
  }

  /** What a copy of the op behind an input would have to read anew; `undefined` where there is to be no copy. */
  #operandsToRead({ values }: Input): Map<string, Input> | undefined {
    const { graph, producers, tokens, operands } = this.#indexed;
    const ops = values.map((value) => producers[value]);
    const example = ops[this.#example];
    if (example < 0 || !isCheap(graph.ops[example])) return undefined;
    if (ops.some((op, site) => op < 0 || tokens[op] !== tokens[example] || this.#columns[site].has(op))) {
      return undefined;
    }
    const fresh = new Map<string, Input>();
    for (let at = 0; at < operands[example].length; at++) {
      const read = ops.map((op) => operands[op][at]);
      const places = read.map((value, site) => placeOf(value, this.#columns[site], this.#indexed));
      if (places.some((place) => place !== places[0])) return undefined;
      if (places[0] >= 0 || this.#indexed.isClosed(read[0])) continue;
      const key = read.join();
      if (!this.#inputs.has(key)) fresh.set(key, { values: read });
    }
    return this.#isWorthCopying(example, fresh) ? fresh : undefined;
  }

  /** What fusion would compute in several kernels rather than store, were there no blocks. */
  #isWorthCopying(at: number, fresh: ReadonlyMap<string, Input>): boolean {
    const { graph, bytes, firstResult } = this.#indexed;
    const op = graph.ops[at];
    if (isFree(op)) return true;
    const [result] = op.results;
    const size = bytes[firstResult[at]];
    if (size < this.#leastBytes || this.#carried.has(firstResult[at]) || this.#isStoredOperand(at)) return false;
    if (!this.#analysis.producerOf(result) || this.#analysis.coneOf(result) > this.#analysis.target.cheapFlops)
      return false;
    if (!op.operands.every((operand) => this.#analysis.isReady(operand))) return false;
    let extra = 0;
    for (const { values } of fresh.values()) extra += bytes[values[this.#example]];
    return extra <= 2 * size;
  }

  /** Whether a contraction reads an op's result and would not compute it on the way. */
  #isStoredOperand(at: number): boolean {
    const { graph, users, firstResult } = this.#indexed;
    if (!users[firstResult[at]].some((user) => isContraction(graph.ops[user]))) return false;
    const [result] = graph.ops[at].results;
    const bytes = this.#analysis.bytesOf(result);
    return this.#analysis.coneOf(result) > operandFlops || this.#analysis.sourceBytesOf(result) > 1.25 * bytes;
  }

  #copy(key: string, { values }: Input, operands: ReadonlyMap<string, Input>): void {
    this.#inputs.delete(key);
    values.forEach((value, site) => {
      const op = this.#indexed.producers[value];
      this.#columns[site].set(op, this.#sites[site].push(op) - 1);
    });
    for (const [name, operand] of operands) this.#inputs.set(name, operand);
  }
}
