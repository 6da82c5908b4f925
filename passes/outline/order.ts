/**
 * Whether blocks can be computed one after the other. Each site becomes one op, so no site may need what follows from
 * itself: the forward and the backward pass of a layer are never one site, since the layers after it stand between.
 */
import type { Block } from './block.ts';
import type { IndexedGraph } from './indexed-graph.ts';

/** What has a place in the order: an op that stands alone, or a site. */
export type Unit =
  | { readonly op: number; readonly isCopy: boolean }
  | { readonly block: number; readonly site: number };

/**
 * Units such that what is read comes first, otherwise as in the graph; `undefined` when there is no such order.
 * @param copies ops of blocks that are computed outside of them too, for the ops that stand alone
 */
export function orderOf(
  blocks: readonly Block[],
  indexed: IndexedGraph,
  copies: ReadonlySet<number> = new Set(),
): Unit[] | undefined {
  const units: Unit[] = [];
  const unitOf = new Int32Array(indexed.tokens.length).fill(-1);
  blocks.forEach(({ sites, owned }, block) => {
    sites.forEach((site, at) => {
      for (let column = 0; column < owned; column++) unitOf[site[column]] = units.length;
      units.push({ block, site: at });
    });
  });
  for (let op = 0; op < unitOf.length; op++) {
    if (unitOf[op] < 0) unitOf[op] = units.push({ op, isCopy: false }) - 1;
  }
  const alone = unitOf.slice();
  for (const op of copies) alone[op] = units.push({ op, isCopy: true }) - 1;

  const readBy = (unit: Unit): number[] => {
    if ('op' in unit) return unitsOf(indexed.operands[unit.op], alone, indexed);
    const site = blocks[unit.block].sites[unit.site];
    const own = new Set(site);
    const outside: number[] = [];
    for (const op of site) {
      for (const value of indexed.operands[op])
        if (!own.has(indexed.producers[value]) && !indexed.isClosed(value)) outside.push(value);
    }
    return unitsOf(outside, unitOf, indexed);
  };
  return sorted(units, unitOf, readBy);
}

function unitsOf(values: readonly number[], unitOf: Int32Array, { producers }: IndexedGraph): number[] {
  const units: number[] = [];
  for (const value of values) if (producers[value] >= 0) units.push(unitOf[producers[value]]);
  return units;
}

/** Depth first from the units in the order of their first ops. */
function sorted(units: readonly Unit[], unitOf: Int32Array, readBy: (unit: Unit) => number[]): Unit[] | undefined {
  const order: Unit[] = [];
  const states = new Uint8Array(units.length);
  const [untouched, open, done] = [0, 1, 2];
  for (const first of unitOf) {
    const waiting = [first];
    for (let unit = waiting.at(-1); unit !== undefined; unit = waiting.at(-1)) {
      if (states[unit] === untouched) {
        states[unit] = open;
        for (const other of readBy(units[unit])) {
          if (states[other] === open) return undefined;
          if (states[other] === untouched) waiting.push(other);
        }
        continue;
      }
      waiting.pop();
      if (states[unit] === open) order.push(units[unit]);
      states[unit] = done;
    }
  }
  return order;
}
