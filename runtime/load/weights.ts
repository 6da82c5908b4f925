/**
 * The arrays that travel with an artefact: uploaded once, given out in trees, read by functions that have captured them.
 */
import { byteSize } from '../../base/dtype.ts';
import type { DeviceArray } from '../array.ts';
import { newArray } from '../array-class.ts';
import { corrupt } from '../artefact/container.ts';
import type { WeightsRecord } from '../artefact/records.ts';
import type { Device } from '../device.ts';
import { defineField, rebuildTree } from './trees.ts';

/** Bytes of the length that a file of safetensors begins with. */
const lengthBytes = 8;

export class LoadedWeights {
  /** Trees by name. */
  readonly trees: Readonly<Record<string, unknown>>;
  readonly #arrays: readonly DeviceArray[];
  /** By the number of the tensor: what functions read, whatever becomes of the arrays in trees. */
  readonly #captured = new Map<number, DeviceArray>();

  /**
   * @param captured the numbers of the tensors that functions read
   * @param blob checked bytes in the format of safetensors
   * @throws KilnError `corrupt_artefact`, `out_of_memory`; nothing is kept then
   */
  constructor(device: Device, record: WeightsRecord, captured: ReadonlySet<number>, blob: Uint8Array) {
    const arrays = new Map<number, DeviceArray>();
    const inTrees = new Set(record.trees.flatMap(({ tensors }) => tensors));
    try {
      partsOf(record, blob).forEach((bytes, number) => {
        if (!inTrees.has(number) && !captured.has(number)) return;
        const { dtype, shape } = record.tensors[number];
        const sizes = Object.freeze([...shape]);
        const handle = device.upload(dtype, sizes, bytes);
        if (inTrees.has(number)) arrays.set(number, newArray(dtype, sizes, handle));
        if (!captured.has(number)) return;
        // Another handle, so that it stays when the one in the tree is disposed or donated.
        const own = inTrees.has(number) ? device.alias(handle) : handle;
        this.#captured.set(number, newArray(dtype, sizes, own));
      });
    } catch (error) {
      for (const array of arrays.values()) array.release({ by: 'dispose' });
      this.dispose();
      throw error;
    }
    this.#arrays = [...arrays.values()];
    this.trees = {};
    for (const { name, tree, tensors } of record.trees) {
      let at = 0;
      const next = (): unknown => arrays.get(tensors[at++]);
      defineField(this.trees, name, rebuildTree(tree, next));
    }
  }

  captured(number: number): DeviceArray {
    return this.#captured.get(number)!;
  }

  dispose(): void {
    for (const array of [...this.#captured.values(), ...(this.#arrays ?? [])]) array.release({ by: 'dispose' });
  }
}

/** The bytes of each tensor: one after the other, from the end of the blob's own header to its end. */
function partsOf({ tensors }: WeightsRecord, blob: Uint8Array): Uint8Array[] {
  if (blob.length < lengthBytes) throw corrupt('weights without a header');
  const header = new DataView(blob.buffer, blob.byteOffset, lengthBytes).getBigUint64(0, true);
  let end = lengthBytes + Number(header);
  const parts = tensors.map(({ dtype, shape }) => {
    const begin = end;
    end += shape.reduce((size, extent) => size * extent, byteSize(dtype));
    return blob.subarray(begin, end);
  });
  if (end !== blob.length) throw corrupt(`weights of ${blob.length} bytes for tensors that end at ${end}`);
  return parts;
}
