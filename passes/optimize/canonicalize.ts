/**
 * Brings graphs into canonical form by the rules of this folder. All rules stand in one list; which of them run is
 * decided by their float class and the precision, nothing else.
 */
import type { Op } from '../../ir/types.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { type RewriteRule, type RuleTable, rewriteGraph, ruleTable } from '../rewrite.ts';
import { arithmeticRules } from './arithmetic.ts';
import { contractionRules } from './contraction.ts';
import { foldScalars } from './fold-constants.ts';
import { logicRules } from './logic.ts';
import { shapeRules } from './shape.ts';
import { sliceRules } from './slice.ts';

/** Every rule, in the order in which they are tried on an op. */
export const canonicalRules: readonly RewriteRule[] = [
  foldScalars,
  ...shapeRules,
  ...sliceRules,
  ...arithmeticRules,
  ...logicRules,
  ...contractionRules,
];

const tables: Readonly<Record<'fast' | 'strict', RuleTable>> = {
  fast: ruleTable(canonicalRules, 'fast'),
  strict: ruleTable(canonicalRules, 'strict'),
};

export const canonicalize: Pass = {
  name: 'canonicalize',
  run: (module, { precision, verify, watch }) => {
    const options = watch ? { verify, watch: (by: RewriteRule, op: Op) => watch(by.name, op) } : { verify };
    return mapGraphs(module, (graph) => rewriteGraph(graph, tables[precision], options));
  },
};
