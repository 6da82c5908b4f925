/**
 * Graphs that repeat a random block: each site reads a value of the site before it, parameters of its own and shared
 * ones, and some of its values are read by what comes after.
 */

import { equalShapes } from '../../../base/dim.ts';
import { GraphBuilder } from '../../../ir/builder.ts';
import { evaluateModule } from '../../../ir/evaluate.ts';
import { Random } from '../../../ir/ops/random.ts';
import type { Graph, Literal, Module, Op, TensorType, Value } from '../../../ir/types.ts';
import { mainOf } from '../../../ir/types.ts';
import { randomModule } from '../../support/random-graph.ts';

const equalTypes = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && equalShapes(a.shape, b.shape);

export interface Repeated {
  readonly module: Module;
  readonly inputs: Literal[];
  readonly sites: number;
}

/** A block of a random module, repeated 3 to 6 times; ops of other kinds stand before, between and after the sites. */
export function repeatedModule(seed: number): Repeated {
  const random = new Random(seed, { special: false });
  const { module, inputs } = randomModule(seed, { ops: random.integer(6, 16) });
  const block = mainOf(module).graph;
  const b = new GraphBuilder();
  const sites = random.integer(3, 6);
  const given: Literal[] = [];
  const parameter = (at: number): Value => {
    given.push(inputs[at]);
    return b.parameter(block.parameters[at].type);
  };
  const carried = carriedOf(block, random);
  const shared = block.parameters.map((_, at) => (random.boolean(0.2) ? parameter(at) : undefined));
  const results: Value[] = [];
  let before: Value | undefined;
  for (let site = 0; site < sites; site++) {
    const own = new Map<Value, Value>();
    block.parameters.forEach((value, at) => {
      const handed = carried?.parameter === at ? before : undefined;
      own.set(value, handed ?? shared[at] ?? parameter(at));
    });
    for (const op of block.ops) b.append(copyOf(op, own));
    before = carried && own.get(carried.value);
    for (const value of block.results) results.push(own.get(value) ?? value);
    const extra = own.get(random.pick(block.ops).results[0]);
    if (extra && random.boolean(0.1)) results.push(extra);
    if (before && random.boolean(0.2)) results.push(b.op('concatenate', [pad(b, before), pad(b, before)], { axis: 0 }));
  }
  if (before) results.push(before);
  if (results.length === 0) results.push(b.parameter({ dtype: 'float32', shape: [] }));
  while (given.length < b.build([]).parameters.length) given.push({ dtype: 'float32', shape: [], data: [1] });
  return { module: { functions: [{ name: 'main', graph: b.build(results) }], main: 'main' }, inputs: given, sites };
}

/** A value of one axis, so that any may be concatenated. */
function pad(b: GraphBuilder, value: Value): Value {
  const count = value.type.shape.reduce<number>((product, size) => product * Number(size), 1);
  return b.op('reshape', [value], { shape: [count] });
}

/** A parameter that a value of the block could take the place of. */
function carriedOf(block: Graph, random: Random): { parameter: number; value: Value } | undefined {
  const pairs = block.parameters.flatMap(({ type }, parameter) =>
    block.ops.flatMap(({ results: [value] }) => (equalTypes(type, value.type) ? [{ parameter, value }] : [])),
  );
  return pairs.length > 0 ? random.pick(pairs) : undefined;
}

function copyOf(op: Op, own: Map<Value, Value>): Op {
  const results = op.results.map((value) => {
    const copy: Value = { ...value };
    own.set(value, copy);
    return copy;
  });
  return { ...op, operands: op.operands.map((value) => own.get(value) ?? value), results } as Op;
}

export const evaluate = ({ module, inputs }: { module: Module; inputs: readonly Literal[] }): Literal[] =>
  evaluateModule(module, inputs, { mode: 'rounded' });
