/**
 * Damage and malice for readers of containers, records and JSON. One number makes a mutation, so one number repeats it.
 *
 *     const texts = new JsonMutator(header);
 *     texts.mutate(new Random(seed))          // {"blobs":[],"content":{"kind":"__proto__", …
 *     mutateBytes(bytes, new Random(seed))    // cut off, spliced, with a bit that flipped
 */
import { createHash } from 'node:crypto';
import { KilnError } from '../../../base/error.ts';
import type { Random } from '../../../ir/ops/random.ts';
import { preambleBytes } from '../../../runtime/artefact/container.ts';

const numbers = [
  ...['0', '-0', '1', '-1', '2', '3', '0.5', '1e400', '-1e400', '1e-7', '1e21', '65536', '2147483648', '4294967296'],
  ...['9007199254740991', '9007199254740992', '123456789012345678901234567890'],
];

export const formulas = [
  ...['', 'B', '2*B', 'B-1', 'B*B*B*B*B*B*B*B', '0', '-1', 'mod(B,0)', 'floordiv(1,0)', 'floordiv(B,B-B)'],
  ...['(', '('.repeat(1999), `${'('.repeat(900)}B${')'.repeat(900)}`, '9'.repeat(400), 'B+'.repeat(10_000)],
  ...[`${'(B+1)*'.repeat(300)}B`, `${'floordiv((B+1)*'.repeat(120)}B${',7)'.repeat(120)}`],
];

const names = [
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'length', 'then', 'toJSON'],
  ...['NaN', 'Infinity', 'undefined', 'null', ' ', '\u0000', '\ud800', 'é'.repeat(300), '0'.repeat(64)],
  ...['wasm', 'webgpu', 'float32', 'int8', 'input', 'temporary', 'read_write', 'array', 'dict', 'n-0', 's1:a'],
];

const nested = (open: string, close: string, depth: number): string => open.repeat(depth) + close.repeat(depth);

/** Values as JSON. */
const values: readonly string[] = [
  ...numbers,
  ...[...formulas, ...names].map((text) => JSON.stringify(text)),
  ...['null', 'true', 'false', '[]', '{}', '[[]]', '[null]', '{"length":4294967295}', '"\\ud800"'],
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":1,"valueOf":1}',
  '{"toString":{"__proto__":null},"length":1}',
  nested('[', ']', 20_000),
  nested('{"kind":"list","children":[', ']}', 3000),
  nested('{"__proto__":', '}', 500).replace(':}', ':1}'),
  `[${'0,'.repeat(5000)}0]`,
];

/** The stretches of a JSON text that stand for something. */
interface Span {
  readonly begin: number;
  readonly end: number;
}

/** Changes JSON texts as texts: what comes out is JSON of nearly the same form. */
export class JsonMutator {
  readonly #text: string;
  readonly #values: Span[] = [];
  readonly #keys: Span[] = [];
  readonly #numbers: Span[] = [];
  /** Elements of lists, and fields of records, without the commas between them. */
  readonly #elements: Span[] = [];
  readonly #fields: Span[] = [];

  /** @param intact a part of the text that no change begins in */
  constructor(text: string, intact = '') {
    this.#text = text;
    const from = intact === '' ? text.length : text.indexOf(intact);
    const isIntact = (begin: number): boolean => begin >= from && begin < from + intact.length;
    const open: { readonly begin: number; readonly members: Span[]; member: number }[] = [];
    const endMember = (end: number): void => {
      const { begin, members, member } = open.at(-1)!;
      if (end > member && end > begin + 1) members.push({ begin: member, end });
    };
    for (const { 0: token, index: begin } of text.matchAll(/"(?:[^"\\]|\\.)*"|[\w.+-]+|[[\]{},:]/g)) {
      const end = begin + token.length;
      if (token === '[') open.push({ begin, members: this.#elements, member: end });
      else if (token === '{') open.push({ begin, members: this.#fields, member: end });
      else if (token === ']' || token === '}') {
        endMember(begin);
        this.#values.push({ begin: open.pop()!.begin, end });
      } else if (token === ',') {
        endMember(begin);
        open.at(-1)!.member = end;
      } else if (token !== ':') {
        const isKey = text[end] === ':';
        (isKey ? this.#keys : this.#values).push({ begin, end });
        if (!isKey && token[0] !== '"') this.#numbers.push({ begin, end });
      }
    }
    for (const spans of [this.#values, this.#keys, this.#numbers, this.#elements, this.#fields]) {
      spans.splice(0, spans.length, ...spans.filter(({ begin }) => !isIntact(begin)));
    }
  }

  /** The text with one to three changes. */
  mutate(random: Random): string {
    // From the back to the front, so that places in front stay what they are.
    const count = random.pick([1, 1, 1, 2, 3]);
    const changes = Array.from({ length: count }, () => this.#change(random)).sort((a, b) => b.at.begin - a.at.begin);
    let before = Number.POSITIVE_INFINITY;
    let text = this.#text;
    for (const { at, by } of changes) {
      if (at.end > before) continue;
      text = text.slice(0, at.begin) + by + text.slice(at.end);
      before = at.begin;
    }
    return text;
  }

  #of({ begin, end }: Span): string {
    return this.#text.slice(begin, end);
  }

  #change(random: Random): { at: Span; by: string } {
    const value = random.pick(this.#values);
    const kind = random.integer(0, 9);
    if (kind <= 2) return { at: value, by: random.pick(values) };
    if (kind === 3) return { at: value, by: this.#of(random.pick(this.#values)) };
    if (kind <= 5 && this.#numbers.length > 0) {
      const at = random.pick(this.#numbers);
      const near = Number(this.#of(at)) + random.pick([-2, -1, 1, 2, 16]);
      return { at, by: Number.isFinite(near) ? String(near) : random.pick(numbers) };
    }
    const members = random.boolean() && this.#elements.length > 0 ? this.#elements : this.#fields;
    const member = random.pick(members);
    const whole = this.#of(member);
    if (kind === 6) {
      const { begin, end } = member;
      if (this.#text[end] === ',') return { at: { begin, end: end + 1 }, by: '' };
      return { at: { begin: this.#text[begin - 1] === ',' ? begin - 1 : begin, end }, by: '' };
    }
    if (kind === 7) {
      const copies = whole.length < 200 ? random.pick([1, 1, 300]) : 1;
      return { at: member, by: `${whole},`.repeat(copies) + whole };
    }
    if (kind === 8) return { at: member, by: this.#of(random.pick(members)) };
    const key = random.pick(this.#keys);
    return { at: key, by: random.boolean() ? this.#of(random.pick(this.#keys)) : JSON.stringify(random.pick(names)) };
  }
}

/** Bytes with a flipped bit, another length, or a part of themselves or of others in another place. */
export function mutateBytes(bytes: Uint8Array, random: Random, others: readonly Uint8Array[] = [bytes]): Uint8Array {
  const near = (): number => (random.boolean() ? random.integer(0, 160) : random.integer(0, bytes.length));
  const at = Math.min(near(), bytes.length - 1);
  switch (random.integer(0, 6)) {
    case 0:
      return bytes.slice(0, near());
    case 1:
      return concatenated([bytes, new Uint8Array(random.integer(1, 40)).fill(random.pick([0, 255, 123]))]);
    case 2: {
      const other = random.pick(others);
      const begin = random.integer(0, other.length);
      return concatenated([
        bytes.subarray(0, at),
        other.subarray(begin, begin + random.integer(0, 200)),
        bytes.subarray(at),
      ]);
    }
    case 3:
      return concatenated([bytes.subarray(0, at), bytes.subarray(at + random.integer(1, 64))]);
    case 4: {
      const changed = bytes.slice();
      new DataView(changed.buffer).setUint32(
        random.pick([8, 12, 12, 12]),
        random.pick([0, 1, 2, 112, 2 ** 26, 2 ** 32 - 1]),
        true,
      );
      return changed;
    }
    default: {
      const changed = bytes.slice();
      for (let i = random.integer(1, 3); i > 0; i--) {
        changed[Math.min(near(), bytes.length - 1)] ^= 1 << random.integer(0, 7);
      }
      return changed;
    }
  }
}

const concatenated = (parts: readonly Uint8Array[]): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  return bytes;
};

/** A container with another header and the right hash of it; its blobs stay in their order behind it. */
export function withHeader(container: Uint8Array, header: string): Uint8Array {
  const view = new DataView(container.buffer, container.byteOffset);
  const blobs = container.subarray(aligned(preambleBytes + view.getUint32(12, true)));
  const text = new TextEncoder().encode(header);
  const start = aligned(preambleBytes + text.length);
  const bytes = new Uint8Array(start + blobs.length);
  bytes.set(container.subarray(0, preambleBytes));
  bytes.set(text, preambleBytes);
  bytes.set(blobs, start);
  new DataView(bytes.buffer).setUint32(12, text.length, true);
  bytes.set(createHash('sha256').update(text).digest(), 16);
  return bytes;
}

export const headerOf = (container: Uint8Array): string =>
  new TextDecoder().decode(
    container.subarray(
      preambleBytes,
      preambleBytes + new DataView(container.buffer, container.byteOffset).getUint32(12, true),
    ),
  );

const aligned = (offset: number): number => Math.ceil(offset / 16) * 16;

const ownOf = (): string =>
  [Object, Array, Function, Map, Uint8Array].map((each) => Reflect.ownKeys(each.prototype).map(String)).join();
const prototypes = ownOf();

/** The most milliseconds that one mutation may take, on a machine that does much else. */
const longest = 10_000;

/**
 * Runs a reader on one mutation.
 * @returns `ok`, or the code of the error
 * @throws where the reader throws anything but a KilnError, takes too long, or changes what all objects share
 */
export function outcomeOf(seed: number, read: () => unknown): string {
  const start = performance.now();
  let outcome = 'ok';
  try {
    read();
  } catch (error) {
    outcome = codeOf(seed, error);
  }
  assertHarmless(seed, start);
  return outcome;
}

/** An error of Kiln's own making counts as little as one of the engine's. */
function codeOf(seed: number, error: unknown): string {
  if (error instanceof KilnError && error.code !== 'internal') return error.code;
  throw new Error(`the mutation of seed ${seed} throws`, { cause: error });
}

/** The same for a reader that is waited for. */
export async function outcomeLater(seed: number, read: () => Promise<unknown>): Promise<string> {
  const start = performance.now();
  let outcome = 'ok';
  try {
    await read();
  } catch (error) {
    outcome = codeOf(seed, error);
  }
  assertHarmless(seed, start);
  return outcome;
}

function assertHarmless(seed: number, start: number): void {
  const took = performance.now() - start;
  if (took > longest) throw new Error(`the mutation of seed ${seed} takes ${took.toFixed(0)} ms`);
  if (seed % 64 === 0 && ownOf() !== prototypes)
    throw new Error(`prototypes changed up to the mutation of seed ${seed}`);
}

/** How often each outcome was there. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(outcome: string): void {
    this.counts[outcome] = (this.counts[outcome] ?? 0) + 1;
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }
}
