/**
 * Writes blocks as functions and their sites as calls. The body is that of the example, with the names and source lines
 * it has there; what only one site needs is a result of all, and what no site's outside needs is none.
 */
import type { Func, Graph, Module, Op, Value } from '../../ir/types.ts';
import { mainOf } from '../../ir/types.ts';
import { withOperands } from '../rewrite-emit.ts';
import { type Block, exampleOf, type Input, inputsOf } from './block.ts';
import type { IndexedGraph } from './indexed-graph.ts';
import type { Unit } from './order.ts';

interface Outlined {
  readonly func: Func;
  readonly inputs: readonly Input[];
  /** Column and result of each result of the function. */
  readonly outputs: readonly { readonly column: number; readonly result: number }[];
}

/**
 * The module with the sites of blocks as calls, in an order found by `orderOf`.
 * @param outside ops of blocks that are computed outside of them too
 */
export function writeCalls(
  module: Module,
  blocks: readonly Block[],
  order: readonly Unit[],
  outside: ReadonlySet<number>,
  indexed: IndexedGraph,
): Module {
  const { graph } = indexed;
  const values = valuesOf(graph);
  const taken = new Set(module.functions.map(({ name }) => name));
  const inputs = blocks.map((block) => [...inputsOf(block, indexed).values()]);
  const read = valuesReadOutside(blocks, inputs, outside, indexed);
  const outlined = blocks.map((block, at): Outlined => {
    const outputs = outputsOf(block, read, indexed);
    const name = freshName(taken);
    return { func: { name, graph: bodyOf(block, inputs[at], outputs, indexed, values) }, inputs: inputs[at], outputs };
  });
  const copies = new Map<Value, Value>();
  const ops = order.map((unit): Op => {
    if ('op' in unit) return unit.isCopy ? copyOf(graph.ops[unit.op], copies) : reading(graph.ops[unit.op], copies);
    const { func, inputs: given, outputs } = outlined[unit.block];
    const site = blocks[unit.block].sites[unit.site];
    const { location } = graph.ops[site[0]];
    return {
      opcode: 'call',
      operands: given.map((input) => values[input.values[unit.site]]),
      attributes: { function: func.name },
      regions: [],
      results: outputs.map(({ column, result }) => graph.ops[site[column]].results[result]),
      ...(location && { location }),
    };
  });
  const others = module.functions.filter(({ name }) => name !== module.main);
  const main = { ...mainOf(module), graph: { ...graph, ops } };
  return { ...module, functions: [...others, ...outlined.map(({ func }) => func), main] };
}

/** An op over copies, where its operands have been copied. */
function reading(op: Op, copies: ReadonlyMap<Value, Value>): Op {
  if (!op.operands.some((value) => copies.has(value))) return op;
  return withOperands(
    op,
    op.operands.map((value) => copies.get(value) ?? value),
  );
}

function copyOf(op: Op, copies: Map<Value, Value>): Op {
  const copy = reading(op, copies);
  const results = op.results.map((value) => ({ ...value }));
  op.results.forEach((value, at) => {
    copies.set(value, results[at]);
  });
  return { ...copy, results } as Op;
}

const valuesOf = ({ parameters, ops }: Graph): Value[] => [...parameters, ...ops.flatMap((op) => op.results)];

function freshName(taken: Set<string>): string {
  let number = 1;
  while (taken.has(`block${number}`)) number++;
  taken.add(`block${number}`);
  return `block${number}`;
}

/** Values that stand in memory between sites: read by ops that stand alone, by sites, or results. */
function valuesReadOutside(
  blocks: readonly Block[],
  inputs: readonly (readonly Input[])[],
  outside: ReadonlySet<number>,
  { graph, operands, producers, results }: IndexedGraph,
): ReadonlySet<number> {
  const read = new Set<number>(results);
  const inBlocks = new Uint8Array(graph.ops.length);
  for (const { sites, owned } of blocks)
    for (const site of sites) for (const op of site.slice(0, owned)) inBlocks[op] = 1;
  operands.forEach((values, op) => {
    if (inBlocks[op] && !outside.has(op)) return;
    for (const value of values) if (!outside.has(producers[value])) read.add(value);
  });
  for (const ofBlock of inputs) for (const { values } of ofBlock) for (const value of values) read.add(value);
  return read;
}

function outputsOf(block: Block, read: ReadonlySet<number>, indexed: IndexedGraph): Outlined['outputs'] {
  const outputs: { column: number; result: number }[] = [];
  for (let column = 0; column < block.owned; column++) {
    const count = indexed.resultsOf(block.sites[0][column]).length;
    for (let result = 0; result < count; result++) {
      const isRead = block.sites.some((site) => read.has(indexed.firstResult[site[column]] + result));
      if (isRead) outputs.push({ column, result });
    }
  }
  return outputs;
}

function bodyOf(
  block: Block,
  inputs: readonly Input[],
  outputs: Outlined['outputs'],
  indexed: IndexedGraph,
  values: readonly Value[],
): Graph {
  const { graph } = indexed;
  const example = exampleOf(block);
  const at = block.sites.indexOf(example);
  const local = new Map<Value, Value>();
  const copyOf = (value: Value): Value => {
    const copy: Value = { ...value };
    local.set(value, copy);
    return copy;
  };
  const ops = withClosedOps(example, indexed).map((op) => graph.ops[op]);
  // Two inputs may be one value at this site and different ones at others: each gets a parameter, readers the right
  // one.
  const parameters = inputs.map((input) => ({ ...values[input.values[at]] }));
  const parameterOf = parametersByEdge(block, inputs, parameters, indexed);
  const body = ops.map((op) => {
    const operands = op.operands.map((value, i) => parameterOf(op, i) ?? local.get(value) ?? copyOf(value));
    return { ...withOperands(op, operands), results: op.results.map(copyOf) } as Op;
  });
  const results = outputs.map(({ column, result }) => graph.ops[example[column]].results[result]);
  return { parameters, ops: body, results: results.map((value) => local.get(value) ?? value) };
}

/** The closed ops that a site reads, and then its own, both in the order of the graph. */
function withClosedOps(site: readonly number[], indexed: IndexedGraph): number[] {
  const ops = new Set<number>();
  const waiting = [...site];
  for (let op = waiting.pop(); op !== undefined; op = waiting.pop()) {
    for (const value of indexed.operands[op]) {
      const producer = indexed.producers[value];
      if (!indexed.isClosed(value) || ops.has(producer)) continue;
      ops.add(producer);
      waiting.push(producer);
    }
  }
  return [[...ops], [...site]].flatMap((part) => part.sort((a, b) => a - b));
}

/** For an operand of an op of the example the parameter that stands for it, if it comes from outside. */
function parametersByEdge(
  { sites }: Block,
  inputs: readonly Input[],
  parameters: readonly Value[],
  { graph, operands }: IndexedGraph,
): (op: Op, operand: number) => Value | undefined {
  const byKey = new Map(inputs.map(({ values }, at) => [values.join(), parameters[at]] as const));
  const columns = new Map(exampleOf({ sites }).map((op, column) => [graph.ops[op], column] as const));
  return (op, operand) => {
    const column = columns.get(op);
    if (column === undefined) return undefined;
    return byKey.get(sites.map((site) => operands[site[column]][operand]).join());
  };
}
