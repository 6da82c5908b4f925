/**
 * Lines of code in the making, indented by their blocks, and names that nothing else in them has.
 *
 *     const name = code.unique('total');                                  // total, or total_1 where that is taken
 *     code.block('if (local == 0u)', () => code.line(`y[0] = ${name};`));
 */
export class Statements {
  readonly #lines: string[] = [];
  readonly #names: Set<string>;
  #depth = 0;

  /** @param names those that are taken from the start */
  constructor(names: Iterable<string>) {
    this.#names = new Set(names);
  }

  get text(): string {
    return this.#lines.join('\n');
  }

  line(text: string): void {
    this.#lines.push(`${'  '.repeat(this.#depth)}${text}`);
  }

  /** A block: `head {`, what `inside` writes, `}`. */
  block(head: string, inside: () => void): void {
    this.line(`${head} {`);
    this.#depth++;
    inside();
    this.#depth--;
    this.line('}');
  }

  /** A name that nothing in this body has yet. */
  unique(wanted: string): string {
    let name = wanted;
    for (let i = 1; this.#names.has(name); i++) name = `${wanted}_${i}`;
    this.#names.add(name);
    return name;
  }
}
