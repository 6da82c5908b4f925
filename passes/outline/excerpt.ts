/**
 * A part of a graph that is large enough to ask what fusion would do with a block: the example of each block, all ops
 * that belong to no block, and the sites that these exchange values with. What the rest of the graph makes or reads is
 * parameters and results of the excerpt.
 */
import type { Graph, Value } from '../../ir/types.ts';
import { type Block, exampleOf } from './block.ts';
import type { IndexedGraph } from './indexed-graph.ts';

export function excerptOf(blocks: readonly Block[], indexed: IndexedGraph): Graph {
  const { graph, operands, producers } = indexed;
  const siteOf = new Int32Array(graph.ops.length).fill(-1);
  const sites = blocks.flatMap((block) => block.sites.map((site) => site.slice(0, block.owned)));
  sites.forEach((site, at) => {
    for (const op of site) siteOf[op] = at;
  });
  const alone = graph.ops.flatMap((_, op) => (siteOf[op] < 0 ? [op] : []));
  const kept = sitesAround(blocks.map(exampleOf), alone, siteOf, indexed);
  const numbers: number[] = [];
  const outside = new Set<Value>();
  const results = new Set<Value>(graph.results);
  const isKept = (op: number): boolean => siteOf[op] < 0 || kept.has(siteOf[op]);
  graph.ops.forEach((op, at) => {
    const inside = isKept(at);
    if (inside) numbers.push(at);
    operands[at].forEach((value, i) => {
      const isMade = producers[value] < 0 || isKept(producers[value]);
      if (inside && !isMade) outside.add(op.operands[i]);
      if (!inside && isMade && producers[value] >= 0) results.add(op.operands[i]);
    });
  });
  const made = new Set(numbers.flatMap((at) => graph.ops[at].results));
  return {
    parameters: [...graph.parameters, ...outside],
    ops: numbers.map((at) => graph.ops[at]),
    results: [...results].filter((value) => made.has(value)),
  };
}

/** Sites of examples, those that make what these read or read what they make, and those that ops outside read from. */
function sitesAround(
  examples: readonly (readonly number[])[],
  alone: readonly number[],
  siteOf: Int32Array,
  indexed: IndexedGraph,
): ReadonlySet<number> {
  const kept = new Set<number>();
  const keepRead = (op: number): void => {
    for (const value of indexed.operands[op]) {
      if (indexed.producers[value] >= 0) kept.add(siteOf[indexed.producers[value]]);
    }
  };
  alone.forEach(keepRead);
  for (const example of examples) {
    for (const op of example) {
      kept.add(siteOf[op]);
      keepRead(op);
      for (const value of indexed.resultsOf(op)) for (const user of indexed.users[value]) kept.add(siteOf[user]);
    }
  }
  return kept;
}
