/**
 * Reads the text form piece by piece. White space and `//` comments separate pieces and are skipped. Every error names
 * the line and column and shows the line:
 *
 *     KilnError [invalid_ir] line 3, column 12: unknown opcode
 *       given:      %1: f32[2] = ad %0, %0
 */
import { type Dim, parseDim, type SymbolRange } from '../base/dim.ts';
import { KilnError } from '../base/error.ts';

const space = /(?:\s|\/\/[^\n]*)*/y;
const identifier = /[A-Za-z_][A-Za-z0-9_.]*/y;
const string = /"(?:[^"\\\n]|\\.)*"/y;
const valueName = /%[A-Za-z0-9_.?]+/y;
const numeral = /-?(?:inf|nan|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|true|false/y;

export class Scanner {
  readonly #text: string;
  /** Symbolic sizes that were declared so far. */
  readonly symbols = new Map<string, SymbolRange>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skip();
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  get position(): number {
    return this.#at;
  }

  /** Throws at the current position, or at an earlier one. */
  fail(problem: string, at = this.#at): never {
    const before = this.#text.slice(0, at);
    const start = before.lastIndexOf('\n') + 1;
    const end = this.#text.indexOf('\n', at);
    const line = before.split('\n').length;
    throw new KilnError('invalid_ir', `line ${line}, column ${at - start + 1}: ${problem}`, {
      given: this.#text.slice(start, end < 0 ? undefined : end),
    });
  }

  #skip(): void {
    space.lastIndex = this.#at;
    space.test(this.#text);
    this.#at = space.lastIndex;
  }

  /** The text a pattern (with the `y` flag) matches here, or `undefined`. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match) return undefined;
    this.#at = pattern.lastIndex;
    this.#skip();
    return match[0];
  }

  peek(literal: string): boolean {
    return this.#text.startsWith(literal, this.#at);
  }

  /** Takes the given text if it stands here. */
  accept(literal: string): boolean {
    if (!this.peek(literal)) return false;
    this.#at += literal.length;
    this.#skip();
    return true;
  }

  expect(literal: string): void {
    if (!this.accept(literal)) this.fail(`expected '${literal}'`);
  }

  /** Takes a word if it stands here as a whole. */
  acceptWord(word: string): boolean {
    const start = this.#at;
    if (this.take(identifier) === word) return true;
    this.#at = start;
    return false;
  }

  identifier(what: string): string {
    return this.take(identifier) ?? this.fail(`expected ${what}`);
  }

  /** A string in double quotes if one stands here. */
  quoted(): string | undefined {
    const at = this.#at;
    const text = this.take(string);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      return this.fail('a string that is no JSON', at);
    }
  }

  /** The name of a value, without `%`. */
  valueName(): string {
    const name = this.take(valueName) ?? this.fail('expected a value such as %0');
    return name.slice(1);
  }

  number(): number {
    const at = this.#at;
    const text = this.take(numeral) ?? this.fail('expected a number');
    switch (text) {
      case 'true':
        return 1;
      case 'false':
        return 0;
      case 'nan':
        return Number.NaN;
      case 'inf':
        return Infinity;
      case '-inf':
        return -Infinity;
      default: {
        const value = Number(text);
        return Number.isNaN(value) ? this.fail('expected a number', at) : value;
      }
    }
  }

  integer(): number {
    const at = this.#at;
    const value = this.number();
    return Number.isSafeInteger(value) ? value : this.fail('expected an integer', at);
  }

  /** `[item, item, ...]`. */
  list<T>(item: () => T): T[] {
    const items: T[] = [];
    this.expect('[');
    if (this.accept(']')) return items;
    do items.push(item());
    while (this.accept(','));
    this.expect(']');
    return items;
  }

  /** A size: everything up to the next comma or closing bracket that is not inside parentheses. */
  dim(): Dim {
    const start = this.#at;
    let depth = 0;
    let end = start;
    for (; end < this.#text.length; end++) {
      const c = this.#text[end];
      if (c === '(') depth++;
      else if (c === ')') depth--;
      else if (c === '\n' || c === ']' || c === '}' || (c === ',' && depth === 0)) break;
      if (depth < 0) break;
    }
    const text = this.#text.slice(start, end).trim();
    this.#at = end;
    this.#skip();
    if (/^-?\d+$/.test(text)) return Number(text);
    try {
      return parseDim(text, this.symbols);
    } catch {
      return this.fail(`'${text}' is no size over the declared symbols`, start);
    }
  }
}
