/**
 * The text form of the IR, which `ir/parser.ts` reads back to an equal module:
 *
 *     dim B in [1, 4096]
 *
 *     func @main(%x: f32[B,4], %w: f32[4,2]) -> (f32[B,2]) {
 *       %0: f32[B,2] = dot_general %x, %w {contract=[[1],[0]], batch=[[],[]]} @model.ts:12:14
 *       return %0
 *     }
 *
 * Values carry the user's name, made unique, or a number. The function that is entered is `@main`, unless a first line
 * `main @name` says otherwise. Regions follow their op as `region (%a: f32[]) { ... }`. Broken IR prints too, so that
 * the verifier can show it: a value from nowhere is `%?`.
 */
import { printAttributes, printFunctionName } from './attributes.ts';
import { formatType } from './ops/rules.ts';
import { symbolsOfGraphs } from './symbols.ts';
import type { Graph, Module, Op, Value } from './types.ts';

export { formatType };

export interface PrintOptions {
  /** Whether ops carry the user's source line. */
  readonly locations?: boolean;
}

/** What a function is called, and its mark. */
interface Heading {
  readonly name?: string;
  readonly checkpoint?: boolean;
}

export function printModule(module: Module, options: PrintOptions = {}): string {
  const header: string[] = [];
  if (module.main !== 'main') header.push(`main ${printFunctionName(module.main)}`);
  const symbols = symbolsOfGraphs(module.functions.map(({ graph }) => graph));
  for (const { name, min, max } of symbols) header.push(`dim ${name} in [${min}, ${max}]`);
  const parts = module.functions.map(({ name, graph, checkpoint }) =>
    printGraph(graph, { ...options, name, ...(checkpoint && { checkpoint }) }),
  );
  if (header.length > 0) parts.unshift(`${header.join('\n')}\n`);
  return parts.join('\n');
}

/** One graph as a function `@main`, without the lines that declare symbolic sizes. */
export function printGraph(graph: Graph, options: PrintOptions & Heading = {}): string {
  return `${printLines(graph, options).lines.join('\n')}\n`;
}

/** The lines of a graph, on which of them each op starts, and the names that values have there. */
export interface PrintedGraph {
  readonly lines: readonly string[];
  readonly lineOf: ReadonlyMap<Op, number>;
  readonly names: ReadonlyMap<Value, string>;
}

export function printLines(graph: Graph, options: PrintOptions & Heading = {}): PrintedGraph {
  const printer = new GraphPrinter(options.locations ?? false);
  printer.function(options, graph);
  return printer;
}

class GraphPrinter implements PrintedGraph {
  readonly lines: string[] = [];
  readonly lineOf = new Map<Op, number>();
  readonly names = new Map<Value, string>();
  readonly #taken = new Set<string>();
  /** The last suffix that made a repeated name unique. */
  readonly #suffixes = new Map<string, number>();
  readonly #locations: boolean;
  #count = 0;

  constructor(locations: boolean) {
    this.#locations = locations;
  }

  function({ name = 'main', checkpoint = false }: Heading, graph: Graph): void {
    this.#nameValues(graph);
    const results = graph.results.map((result) => formatType(result.type)).join(', ');
    const mark = checkpoint ? 'checkpoint ' : '';
    this.lines.push(`func ${printFunctionName(name)}(${this.#parameters(graph)}) -> (${results}) ${mark}{`);
    this.#body(graph, '  ');
    this.lines.push('}');
  }

  #parameters(graph: Graph): string {
    return graph.parameters.map((value) => this.#declaration(value)).join(', ');
  }

  #body(graph: Graph, indent: string): void {
    for (const op of graph.ops) {
      this.lineOf.set(op, this.lines.length);
      this.lines.push(`${indent}${this.#operation(op)}`);
      for (const region of op.regions) {
        this.#continueLine(` region (${this.#parameters(region)}) {`);
        this.#body(region, `${indent}  `);
        this.lines.push(`${indent}}`);
      }
    }
    const results = graph.results.map((value) => this.#use(value)).join(', ');
    this.lines.push(`${indent}return${results && ` ${results}`}`);
  }

  #continueLine(text: string): void {
    this.lines[this.lines.length - 1] += text;
  }

  #operation({ opcode, operands, attributes, results, location }: Op): string {
    const parts = [results.map((value) => this.#declaration(value)).join(', ')];
    if (results.length > 0) parts.push(' = ');
    parts.push(opcode);
    if (operands.length > 0) parts.push(' ', operands.map((value) => this.#use(value)).join(', '));
    const attributesText = printAttributes(opcode, attributes);
    if (attributesText) parts.push(' ', attributesText);
    const at = this.#locations ? location?.toString() : undefined;
    if (at) parts.push(' @', at);
    return parts.join('');
  }

  #declaration(value: Value): string {
    return `${this.#use(value)}: ${formatType(value.type)}`;
  }

  #use(value: Value): string {
    return `%${this.names.get(value) ?? '?'}`;
  }

  /** Names in the order of the text, so that printing what was parsed gives the same names. */
  #nameValues(graph: Graph): void {
    for (const value of graph.parameters) this.#name(value);
    for (const op of graph.ops) {
      for (const value of op.results) this.#name(value);
      for (const region of op.regions) this.#nameValues(region);
    }
  }

  #name(value: Value): void {
    if (this.names.has(value)) return;
    const wanted = sanitize(value.name ?? '');
    if (wanted === '') {
      this.names.set(value, String(this.#count++));
      return;
    }
    let name = wanted;
    let suffix = this.#suffixes.get(wanted) ?? 0;
    while (this.#taken.has(name)) name = `${wanted}_${++suffix}`;
    this.#suffixes.set(wanted, suffix);
    this.#taken.add(name);
    this.names.set(value, name);
  }
}

/** An identifier that resembles a user's name; dots may join parts, as in `layer.weight`. */
function sanitize(name: string): string {
  const clean = name.replace(/[^A-Za-z0-9_.]/g, '_');
  return /^[0-9.]/.test(clean) ? `_${clean}` : clean;
}
