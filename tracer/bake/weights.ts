/**
 * The tensors that travel with an artefact: trees that are named, and what functions use from around them. Each tensor
 * is stored once, under the first name that it has.
 *
 *     const weights = new WeightsCollector();
 *     weights.addTree('params', { w, b });       // params.b, params.w
 *     weights.addCaptures('forward', [w, scale]) // params.w, forward.0
 */
import type { DType } from '../../base/dtype.ts';
import { internalError, KilnError } from '../../base/error.ts';
import type { WeightsRecord } from '../../runtime/artefact/records.ts';
import { bytesOfView } from '../../runtime/typed-arrays.ts';
import { type ArrayLeaf, typeOfArray } from '../array-leaf.ts';
import { Tensor } from '../tensor.ts';
import { inFileOrder, type NamedTensor, writeSafetensors } from './safetensors.ts';
import { recordWeights } from './tree-record.ts';

interface Weight {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly array: ArrayLeaf;
}

/** Weights in the order of the file. */
export interface CollectedWeights {
  readonly file: Uint8Array;
  readonly record: Omit<WeightsRecord, 'blob'>;
  /** The numbers of captures among the tensors, by function. */
  readonly captures: ReadonlyMap<string, readonly number[]>;
}

export class WeightsCollector {
  readonly #weights = new Map<unknown, Weight>();
  readonly #names = new Set<string>(['__metadata__']);
  readonly #trees: {
    readonly name: string;
    readonly tree: ReturnType<typeof recordWeights>;
    readonly arrays: readonly ArrayLeaf[];
  }[] = [];
  readonly #captures = new Map<string, readonly Tensor[]>();

  /** @throws KilnError `bake_failed` for a tree with a spec or a function in it, `unregistered_class` */
  addTree(name: string, value: unknown): void {
    const found: { readonly path: string; readonly tensor: ArrayLeaf }[] = [];
    const tree = recordWeights(value, name, found);
    for (const { path, tensor } of found) this.#add(path, tensor);
    this.#trees.push({ name, tree, arrays: found.map(({ tensor }) => tensor) });
  }

  addCaptures(functionName: string, tensors: readonly Tensor[]): void {
    for (const [i, tensor] of tensors.entries()) this.#add(`${functionName}.${i}`, tensor);
    this.#captures.set(functionName, tensors);
  }

  #add(path: string, array: ArrayLeaf): void {
    if (this.#weights.has(array)) return;
    const { dtype, shape } = typeOfArray(array);
    if (!(array instanceof Tensor) && !ArrayBuffer.isView(array)) {
      throw new KilnError('bake_failed', `the weight ${path} has no data`, {
        given: String(array),
        expected: 'a tensor or a typed array',
      });
    }
    let name = path;
    for (let count = 2; this.#names.has(name); count++) name = `${path}~${count}`;
    this.#names.add(name);
    this.#weights.set(array, { name, dtype, shape: shape as readonly number[], array });
  }

  /** Reads all tensors and writes them down; `undefined` where there is none. */
  async collect(): Promise<CollectedWeights | undefined> {
    if (this.#weights.size === 0 && this.#trees.length === 0) return undefined;
    const weights = inFileOrder([...this.#weights.values()]);
    const places = new Map(weights.map(({ array }, i) => [array as unknown, i]));
    const numbersOf = (arrays: readonly unknown[]): number[] => arrays.map((array) => places.get(array)!);
    const tensors: NamedTensor[] = [];
    for (const { name, dtype, shape, array } of weights) {
      tensors.push({ name, dtype, shape, bytes: await bytesOf(array) });
    }
    return {
      file: writeSafetensors(tensors),
      record: {
        trees: this.#trees.map(({ name, tree, arrays }) => ({ name, tree, tensors: numbersOf(arrays) })),
        tensors: weights.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
      },
      captures: new Map([...this.#captures].map(([name, held]) => [name, numbersOf(held)])),
    };
  }
}

async function bytesOf(array: ArrayLeaf): Promise<Uint8Array> {
  if (ArrayBuffer.isView(array)) return bytesOfView(array);
  const { handle } = array as Tensor;
  if (!handle) throw internalError('a weight without a buffer');
  handle.assertUsable();
  return handle.device.read(handle);
}
