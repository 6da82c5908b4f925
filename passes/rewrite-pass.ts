/**
 * Passes that are nothing but rewrite rules.
 *
 *     rewritePass('orderMatmulChains', [matmulChain], { opcode: 'dot_general', atLeast: 2 })
 */
import type { Opcode } from '../ir/opcodes.ts';
import type { Graph } from '../ir/types.ts';
import { mapGraphs, type Pass } from './manager.ts';
import { type RewriteRule, rewriteGraph, ruleTable } from './rewrite.ts';

/** How many ops of a kind a graph must have for a pass to look at it. */
interface Wanted {
  readonly opcode: Opcode;
  readonly atLeast: number;
}

/** Applies rules until none matches; in strict mode only those that are exact. */
export function rewritePass(name: string, rules: readonly RewriteRule[], { opcode, atLeast }: Wanted): Pass {
  const tables = { fast: ruleTable(rules, 'fast'), strict: ruleTable(rules, 'strict') };
  const isWanted = ({ ops }: Graph): boolean => {
    let count = 0;
    for (const op of ops) if (op.opcode === opcode && ++count === atLeast) return true;
    return false;
  };
  return {
    name,
    run: (module, context) => {
      const table = tables[context.precision];
      if (table.size === 0) return module;
      return mapGraphs(module, (graph) => (isWanted(graph) ? rewriteGraph(graph, table, context) : graph));
    },
  };
}
