/**
 * Blocks that belong together become one: the backward pass of a layer and the updates of its parameters, which fusion
 * can then compute in the kernels that make the gradients. The sites of two blocks are joined where each site of one
 * reads from one site of the other and no two read from the same.
 *
 * Updates that stand alone have no kernel of their own to be part of, but share kernels with each other: as many sites as
 * a kernel has room for become one.
 */
import { wasmTarget } from '../fuse/target.ts';
import { type Block, endsKernels, equalSites, exampleOf, inputsOf } from './block.ts';
import type { IndexedGraph } from './indexed-graph.ts';
import { orderOf } from './order.ts';

/** Joins blocks until no two can be joined. Sites without a partner are given up. */
export function joinBlocks(blocks: readonly Block[], indexed: IndexedGraph, leastSites: number): Block[] {
  const joined = [...blocks];
  for (let at = 1; at < joined.length; at++) {
    for (let before = 0; before < at; before++) {
      const block = joinTwo(joined[before], joined[at], indexed, leastSites);
      if (!block) continue;
      const others = joined.filter((_, i) => i !== before && i !== at);
      if (!orderOf([...others, block], indexed)) continue;
      joined[before] = block;
      joined.splice(at, 1);
      at = 0;
      break;
    }
  }
  return joined;
}

function joinTwo(first: Block, second: Block, indexed: IndexedGraph, leastSites: number): Block | undefined {
  const partners = partnersOf(first, second, indexed);
  // Most sites must find a partner: the rest of both would be compiled apart from the blocks.
  if (partners.length < leastSites || 2 * partners.length <= Math.max(first.sites.length, second.sites.length)) {
    return undefined;
  }
  const rows = partners.map(([site, other]) => [...first.sites[site], ...second.sites[other]]);
  const sites = equalSites(rows, indexed);
  return sites.length >= leastSites ? { sites, owned: first.owned + second.owned } : undefined;
}

/** Pairs of sites of which the second reads from the first and from no other of the same block. */
function partnersOf(first: Block, second: Block, indexed: IndexedGraph): [number, number][] {
  const siteOf = new Map(first.sites.flatMap((site, at) => site.map((op) => [op, at] as const)));
  const readers = new Map<number, number[]>();
  second.sites.forEach((site, at) => {
    const read = new Set<number>();
    for (const op of site) {
      for (const value of indexed.operands[op]) {
        const from = siteOf.get(indexed.producers[value]);
        if (from !== undefined) read.add(from);
      }
    }
    if (read.size !== 1) return;
    const [from] = read;
    readers.set(from, [...(readers.get(from) ?? []), at]);
  });
  return [...readers].flatMap(([from, to]): [number, number][] => (to.length === 1 ? [[from, to[0]]] : []));
}

/** Blocks whose sites do not depend on each other, with several sites in one where a kernel could compute them all. */
export function groupSites(blocks: readonly Block[], indexed: IndexedGraph, leastSites: number): Block[] {
  return blocks.flatMap((block) => {
    if (endsKernels(block, indexed)) return [block];
    const buffers = inputsOf(block, indexed).size + outputCount(block, indexed);
    const together = Math.floor(wasmTarget.mostBuffers / buffers);
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
