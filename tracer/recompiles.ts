/**
 * Why a compiled function was traced again: what differs from the nearest earlier signature, by argument. Counts the
 * signatures, and prints one notice for a number that keeps changing.
 *
 *     'x: f32[8,4] → f32[16,4]'
 */
import { KilnError } from '../base/error.ts';
import { staticKey } from '../base/static-key.ts';
import { isArrayLeaf, typeOfArray } from './array-leaf.ts';
import type { SignedCall } from './compilation.ts';
import type { ResolvedOptions } from './compile-options.ts';
import { visitLeaves } from './pytree.ts';
import { visitStaticFields } from './receiver.ts';
import { parameterNames } from './source-parse.ts';
import { TensorSpec } from './spec.ts';
import { Tensor } from './tensor.ts';

/** What an argument is, by its path: a type, or a value. */
type Description = ReadonlyMap<string, string>;

/** Values of one number argument after which the notice is printed. */
const noticeAfter = 3;

export class Recompiles {
  readonly #fn: (...args: never[]) => unknown;
  readonly #reasons: string[] = [];
  readonly #options: ResolvedOptions;
  readonly #seen: Description[] = [];
  readonly #numbers = new Map<string, Set<number>>();

  constructor(fn: (...args: never[]) => unknown, options: ResolvedOptions) {
    this.#fn = fn;
    this.#options = options;
  }

  /** Why each signature after the first was new. */
  get reasons(): readonly { readonly reason: string }[] {
    return this.#reasons.map((text) => ({ reason: this.#named(text) }));
  }

  /** A text with parameters by their names. The source is read only for what is printed. */
  #named(text: string): string {
    return text.replace(/(?<=^|; )argument (\d+)/g, (path, i: string) => parameterNames(this.#fn)[Number(i)] ?? path);
  }

  /**
   * A signature that is new.
   * @returns notes it, to be called once it is traced or found
   * @throws KilnError `too_many_recompiles`
   */
  admit(signed: SignedCall): () => void {
    const { name, maxRecompiles } = this.#options;
    const description = this.#describe(signed);
    const reason = this.#seen.length > 0 ? difference(this.#seen, description) : undefined;
    if (this.#seen.length > maxRecompiles) {
      throw new KilnError('too_many_recompiles', `compile(${name}): one signature more than maxRecompiles allows`, {
        given: `${this.#seen.length} signatures before; new: ${this.#named(reason ?? '')}`,
        expected: `at most ${maxRecompiles} beyond the first`,
        hint: 'pass changing numbers as tensors, make changing sizes symbolic with dim(), or raise maxRecompiles',
      });
    }
    return () => {
      this.#seen.push(description);
      if (reason) this.#reasons.push(reason);
    };
  }

  #describe({ receiver, args }: SignedCall): Description {
    const description = new Map<string, string>();
    if (receiver) {
      for (const { path, tensor } of receiver.slots) description.set(path, tensor.signature);
      visitStaticFields(receiver, (value, path) => this.#describeLeaf(value, path, description));
    }
    args.forEach((arg, i) => {
      const name = `argument ${i}`;
      if (this.#options.isStatic(i)) description.set(name, staticText(arg));
      else visitLeaves(arg, (leaf, path) => this.#describeLeaf(leaf, path, description), name);
    });
    return description;
  }

  #describeLeaf(leaf: unknown, path: string, description: Map<string, string>): void {
    if (isArrayLeaf(leaf)) {
      const { dtype, shape } = typeOfArray(leaf);
      description.set(path, new TensorSpec(dtype, shape).signature);
      return;
    }
    description.set(path, staticText(leaf));
    if (typeof leaf === 'number') this.#notice(path, leaf);
  }

  #notice(path: string, value: number): void {
    let values = this.#numbers.get(path);
    if (!values) {
      values = new Set();
      this.#numbers.set(path, values);
    }
    if (values.size >= noticeAfter) return;
    values.add(value);
    if (values.size < noticeAfter) return;
    console.warn(
      `kiln: compile(${this.#options.name}): the number ${this.#named(path)} has had ${noticeAfter} values (${[...values].join(', ')}), ` +
        'each compiled anew. Pass a tensor to compile once, or name it in the option static if that is meant.',
    );
  }
}

const staticText = (value: unknown): string => {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Tensor) return value.signature;
  return typeof value === 'object' || typeof value === 'function' ? `static ${staticKey(value)}` : String(value);
};

/** What differs from the earlier description that differs least, the latest of them. */
function difference(seen: readonly Description[], now: Description): string {
  let best: string[] | undefined;
  for (const before of seen) {
    const parts: string[] = [];
    for (const path of new Set([...before.keys(), ...now.keys()])) {
      const [was, is] = [before.get(path) ?? 'absent', now.get(path) ?? 'absent'];
      if (was !== is) parts.push(`${path}: ${was} → ${is}`);
    }
    if (!best || parts.length <= best.length) best = parts;
  }
  if (!best || best.length === 0) return 'the structure, a function or the precision has changed';
  const shown = best.slice(0, 3).join('; ');
  return best.length > 3 ? `${shown}; and ${best.length - 3} more` : shown;
}
