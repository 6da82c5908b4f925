/** Where the outputs of a run lie: the same on every device whose storages count their references. */
import type { Program } from './program.ts';

/** Bytes that several handles may share. */
export interface CountedStorage {
  references: number;
  /** Number of the run that looked at it last. */
  lastRun: number;
}

/** The storages of all outputs, with a reference each for whoever takes them. @param own those of fresh outputs */
export function collectOutputs<Storage extends CountedStorage>(
  { outputs }: Program,
  inputs: readonly Storage[],
  constants: readonly Storage[],
  own: readonly Storage[],
): readonly Storage[] {
  const storages: Storage[] = [];
  let nextOwn = 0;
  for (const { source } of outputs) {
    if (source.kind === 'own') {
      storages.push(own[nextOwn++]);
      continue;
    }
    const storage =
      source.kind === 'donated'
        ? inputs[source.input]
        : source.kind === 'input'
          ? inputs[source.index]
          : source.kind === 'constant'
            ? constants[source.index]
            : storages[source.index];
    storage.references += 1;
    storages.push(storage);
  }
  return storages;
}
