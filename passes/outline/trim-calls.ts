/**
 * Calls hand over what is needed and nothing else: results that no call's caller reads are dropped, with what led to
 * them, and then parameters that the function does not read.
 *
 *     func @f(%a, %b) -> (...) { return tanh %a, sine %b }      becomes      func @f(%a) { return tanh %a }
 *     %x, %y = call %p, %q {@f};  return %x                                  %x = call %p {@f};  return %x
 */
import type { Func, Graph, Module, Op, OpOf, Value } from '../../ir/types.ts';
import type { Pass } from '../manager.ts';
import { withoutDeadOps } from '../optimize/dead-code.ts';

/** Which parameters and results of a function stay. */
interface Kept {
  readonly parameters: readonly boolean[];
  readonly results: readonly boolean[];
}

export const trimCalls: Pass = {
  name: 'trimCalls',
  run: (module) => {
    if (module.functions.length === 1) return module;
    const read = resultsRead(module);
    const kept = new Map<string, Kept>();
    let changed = false;
    // Callees come first, so each call is trimmed by what its function has become.
    const functions = module.functions.map((func): Func => {
      const graph = withTrimmedCalls(func.graph, kept);
      const trimmed = func.name === module.main ? graph : trimGraph(func.name, graph, read.get(func.name), kept);
      if (trimmed === func.graph) return func;
      changed = true;
      return { ...func, graph: trimmed };
    });
    return changed ? { ...module, functions } : module;
  },
};

const callsOf = ({ ops }: Graph): OpOf<'call'>[] => ops.filter((op): op is OpOf<'call'> => op.opcode === 'call');

/** For each function the positions of results that some caller reads. */
function resultsRead({ functions }: Module): ReadonlyMap<string, ReadonlySet<number>> {
  const read = new Map<string, Set<number>>();
  for (const { graph } of functions) {
    const calls = callsOf(graph);
    if (calls.length === 0) continue;
    const used = new Set<Value>(graph.results);
    for (const op of graph.ops) for (const operand of op.operands) used.add(operand);
    for (const { attributes, results } of calls) {
      const positions = read.get(attributes.function) ?? new Set();
      read.set(attributes.function, positions);
      results.forEach((result, at) => {
        if (used.has(result)) positions.add(at);
      });
    }
  }
  return read;
}

function trimGraph(name: string, graph: Graph, read: ReadonlySet<number> | undefined, kept: Map<string, Kept>): Graph {
  const results = graph.results.map((_, at) => read?.has(at) ?? true);
  const live = withoutDeadOps({ ...graph, results: graph.results.filter((_, at) => results[at]) });
  const used = new Set<Value>(live.results);
  for (const op of live.ops) for (const operand of op.operands) used.add(operand);
  const parameters = graph.parameters.map((parameter) => used.has(parameter));
  if (results.every(Boolean) && parameters.every(Boolean)) return graph;
  kept.set(name, { parameters, results });
  return { ...live, parameters: graph.parameters.filter((_, at) => parameters[at]) };
}

function withTrimmedCalls(graph: Graph, kept: ReadonlyMap<string, Kept>): Graph {
  if (!callsOf(graph).some(({ attributes }) => kept.has(attributes.function))) return graph;
  const ops = graph.ops.map((op): Op => {
    const stays = op.opcode === 'call' ? kept.get(op.attributes.function) : undefined;
    if (!stays) return op;
    const operands = op.operands.filter((_, at) => stays.parameters[at]);
    return { ...op, operands, results: op.results.filter((_, at) => stays.results[at]) };
  });
  return { ...graph, ops };
}
