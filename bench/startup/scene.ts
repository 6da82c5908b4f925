/**
 * What starts are measured on: a folder with the arguments of each workload, an artefact of each, and room for caches.
 *
 *     FOLDER/mlp.json, mlp.bin       arguments
 *     FOLDER/mlp.wasm-threads.kiln    what `kiln bake` makes of it
 */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineBake } from '../../index.ts';
import { bakeArtefact } from '../../tracer/bake/bake.ts';
import type { Run } from './child-process.ts';
import { hostArguments } from './host-arguments.ts';
import type { Workload } from './titles.ts';
import { workloads } from './workloads.ts';

export interface Scene {
  readonly folder: string;
  /** Bytes of an artefact for one target. */
  readonly artefactBytes: Readonly<Partial<Record<Workload, number>>>;
}

/** @param targets of the machine and of its browser; each gets an artefact of its own, as a site would have it */
export async function makeScene(
  folder: string,
  names: readonly Workload[],
  targets: readonly string[],
): Promise<Scene> {
  mkdirSync(folder, { recursive: true });
  const artefactBytes: Partial<Record<Workload, number>> = {};
  for (const name of names) {
    const model = workloads[name]();
    const { tree, bytes } = await hostArguments(model);
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ tree }));
    writeFileSync(join(folder, `${name}.bin`), bytes);
    const definition = defineBake({ run: { fn: model.fn as never, args: model.specs() as never, name: model.name } });
    for (const target of targets) {
      const artefact = await bakeArtefact(definition, { targets: [target] });
      writeFileSync(join(folder, `${name}.${target}.kiln`), artefact.bytes);
      artefactBytes[name] = artefact.bytes.length;
    }
  }
  return { folder, artefactBytes };
}

/** Bytes of all files under a folder. */
export const folderBytes = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, entry) => sum + (entry.isFile() ? entry.size : 0), 0);

/** All starts of one workload in one mode. */
export interface Series {
  readonly workload: Workload;
  readonly runs: readonly Run[];
  /** Bytes that were read for its program. */
  readonly bytes: number;
}
