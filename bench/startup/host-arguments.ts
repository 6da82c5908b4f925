/**
 * Arguments as a program has them before it starts Kiln: a tree of typed arrays, read from two files. Modes and
 * machines get the same elements.
 *
 *     tree     [{ "weight": { "dtype": "float32", "shape": [4, 2], "at": 0 } }, …]
 *     bytes    the arrays one after the other, each at a multiple of 8
 */
import { Tensor } from '../../index.ts';
import type { Model } from '../models/model.ts';

/** Where an array lies in the bytes. */
export interface ArrayPlace {
  readonly dtype: 'float32' | 'int32';
  readonly shape: readonly number[];
  readonly at: number;
}

export type ArgumentTree = ArrayPlace | null | readonly ArgumentTree[] | { readonly [name: string]: ArgumentTree };

export interface HostArguments {
  readonly tree: readonly ArgumentTree[];
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Random arguments of a model, the same at each call. */
export async function hostArguments(model: Model): Promise<HostArguments> {
  const parts: Uint8Array[] = [];
  let end = 0;
  const placed = async (value: unknown): Promise<ArgumentTree> => {
    if (value === null) return null;
    if (Array.isArray(value)) return Promise.all(value.map(placed));
    if (!(value instanceof Tensor)) {
      const entries = Object.entries(value as object).map(async ([name, part]) => [name, await placed(part)] as const);
      return Object.fromEntries(await Promise.all(entries));
    }
    const place = { dtype: value.dtype as ArrayPlace['dtype'], shape: value.shape, at: end };
    end += Math.ceil((value.size * 4) / 8) * 8;
    const data = (await value.data()) as Float32Array | Int32Array;
    parts[place.at / 8] = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    return place;
  };
  const tree = (await placed(model.make(1))) as readonly ArgumentTree[];
  const bytes = new Uint8Array(end);
  for (const [at, part] of Object.entries(parts)) bytes.set(part, Number(at) * 8);
  return { tree, bytes };
}
