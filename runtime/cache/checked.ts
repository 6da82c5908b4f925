/**
 * From entries whose bytes are right (`entry.ts`) to programs and kernels that are some: `validateProgram` says so, for
 * a kernel alone, too, by a program of nothing else.
 */
import { corrupt } from '../artefact/container.ts';
import { programOfRecord } from '../artefact/program-record.ts';
import type { KernelRecord, ProgramRecord } from '../artefact/records.ts';
import {
  coreWebgpuTier,
  type Program,
  type ProgramKernel,
  plainTier,
  programVersion,
  type WasmKernel,
  type WgslKernel,
} from '../program.ts';
import { validateProgram } from '../validate.ts';
import type { Entry, KernelEntry, ProgramEntry } from './entry.ts';

/** A kernel without its name, which programs give it. */
export type NamelessKernel = Omit<WasmKernel, 'name'> | Omit<WgslKernel, 'name'>;

/** The hashes of a program's kernels, each once; of a record that is none, nothing that `checkedProgram` would pass. */
export function kernelHashes({ content }: Entry): string[] {
  const { kernels } = (content as ProgramEntry).program as { readonly kernels?: unknown };
  if (!Array.isArray(kernels)) return [];
  const hashes = (kernels as readonly unknown[]).map((kernel) => (kernel as { readonly hash?: unknown } | null)?.hash);
  return [...new Set(hashes.filter((hash) => typeof hash === 'string'))];
}

/** That the entry is of the kernel it names, and has its code. @throws KilnError `corrupt_artefact` */
export function assertKernel({ content, blobs }: Entry): void {
  const { key, kernel } = content as KernelEntry;
  if (kernel.hash !== key || kernel.code !== 0 || blobs.length !== 1) throw corrupt('a kernel of another hash');
  if (kernel.target !== 'wasm' && kernel.target !== 'webgpu') throw corrupt('a kernel for no target');
}

/** @throws KilnError `invalid_program`, `corrupt_artefact` */
export function checkedKernel(entry: Entry): NamelessKernel {
  assertKernel(entry);
  const { content, blobs } = entry;
  const { key, kernel } = content as KernelEntry;
  const record = {
    version: programVersion,
    name: 'kernel',
    tier: kernel.target === 'webgpu' ? coreWebgpuTier : plainTier,
    symbols: symbolsIn(kernel),
    kernels: [{ name: 'kernel', hash: key }],
    ...{ inputs: [], outputs: [], constants: [], prepared: [], temporaries: [], steps: [], prepareSteps: 0 },
  } as ProgramRecord;
  const program = validateProgram(programOfRecord(record, { kernel: () => kernel, blob: () => blobs[0] }));
  const { name: _, ...nameless } = program.kernels[0] as ProgramKernel;
  return nameless;
}

/** Every name that a kernel's record mentions, sizes among them; which of those exist, its program says. */
function symbolsIn(kernel: KernelRecord): ProgramRecord['symbols'] {
  const names = new Set(textsIn(kernel).flatMap((text) => text.match(/[A-Za-z_][A-Za-z0-9_]*/g) ?? []));
  return [...names]
    .filter((name) => name !== 'floordiv' && name !== 'mod')
    .map((name) => ({ name, min: 1, max: 1024 }));
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

/**
 * @param kernels entries of its kernels, that `assertKernel` has passed, by hash
 * @throws KilnError `invalid_program`, `corrupt_artefact`
 */
export function checkedProgram({ content, blobs }: Entry, kernels: ReadonlyMap<string, Entry>): Program {
  const all = [...blobs];
  const numbers = new Map<string, number>();
  for (const [hash, { blobs: code }] of kernels) numbers.set(hash, all.push(code[0]) - 1);
  return validateProgram(
    programOfRecord((content as ProgramEntry).program, {
      kernel: (hash) => {
        const entry = kernels.get(hash)?.content as KernelEntry | undefined;
        return entry && { ...entry.kernel, code: numbers.get(hash)! };
      },
      blob: (index) => {
        if (!Object.hasOwn(all, index)) throw corrupt('a constant in a blob that is not there');
        return all[index];
      },
    }),
  );
}
