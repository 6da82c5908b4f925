/**
 * The value of a static key (`base/static-key.ts`), where it says all about the value: what is known by identity has
 * none.
 *
 *     staticValue('{4:mode=s4:relu}')     // { mode: 'relu' }
 */
import { KilnError } from '../base/error.ts';

/** @throws KilnError `invalid_program` for a text that is no key, or one of an identity */
export function staticValue(key: string): unknown {
  const reader = new Reader(key);
  const value = reader.value();
  reader.end();
  return value;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): unknown {
    switch (this.#text[this.#at++]) {
      case 'n':
        return this.#number();
      case 's':
        return this.#string();
      case 'b':
        return this.#match(/[01]/y) === '1';
      case 'i':
        return BigInt(this.#match(/-?\d+/y));
      case 'N':
        return null;
      case 'U':
        return undefined;
      case '[':
        return this.#list();
      case '{':
        return this.#record();
      default:
        return this.#fail();
    }
  }

  end(): void {
    if (this.#at !== this.#text.length) this.#fail();
  }

  #number(): number {
    const text = this.#match(/NaN|-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/y);
    return Number(text);
  }

  #string(): string {
    const length = Number(this.#match(/\d+/y));
    this.#take(':');
    const begin = this.#at;
    this.#at += length;
    if (this.#at > this.#text.length) this.#fail();
    return this.#text.slice(begin, this.#at);
  }

  #list(): unknown[] {
    const values: unknown[] = [];
    if (this.#isNext(']')) return values;
    do values.push(this.value());
    while (this.#isNext(','));
    this.#take(']');
    return values;
  }

  #record(): Record<string, unknown> {
    const record: Record<string, unknown> = {};
    if (this.#isNext('}')) return record;
    do {
      const name = this.#string();
      this.#take('=');
      const value = this.value();
      Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
    } while (this.#isNext(','));
    this.#take('}');
    return record;
  }

  #isNext(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #take(character: string): void {
    if (!this.#isNext(character)) this.#fail();
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? this.#fail();
    this.#at += found.length;
    return found;
  }

  #fail(): never {
    throw new KilnError('invalid_program', 'a text is no key of a static value', {
      given: this.#text.slice(0, 100),
      expected: "a key such as 'n0.1', 's4:relu', 'b1' or 'N'",
    });
  }
}
