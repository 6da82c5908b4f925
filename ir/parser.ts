/**
 * Reads the text form that `ir/printer.ts` writes (see there for a sample). Names become names of values again, but for
 * numbers. The parser checks that the text makes sense as text: opcodes, attributes and their kinds, names that are
 * defined. Whether ops fit their types is the verifier's to say.
 */
import { equalShapes, type SymbolRange } from '../base/dim.ts';
import { dtypeFromShortName } from '../base/dtype.ts';
import { SourceLocation } from '../base/location.ts';
import { attributeEntries } from './attributes.ts';
import type { Opcode } from './opcodes.ts';
import type { AttributeValues } from './ops/definition.ts';
import { isOpcode } from './ops/index.ts';
import { formatTypes } from './ops/rules.ts';
import { Scanner } from './scanner.ts';
import type { Func, Graph, Module, Op, TensorType, Value } from './types.ts';

/**
 * @throws KilnError `invalid_ir` with line, column and the line's text
 */
export function parseModule(text: string): Module {
  const scanner = new Scanner(text);
  const main = scanner.acceptWord('main') ? functionName(scanner) : 'main';
  while (scanner.acceptWord('dim')) declareSymbol(scanner);
  const functions: Func[] = [];
  while (!scanner.atEnd) functions.push(new FunctionParser(scanner).function());
  if (!functions.some(({ name }) => name === main)) scanner.fail(`there is no function @${main}`);
  return { functions, main };
}

/** `dim B in [1, 4096]` after its first word. */
function declareSymbol(scanner: Scanner): void {
  const at = scanner.position;
  const name = scanner.identifier('the name of a size');
  if (name.includes('.')) scanner.fail('the name of a size has no dots', at);
  if (!scanner.acceptWord('in')) scanner.fail("expected 'in'");
  const range = scanner.list(() => scanner.integer());
  if (range.length !== 2 || range[0] < 0 || range[0] > range[1]) scanner.fail('expected a range [min, max]', at);
  if (scanner.symbols.has(name)) scanner.fail(`the size ${name} is declared twice`, at);
  const symbol: SymbolRange = { name, min: range[0], max: range[1] };
  scanner.symbols.set(name, symbol);
}

function functionName(scanner: Scanner): string {
  scanner.expect('@');
  return scanner.quoted() ?? scanner.identifier('the name of a function');
}

function parseType(scanner: Scanner): TensorType {
  const at = scanner.position;
  const dtype = dtypeFromShortName(scanner.identifier('a type such as f32[2,3]'));
  if (!dtype) return scanner.fail('unknown dtype', at);
  return { dtype, shape: scanner.list(() => scanner.dim()) };
}

type AttributeParsers = {
  readonly [K in keyof AttributeValues]: (scanner: Scanner, type: TensorType | undefined) => AttributeValues[K];
};

const integers = (scanner: Scanner): number[] => scanner.list(() => scanner.integer());

/** Exactly two items. */
function pair<T>(scanner: Scanner, item: () => T): readonly [T, T] {
  const at = scanner.position;
  const [first, second, ...rest] = scanner.list(item);
  if (second === undefined || rest.length > 0) return scanner.fail('expected two items', at);
  return [first, second];
}

const attributeParsers: AttributeParsers = {
  dtype: (scanner) => {
    const at = scanner.position;
    return dtypeFromShortName(scanner.identifier('a dtype')) ?? scanner.fail('unknown dtype', at);
  },
  dim: (scanner) => scanner.dim(),
  dims: (scanner) => scanner.list(() => scanner.dim()),
  integer: (scanner) => scanner.integer(),
  integers,
  integer_lists: (scanner) => pair(scanner, () => integers(scanner)),
  dim_pairs: (scanner) => scanner.list(() => pair(scanner, () => scanner.dim())),
  literal: (scanner, type) => parseLiteral(scanner, type),
  function: (scanner) => functionName(scanner),
  name: (scanner) => scanner.identifier('a name'),
};

/** Nested lists of the declared shape, or one element for all. */
function parseLiteral(scanner: Scanner, type: TensorType | undefined): AttributeValues['literal'] {
  if (!type) return scanner.fail('a constant has one result');
  const { dtype } = type;
  const shape = type.shape.filter((size) => typeof size === 'number');
  if (shape.length !== type.shape.length) scanner.fail('a constant has a shape of known sizes');
  if (!scanner.peek('[')) return { dtype, shape, data: [scanner.number()] };
  const data: number[] = [];
  const nested = (axis: number): void => {
    if (axis === shape.length) {
      data.push(scanner.number());
      return;
    }
    const at = scanner.position;
    const items = scanner.list(() => nested(axis + 1));
    if (items.length !== shape[axis]) scanner.fail(`expected ${shape[axis]} items`, at);
  };
  nested(0);
  return { dtype, shape, data };
}

const locationPattern = /@(?:[^\n]+?):\d+:\d+(?=\s*(?:\n|$|region ))/y;

/** A value and its name in the text. */
interface Declared {
  readonly name: string;
  readonly value: Value;
}

class FunctionParser {
  readonly #scanner: Scanner;
  readonly #values = new Map<string, Value>();

  constructor(scanner: Scanner) {
    this.#scanner = scanner;
  }

  function(): Func {
    const scanner = this.#scanner;
    if (!scanner.acceptWord('func')) scanner.fail("expected 'func'");
    const name = functionName(scanner);
    const parameters = this.#parameters();
    scanner.expect('->');
    const at = scanner.position;
    const types = this.#inParentheses(() => parseType(scanner));
    const checkpoint = scanner.acceptWord('checkpoint');
    const graph = this.#body(parameters);
    const fits =
      graph.results.length === types.length &&
      graph.results.every(({ type }, i) => type.dtype === types[i].dtype && equalShapes(type.shape, types[i].shape));
    if (!fits) {
      const given = formatTypes(graph.results.map((result) => result.type));
      scanner.fail(`@${name} returns (${given}), not (${formatTypes(types)})`, at);
    }
    return checkpoint ? { name, graph, checkpoint } : { name, graph };
  }

  #inParentheses<T>(item: () => T): T[] {
    const scanner = this.#scanner;
    const items: T[] = [];
    scanner.expect('(');
    if (scanner.accept(')')) return items;
    do items.push(item());
    while (scanner.accept(','));
    scanner.expect(')');
    return items;
  }

  #parameters(): Value[] {
    const declared: Declared[] = [];
    this.#inParentheses(() => declared.push(this.#declaration(declared)));
    return this.#define(declared);
  }

  /** `%name: type`. The name is not visible until it is defined. */
  #declaration(before: readonly Declared[]): Declared {
    const scanner = this.#scanner;
    const at = scanner.position;
    const name = scanner.valueName();
    const twice = this.#values.has(name) || before.some((other) => other.name === name);
    if (twice) scanner.fail(`%${name} is defined twice`, at);
    scanner.expect(':');
    const type = parseType(scanner);
    return { name, value: /^\d+$/.test(name) ? { type } : { type, name } };
  }

  #define(declared: readonly Declared[]): Value[] {
    for (const { name, value } of declared) this.#values.set(name, value);
    return declared.map(({ value }) => value);
  }

  #use(): Value {
    const at = this.#scanner.position;
    const name = this.#scanner.valueName();
    return this.#values.get(name) ?? this.#scanner.fail(`%${name} is not defined before`, at);
  }

  #uses(): Value[] {
    const values: Value[] = [];
    if (!this.#scanner.peek('%')) return values;
    do values.push(this.#use());
    while (this.#scanner.accept(','));
    return values;
  }

  /** `{ ops; return values }`. */
  #body(parameters: readonly Value[]): Graph {
    const scanner = this.#scanner;
    const ops: Op[] = [];
    scanner.expect('{');
    while (!scanner.acceptWord('return')) ops.push(this.#operation());
    const results = this.#uses();
    scanner.expect('}');
    return { parameters, ops, results };
  }

  #operation(): Op {
    const scanner = this.#scanner;
    const declared = scanner.peek('%') ? this.#resultList() : [];
    const at = scanner.position;
    const opcode = scanner.identifier('an operation');
    if (!isOpcode(opcode)) return scanner.fail(`unknown opcode ${opcode}`, at);
    const operands = this.#uses();
    const attributes = this.#attributes(opcode, declared[0]?.value.type);
    const location = this.#location();
    const results = this.#define(declared);
    const regions: Graph[] = [];
    while (scanner.acceptWord('region')) regions.push(this.#body(this.#parameters()));
    const parts = { opcode, operands, attributes, regions, results };
    return (location ? { ...parts, location } : parts) as Op;
  }

  /** `%a: type, %b: type =`. */
  #resultList(): Declared[] {
    const declared: Declared[] = [];
    do declared.push(this.#declaration(declared));
    while (this.#scanner.accept(','));
    this.#scanner.expect('=');
    return declared;
  }

  #attributes(opcode: Opcode, type: TensorType | undefined): object {
    const scanner = this.#scanner;
    const entries = attributeEntries(opcode);
    const attributes: Record<string, unknown> = {};
    const start = scanner.position;
    if (scanner.accept('{')) {
      do {
        const at = scanner.position;
        const name = scanner.identifier('an attribute');
        const entry = entries.find((candidate) => candidate.name === name);
        if (!entry) return scanner.fail(`${opcode} has no attribute ${name}`, at);
        if (Object.hasOwn(attributes, name)) scanner.fail(`attribute ${name} twice`, at);
        scanner.expect('=');
        const valueAt = scanner.position;
        const value = attributeParsers[entry.kind](scanner, type);
        if (entry.kind === 'name' && !entry.names.includes(value as string)) {
          scanner.fail(`expected one of ${entry.names.join(', ')}`, valueAt);
        }
        attributes[name] = value;
      } while (scanner.accept(','));
      scanner.expect('}');
    }
    const missing = entries.find(({ name }) => !Object.hasOwn(attributes, name));
    if (missing) scanner.fail(`${opcode} needs the attribute ${missing.name}`, start);
    return attributes;
  }

  #location(): SourceLocation | undefined {
    const text = this.#scanner.take(locationPattern);
    const match = text && /^@(.*):(\d+):(\d+)$/.exec(text);
    return match ? SourceLocation.of(match[1], Number(match[2]), Number(match[3])) : undefined;
  }
}
