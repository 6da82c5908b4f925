/**
 * Finds what a graph computes again and again, and makes one function of it that is called for each time: the layers of
 * a network, their backward passes, the updates of their parameters. All later passes, fusion and lowering then work on
 * each function once, so that the time to compile a network hardly grows with its depth.
 *
 *     %1 = dot_general %0, %w1; %2 = tanh %1; ...        func @block1(%x, %w) { ... }
 *     %9 = dot_general %8, %w2; %10 = tanh %9; ...       %1 = call %0, %w1 {@block1};  %2 = call %1, %w2 {@block1}
 *
 * Nothing is computed otherwise than before but for cheap ops that blocks repeat, so no bit changes.
 */
import { type Module, mainOf } from '../../ir/types.ts';
import { type FusionTarget, wasmTarget } from '../fuse/target.ts';
import type { Pass } from '../manager.ts';
import { withoutDeadOps } from '../optimize/dead-code.ts';
import { copyCheapOps } from './copy-cheap.ts';
import { findBlocks, type OutlineLimits, savedBy } from './find-blocks.ts';
import { IndexedGraph } from './indexed-graph.ts';
import { groupSites, joinBlocks } from './join-blocks.ts';
import { orderOf } from './order.ts';
import { writeCalls } from './write-calls.ts';

const usualLimits: OutlineLimits = { leastOps: 12, leastSites: 3, leastSaved: 1536, cutsChains: false };

/** @param limits what a block must be to be worth a function */
export const outlineRepeatsWith = (limits: OutlineLimits): Pass => ({
  name: 'outlineRepeats',
  run: (module, { target = wasmTarget }) => outline(module, limits, target),
});

export const outlineRepeats: Pass = outlineRepeatsWith(usualLimits);

function outline(module: Module, limits: OutlineLimits, target: FusionTarget): Module {
  const { graph } = mainOf(module);
  if (graph.ops.length < limits.leastSaved) return module;
  const indexed = new IndexedGraph(graph);
  const { leastSites, cutsChains } = limits;
  let blocks = joinBlocks(findBlocks(indexed, limits), indexed, leastSites);
  if (!cutsChains) blocks = groupSites(blocks, indexed, leastSites, target);
  // Blocks that can not be computed one after the other are given up, the smaller half first.
  while (blocks.length > 0 && !orderOf(blocks, indexed)) {
    const largest = blocks.toSorted((a, b) => savedBy(b) - savedBy(a)).slice(0, blocks.length >> 1);
    blocks = blocks.filter((block) => largest.includes(block));
  }
  if (blocks.reduce((saved, block) => saved + savedBy(block), 0) < limits.leastSaved) return module;
  if (blocks.length === 0) return module;
  const { blocks: copied, outside } = copyCheapOps(blocks, indexed, target);
  const order = orderOf(copied, indexed, outside);
  if (!order) return module;
  const written = writeCalls(module, copied, order, outside, indexed);
  const functions = written.functions.map((func) => ({ ...func, graph: withoutDeadOps(func.graph) }));
  return { ...written, functions };
}
