/**
 * Blocks that belong together become one: the backward pass of a layer and the updates of its parameters, which fusion
 * can then compute in the kernels that make the gradients. The sites of two blocks are joined where each site of one
 * reads from one site of the other and no two read from the same.
 *
 * Updates that stand alone have no kernel of their own to be part of, but share kernels with each other: as many sites
 * as a kernel has room for become one.
 */
import type { FusionTarget } from '../fuse/target.ts';
import { type Block, endsKernels, equalSites, exampleOf, inputsOf } from './block.ts';
import type { IndexedGraph } from './indexed-graph.ts';
import { orderOf } from './order.ts';

/** Orders that are looked for, at most: each costs time in proportion to the graph. */
const mostOrders = 32;

/** Joins blocks until no two can be joined. Sites without a partner are given up. */
export function joinBlocks(blocks: readonly Block[], indexed: IndexedGraph, leastSites: number): Block[] {
  const joined: (Block | undefined)[] = [...blocks];
  const homes = new Homes(indexed, blocks);
  let orders = mostOrders;
  for (let at = 0; at < joined.length; at++) {
    // What a block has been joined with may let it be joined with more.
    for (const before of homes.readBy(joined[at], at)) {
      const [first, second] = [joined[before], joined[at]];
      const block = first && second && joinTwo(first, second, homes.partnersOf(second, before), indexed, leastSites);
      if (!block || orders-- <= 0) continue;
      const others = joined.filter((other, i) => other !== undefined && i !== before && i !== at) as Block[];
      if (!orderOf([...others, block], indexed)) continue;
      homes.leave(first);
      homes.leave(second);
      homes.enter(block, before);
      joined[before] = block;
      joined[at] = undefined;
      at = before - 1;
      break;
    }
  }
  return joined.filter((block) => block !== undefined);
}

/** Which block, by its position in a list, and which of its sites computes an op. */
class Homes {
  readonly #indexed: IndexedGraph;
  readonly #blocks: Int32Array;
  readonly #sites: Int32Array;

  constructor(indexed: IndexedGraph, blocks: readonly Block[]) {
    this.#indexed = indexed;
    this.#blocks = new Int32Array(indexed.tokens.length).fill(-1);
    this.#sites = new Int32Array(indexed.tokens.length).fill(-1);
    blocks.forEach((block, at) => {
      this.enter(block, at);
    });
  }

  enter({ sites }: Block, at: number): void {
    sites.forEach((site, number) => {
      for (const op of site) {
        this.#blocks[op] = at;
        this.#sites[op] = number;
      }
    });
  }

  leave({ sites }: Block): void {
    for (const site of sites) for (const op of site) this.#blocks[op] = -1;
  }

  /** Other blocks that the example of a block reads from, in order. */
  readBy(block: Block | undefined, at: number): readonly number[] {
    const read = new Set<number>();
    for (const op of block ? exampleOf(block) : []) {
      for (const value of this.#indexed.operands[op]) {
        const producer = this.#indexed.producers[value];
        const home = producer < 0 ? -1 : this.#blocks[producer];
        if (home >= 0 && home !== at) read.add(home);
      }
    }
    return [...read].sort((a, b) => a - b);
  }

  /** Pairs of sites of which the second reads from the first and from no other of the same block. */
  partnersOf(second: Block, first: number): [number, number][] {
    const readers = new Map<number, number[]>();
    second.sites.forEach((site, at) => {
      const read = new Set<number>();
      for (const op of site) {
        for (const value of this.#indexed.operands[op]) {
          const producer = this.#indexed.producers[value];
          if (producer >= 0 && this.#blocks[producer] === first) read.add(this.#sites[producer]);
        }
      }
      if (read.size !== 1) return;
      const [from] = read;
      readers.set(from, [...(readers.get(from) ?? []), at]);
    });
    return [...readers].flatMap(([from, to]): [number, number][] => (to.length === 1 ? [[from, to[0]]] : []));
  }
}

function joinTwo(
  first: Block,
  second: Block,
  partners: readonly (readonly [number, number])[],
  indexed: IndexedGraph,
  leastSites: number,
): Block | undefined {
  // Most sites must find a partner: the rest of both would be compiled apart from the blocks.
  if (partners.length < leastSites || 2 * partners.length <= Math.max(first.sites.length, second.sites.length)) {
    return undefined;
  }
  const rows = partners.map(([site, other]) => [...first.sites[site], ...second.sites[other]]);
  const sites = equalSites(rows, indexed);
  return sites.length >= leastSites ? { sites, owned: first.owned + second.owned } : undefined;
}

/** Blocks whose sites do not depend on each other, with several sites in one where a kernel could compute them all. */
export function groupSites(
  blocks: readonly Block[],
  indexed: IndexedGraph,
  leastSites: number,
  { mostBuffers }: FusionTarget,
): Block[] {
  return blocks.flatMap((block) => {
    if (endsKernels(block, indexed)) return [block];
    const buffers = inputsOf(block, indexed).size + outputCount(block, indexed);
    const together = Math.floor(mostBuffers / buffers);
    if (together < 2) return [block];
    const count = Math.floor(block.sites.length / together);
    const rows = Array.from({ length: count }, (_, at) => block.sites.slice(at * together, (at + 1) * together).flat());
    const sites = count >= leastSites ? equalSites(rows, indexed) : [];
    return sites.length >= leastSites ? [{ sites, owned: block.owned * together }] : [];
  });
}

/** Values of the example that something outside of it reads. */
function outputCount(block: Block, { graph, users, firstResult, results }: IndexedGraph): number {
  const own = new Set(exampleOf(block));
  const given = new Set(results);
  let count = 0;
  for (const op of own) {
    for (let at = 0; at < graph.ops[op].results.length; at++) {
      const value = firstResult[op] + at;
      if (given.has(value) || users[value].some((user) => !own.has(user))) count++;
    }
  }
  return count;
}
