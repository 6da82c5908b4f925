/**
 * Brings graphs into canonical form by the rules of this folder. All rules stand in one list; which of them run is
 * decided by their float class and the precision, nothing else.
 */
import { nothing, type Without } from '../features.ts';
import { mapGraphs, type Pass } from '../manager.ts';
import { type RewriteRule, type RuleTable, rewriteGraph, ruleTable } from '../rewrite.ts';
import { arithmeticRules } from './arithmetic.ts';
import { choiceRules } from './choice.ts';
import { contractionRules } from './contraction.ts';
import { emptyRules } from './empty.ts';
import { foldScalars } from './fold-constants.ts';
import { gatherRules } from './gather.ts';
import { logicRules } from './logic.ts';
import { paddingRules } from './padding.ts';
import { reductionRules } from './reduction.ts';
import { shapeRules } from './shape.ts';
import { sinkingRules } from './sinking.ts';
import { sliceRules } from './slice.ts';
import { strengthRules } from './strength.ts';
import { windowRules } from './window.ts';

/** The rules by what they are about, in the order in which they are tried on an op. */
export const ruleFamilies: Readonly<Record<string, readonly RewriteRule[]>> = {
  constants: [foldScalars],
  empty: emptyRules,
  shape: shapeRules,
  slice: sliceRules,
  padding: paddingRules,
  arithmetic: arithmeticRules,
  strength: strengthRules,
  logic: logicRules,
  choice: choiceRules,
  contraction: contractionRules,
  reduction: reductionRules,
  window: windowRules,
  gather: gatherRules,
  sinking: sinkingRules,
};

/** Every rule. */
export const canonicalRules: readonly RewriteRule[] = Object.values(ruleFamilies).flat();

const tables: Readonly<Record<'fast' | 'strict', RuleTable>> = {
  fast: ruleTable(canonicalRules, 'fast'),
  strict: ruleTable(canonicalRules, 'strict'),
};

function rulesFor(precision: 'fast' | 'strict', without: Without): RuleTable {
  if (without.size === 0) return tables[precision];
  const kept = Object.entries(ruleFamilies).filter(([family]) => !without.has(`canonicalize/${family}`));
  return ruleTable(
    kept.flatMap(([, rules]) => rules),
    precision,
  );
}

export const canonicalize: Pass = {
  name: 'canonicalize',
  run: (module, context) => {
    const rules = rulesFor(context.precision, context.without ?? nothing);
    return mapGraphs(module, (graph) => rewriteGraph(graph, rules, context));
  },
};
