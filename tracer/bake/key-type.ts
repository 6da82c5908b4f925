/**
 * Static keys (`base/static-key.ts`) as literal types of TypeScript, which people read as the values, too.
 *
 *     typeOfKey('{4:mode=s4:relu}')     // '{ readonly mode: "relu" }'
 */
import { internalError } from '../../base/error.ts';

/** Numbers that are not finite have no literal: their type is `number`. */
export const typeOfKey = (key: string): string => new KeyReader(key).type();

/** The name of a field as it stands in a type. */
export const keyText = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key));

class KeyReader {
  readonly #key: string;
  #at = 0;

  constructor(key: string) {
    this.#key = key;
  }

  type(): string {
    const kind = this.#key[this.#at++];
    switch (kind) {
      case 'n': {
        const text = this.#match(/-?(?:Infinity|NaN|[\d.]+(?:e[+-]\d+)?)/y);
        return /[IN]/.test(text) ? 'number' : text;
      }
      case 'i':
        return `${this.#match(/-?\d+/y)}n`;
      case 'b':
        return this.#match(/[01]/y) === '1' ? 'true' : 'false';
      case 's':
        return JSON.stringify(this.#text(':'));
      case 'N':
        return 'null';
      case 'U':
        return 'undefined';
      case '[':
        return `readonly [${this.#members(']', () => this.type()).join(', ')}]`;
      case '{': {
        const members = this.#members('}', () => `readonly ${keyText(this.#text(':'))}: ${this.#typeAfter('=')}`);
        return members.length === 0 ? 'Record<never, never>' : `{ ${members.join('; ')} }`;
      }
      default:
        throw internalError(`'${this.#key}' is no key of a value that files can hold`);
    }
  }

  #typeAfter(sign: string): string {
    if (this.#key[this.#at++] !== sign) throw internalError(`'${this.#key}' is no key`);
    return this.type();
  }

  /** A text behind its length. */
  #text(separator: string): string {
    const length = Number(this.#match(/\d+/y));
    this.#at += separator.length;
    this.#at += length;
    return this.#key.slice(this.#at - length, this.#at);
  }

  #members(close: string, member: () => string): string[] {
    const members: string[] = [];
    while (this.#key[this.#at] !== close) {
      members.push(member());
      if (this.#key[this.#at] === ',') this.#at++;
    }
    this.#at++;
    return members;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [text] = pattern.exec(this.#key) ?? [''];
    this.#at += text.length;
    return text;
  }
}
