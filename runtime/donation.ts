/**
 * Buffers that a run may overwrite: the same on every device whose storages count their references.
 *
 *     const copies = separateDonated(program, storages, copyOf);      // what others still see is copied
 *     commitDonations(program, inputs);                               // from here on they are the program's
 *     … run …
 *     releaseDonated(program, inputs);
 */
import { KilnError } from '../base/error.ts';
import type { DeviceBuffer } from './buffer.ts';
import type { BufferHandle } from './device.ts';
import type { CountedStorage } from './outputs.ts';
import type { Program } from './program.ts';

let runs = 0;

/**
 * Replaces donated storages that somebody else can still see by copies, since the program may write into them.
 * @param copies gets the copies, which the caller releases
 * @throws KilnError `out_of_memory`, as `copyOf` does
 */
export function separateDonated<Storage extends CountedStorage>(
  { inputs }: Program,
  storages: Storage[],
  copies: Storage[],
  copyOf: (storage: Storage) => Storage,
): void {
  runs = (runs + 1) | 0;
  let isShared = false;
  for (const storage of storages) {
    if (storage.references > 1 || storage.lastRun === runs) isShared = true;
    storage.lastRun = runs;
  }
  if (!isShared) return;
  inputs.forEach(({ donated }, index) => {
    const storage = storages[index];
    if (!donated || (storage.references === 1 && storages.indexOf(storage) === storages.lastIndexOf(storage))) return;
    const copy = copyOf(storage);
    copies.push(copy);
    storages[index] = copy;
  });
}

/** Takes donated inputs, pinned until the run has ended, since the program still reads them. */
export function commitDonations({ inputs: specs, name }: Program, inputs: readonly DeviceBuffer<unknown>[]): void {
  specs.forEach(({ donated }, index) => {
    if (!donated) return;
    inputs[index].pin();
    inputs[index].take(name);
  });
}

/** Lets go of donated inputs, whose storages the outputs may have taken over by then. */
export function releaseDonated({ inputs: specs }: Program, inputs: readonly DeviceBuffer<unknown>[]): void {
  specs.forEach(({ donated }, index) => {
    if (donated) inputs[index].unpin();
  });
}

/** @throws KilnError `invalid_argument` when a buffer that is given up is passed twice */
export function assertDonatedOnce(name: string, donated: readonly boolean[], handles: readonly BufferHandle[]): void {
  for (let i = 0; i < handles.length; i++) {
    if (!donated[i] || (handles.indexOf(handles[i]) === i && handles.indexOf(handles[i], i + 1) < 0)) continue;
    const { dtype, shape } = handles[i];
    throw new KilnError('invalid_argument', `${name}: a donated tensor is passed twice`, {
      given: `${dtype}[${shape.join(',')}] as inputs ${handles.indexOf(handles[i])} and ${handles.lastIndexOf(handles[i])}`,
      hint: 'donate each tensor once and do not use it elsewhere in the same call',
    });
  }
}
