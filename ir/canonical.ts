/**
 * Canonical text for keys: two graphs have the same text exactly when they compute the same by the same ops. Values are
 * numbers, functions are numbers in their order; names of the user and source lines are left out. Unlike
 * `JSON.stringify` it tells -0 from 0 and NaN from infinity.
 *
 *     canonicalGraph(graph)      // 'f32[8,4]f32[4,2];dot_general 0 1{[[1],[0]] [[],[]]}f32[8,2];->2'
 */
import { attributeEntries, printAttribute, printNumber } from './attributes.ts';
import type { OpAttributes, Opcode } from './opcodes.ts';
import { formatType } from './ops/rules.ts';
import { symbolsOfGraphs } from './symbols.ts';
import type { Graph, Literal, Module, TensorType, Value } from './types.ts';

type FunctionNumbers = ReadonlyMap<string, number>;

const noFunctions: FunctionNumbers = new Map();

/** Canonical text of a module. */
export function canonicalModule(module: Module): string {
  const numbers = new Map(module.functions.map(({ name }, i) => [name, i]));
  const graphs = module.functions.map(({ graph }) => canonicalGraph(graph, numbers));
  return `${graphs.join('\n')}\nmain ${numbers.get(module.main)}`;
}

/** Canonical text of one graph. @param functions numbers for callees; absent ones go by name */
export function canonicalGraph(graph: Graph, functions: FunctionNumbers = noFunctions): string {
  const parts: string[] = [];
  new Writer(parts, functions).graph(graph);
  for (const { name, min, max } of symbolsOfGraphs([graph])) parts.push(`;${name} ${min} ${max}`);
  return parts.join('');
}

/** The part of an op's key that its attributes make; equal text exactly when they are equal. */
export function attributesKey<K extends Opcode>(
  opcode: K,
  attributes: OpAttributes[K],
  functions: FunctionNumbers = noFunctions,
): string {
  const entries = attributeEntries(opcode);
  if (entries.length === 0) return '';
  const values = attributes as Readonly<Record<string, unknown>>;
  let text = '{';
  let separator = '';
  for (const { name, kind } of entries) {
    text += separator;
    separator = ' ';
    const value = values[name];
    if (kind === 'literal') text += literalKey(value as Literal);
    else if (kind === 'function') text += String(functions.get(value as string) ?? value);
    else text += printAttribute(kind, value);
  }
  return `${text}}`;
}

/** Type and elements of an array; a splat's is as short as its one element. */
export function literalKey(array: Literal): string {
  const { data } = array;
  const texts = new Array<string>(data.length);
  for (let i = 0; i < data.length; i++) texts[i] = printNumber(data[i]);
  return `${formatType(array)}${texts.join(' ')}`;
}

class Writer {
  readonly #parts: string[];
  readonly #functions: FunctionNumbers;
  readonly #numbers = new Map<Value, number>();
  /** Types are often shared between values, so their text is made once. */
  readonly #types = new Map<TensorType, string>();

  constructor(parts: string[], functions: FunctionNumbers) {
    this.#parts = parts;
    this.#functions = functions;
  }

  graph(graph: Graph): void {
    const parts = this.#parts;
    for (const parameter of graph.parameters) this.#define(parameter);
    for (const op of graph.ops) {
      parts.push(';', op.opcode);
      for (const operand of op.operands) parts.push(' ', this.#use(operand));
      parts.push(attributesKey(op.opcode, op.attributes, this.#functions));
      for (const region of op.regions) {
        parts.push('(');
        this.graph(region);
        parts.push(')');
      }
      for (const result of op.results) this.#define(result);
    }
    parts.push(';->', graph.results.map((result) => this.#use(result)).join(' '));
  }

  #define(value: Value): void {
    this.#numbers.set(value, this.#numbers.size);
    let text = this.#types.get(value.type);
    if (text === undefined) {
      text = formatType(value.type);
      this.#types.set(value.type, text);
    }
    this.#parts.push(text);
  }

  #use(value: Value): string {
    return String(this.#numbers.get(value) ?? '?');
  }
}
