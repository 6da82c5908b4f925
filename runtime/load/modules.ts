/**
 * Kernels that were compiled before: modules that an application imports, for engines that refuse to compile at run
 * time. Loaded only where they are given.
 */
import { KilnError } from '../../base/error.ts';
import type { Blob } from '../artefact/container.ts';
import type { ArtefactContent } from '../artefact/records.ts';
import type { KernelModule } from '../wasm/engine.ts';

type Modules = ReadonlyMap<string, object>;

/** The key of the driver among the modules. */
export const driverKey = 'driver';

/** @throws KilnError (as a rejection) `invalid_argument` for modules without the driver */
export async function provideDriverOf(modules: Modules): Promise<void> {
  const driver = modules.get(driverKey);
  if (!driver) throw incomplete(`modules without '${driverKey}'`);
  const { provideDriver } = await import('../wasm/register.ts');
  provideDriver(driver as KernelModule);
}

/**
 * The artefact as far as there are modules for it: other targets would have to be compiled.
 * @throws KilnError `invalid_argument` where there are modules for no target
 */
export function contentOf(content: ArtefactContent, modules: Modules): ArtefactContent {
  const { programs } = content;
  const isProvided = (number: number): boolean => programs[number].kernels.every(({ hash }) => modules.has(hash));
  const functions = content.functions.map((one) => ({
    ...one,
    programs: one.programs.filter(({ program }) => isProvided(program)),
  }));
  const without = functions.find((one) => one.programs.length === 0);
  if (without) throw incomplete(`modules without some kernels of ${without.name}`);
  return { ...content, functions };
}

/** Makes the modules known by the hashes of their code, which the loader calls kernels by. */
export async function provideKernels(
  { kernels }: ArtefactContent,
  blobs: readonly Blob[],
  modules: Modules,
): Promise<void> {
  const { provideModules } = await import('../wasm/register.ts');
  provideModules(
    kernels.flatMap(({ hash, code }) => {
      const module = modules.get(hash);
      return module ? [[blobs[code].sha256, module as KernelModule] as const] : [];
    }),
  );
}

const incomplete = (given: string): KilnError =>
  new KilnError('invalid_argument', 'load: there are not all modules that the artefact needs', {
    given,
    expected: 'the modules that `kiln bake --wasm-modules` has written with this artefact',
    hint: 'bake again, and import all of them',
  });
