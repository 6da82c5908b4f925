/**
 * Checks that a module is well formed: values defined once and before their uses, ops with the attributes, operands
 * and result types that their definitions ask for, calls of functions that exist. It runs after every pass in tests
 * and under `KILN_VERIFY=1`. An error names the op and the rule and shows the lines around it:
 *
 *     KilnError [invalid_ir] add: add_c2 does not hold
 *       given:    f32[2] and f32[3]
 *            2 |   %0: f32[2] = tanh %x
 *       >    3 |   %1: f32[2] = add %0, %y
 */
import { equalShapes, symbolsOf } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';
import { attributeFault } from './attributes.ts';
import { inferTypes, isOpcode, operandCounts } from './ops/index.ts';
import { formatTypes } from './ops/rules.ts';
import { printLines } from './printer.ts';
import { symbolicSizesOf } from './symbols.ts';
import type { Func, Graph, Module, Op, Value } from './types.ts';

/** The rules that hold for all ops, by label. Those of single ops stand in their definitions. */
export const verifierConstraints = {
  module_c1: 'functions have distinct names',
  module_c2: 'main names a function of the module',
  module_c3: 'a symbolic size has one range throughout the module',
  graph_c1: 'every value is defined once',
  graph_c2: 'operands and results are defined before they are used',
  op_c1: 'the opcode has a definition',
  op_c2: 'attributes have the names and kinds of the definition',
  op_c3: 'the number of operands is that of the definition',
  op_c4: 'results have the types of the type rule',
  op_c5: 'regions are those of the definition (no op of this release has any)',
} as const;

type Label = keyof typeof verifierConstraints;

/** @throws KilnError `invalid_ir` for the first rule that is broken */
export function verifyModule(module: Module): void {
  const functions = new Map<string, Func>();
  for (const func of module.functions) {
    if (functions.has(func.name)) fail('module_c1', `@${func.name} twice`);
    verifyFunction(func, functions);
    functions.set(func.name, func);
  }
  if (!functions.has(module.main)) fail('module_c2', `@${module.main}`);
  verifySymbols(module);
}

function fail(label: Label, given: string): never {
  throw new KilnError('invalid_ir', `${label}: ${verifierConstraints[label]}`, { given });
}

function verifySymbols(module: Module): void {
  const ranges = new Map<string, string>();
  for (const size of symbolicSizesOf(module.functions.map(({ graph }) => graph))) {
    for (const { name, min, max } of symbolsOf(size)) {
      const range = `[${min}, ${max}]`;
      const before = ranges.get(name) ?? range;
      if (before !== range) fail('module_c3', `${name} in ${before} and in ${range}`);
      ranges.set(name, range);
    }
  }
}

/** A broken rule inside a function, before it is known how to show it. */
class Fault {
  readonly label: string;
  readonly given: string;
  readonly op: Op | undefined;
  readonly cause: KilnError | undefined;

  constructor(label: string, given: string, op?: Op, cause?: KilnError) {
    this.label = label;
    this.given = given;
    this.op = op;
    this.cause = cause;
  }
}

function verifyFunction(func: Func, functions: ReadonlyMap<string, Func>): void {
  const fault = findFault(func.graph, functions, new Set());
  if (!fault) return;
  const { label, given, op, cause } = fault;
  const rule = label in verifierConstraints ? `${label}: ${verifierConstraints[label as Label]}` : label;
  throw new KilnError('invalid_ir', `@${func.name}${op ? `, ${op.opcode}` : ''}: ${rule}`, {
    given: `${given}\n${excerpt(func, op)}`,
    ...(cause?.expected !== undefined && { expected: cause.expected }),
    ...(op?.location && { location: op.location }),
  });
}

/** Ten lines of a function around an op, or its last lines. */
function excerpt(func: Func, op: Op | undefined): string {
  const { lines, lineOf } = printLines(func.graph, { name: func.name, locations: true });
  const at = op ? (lineOf.get(op) ?? 0) : lines.length - 2;
  const first = Math.max(0, Math.min(at - 5, lines.length - 10));
  return lines
    .slice(first, first + 10)
    .map((line, i) => `${first + i === at ? '  >' : '   '} ${String(first + i + 1).padStart(4)} | ${line}`)
    .join('\n');
}

/** @param defined values that are visible; grows by those the graph defines */
function findFault(graph: Graph, functions: ReadonlyMap<string, Func>, defined: Set<Value>): Fault | undefined {
  const define = (values: readonly Value[], op?: Op): Fault | undefined => {
    for (const value of values) {
      if (defined.has(value)) return new Fault('graph_c1', `a value of type ${formatTypes([value.type])}`, op);
      defined.add(value);
    }
    return undefined;
  };
  const use = (values: readonly Value[], op?: Op): Fault | undefined => {
    const missing = values.findIndex((value) => !defined.has(value));
    return missing < 0 ? undefined : new Fault('graph_c2', `${op ? 'operand' : 'result'} ${missing}`, op);
  };
  const parameterFault = define(graph.parameters);
  if (parameterFault) return parameterFault;
  for (const op of graph.ops) {
    const fault = use(op.operands, op) ?? opFault(op, functions) ?? define(op.results, op);
    if (fault) return fault;
  }
  return use(graph.results);
}

function opFault(op: Op, functions: ReadonlyMap<string, Func>): Fault | undefined {
  const { opcode, operands, attributes, regions, results } = op;
  if (!isOpcode(opcode)) return new Fault('op_c1', String(opcode), op);
  const attributesFault = attributeFault(opcode, attributes);
  if (attributesFault) return new Fault('op_c2', attributesFault, op);
  const [least, most] = operandCounts(opcode);
  if (operands.length < least || operands.length > most) return new Fault('op_c3', `${operands.length}`, op);
  if (regions.length > 0) return new Fault('op_c5', `${regions.length} regions`, op);
  const types = operands.map((operand) => operand.type);
  try {
    const expected = inferTypes(opcode, types, attributes, { functions });
    const fits =
      results.length === expected.length &&
      results.every(({ type }, i) => type.dtype === expected[i].dtype && equalShapes(type.shape, expected[i].shape));
    if (fits) return undefined;
    const given = formatTypes(results.map((result) => result.type));
    return new Fault('op_c4', `(${given}), where the type rule gives (${formatTypes(expected)})`, op);
  } catch (error) {
    if (!(error instanceof KilnError) || error.code === 'internal') throw error;
    return new Fault(error.summary, error.given ?? '', op, error);
  }
}
