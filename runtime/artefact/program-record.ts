/**
 * Programs as records (`records.ts`) and back.
 *
 *     const { record, kernels } = recordProgram(program, (bytes) => blobs.push(bytes) - 1);
 *     const same = programOfRecord(record, { kernel: (hash) => byHash.get(hash), blob: (index) => blobs[index] });
 */
import { KilnError } from '../../base/error.ts';
import type { Program, ProgramKernel, WasmKernel, WgslKernel } from '../program.ts';
import type { ConstantRecord, KernelRecord, KernelUse, ProgramRecord } from './records.ts';
import { upgradeProgram } from './upgrade.ts';

/** Keeps bytes; equal bytes may share a blob. Gives the number of the blob. */
export type AddBlob = (bytes: Uint8Array) => number;

/** A program's record. Its kernels are recorded by `recordKernel`, each once. */
export function recordProgram(program: Program, addBlob: AddBlob): ProgramRecord {
  const { kernels, constants, ...rest } = program;
  return {
    ...rest,
    kernels: kernels.map(({ name, hash }) => ({ name, hash })),
    constants: constants.map(({ bytes, ...constant }) => ({ ...constant, bytes: addBlob(bytes) })),
  };
}

export function recordKernel(kernel: ProgramKernel, addBlob: AddBlob): KernelRecord {
  const { name: _, ...rest } = kernel;
  return 'phases' in rest
    ? { ...(rest as Omit<WasmKernel, 'name'>), target: 'wasm', code: addBlob((rest as WasmKernel).code) }
    : {
        ...(rest as Omit<WgslKernel, 'name'>),
        target: 'webgpu',
        code: addBlob(new TextEncoder().encode((rest as WgslKernel).code)),
      };
}

/** Where a program finds what its record only names. */
export interface RecordSources {
  readonly kernel: (hash: string) => KernelRecord | undefined;
  /** @throws KilnError where there is no such blob */
  readonly blob: (index: number) => Uint8Array;
}

/**
 * The program of a record, of the version that this release runs. It is as untrusted as the record: `validateProgram` says whether it is one.
 * @throws KilnError `invalid_program` when a kernel is missing or a part is no record; `unsupported_version`; and what
 *   `sources` throw
 */
export function programOfRecord(record: ProgramRecord, sources: RecordSources): unknown {
  const { kernels, constants, ...rest } = record;
  return upgradeProgram({
    ...rest,
    kernels: records<KernelUse>(kernels, 'kernels').map(({ name, hash }) => ({ ...kernelOf(hash, sources), name })),
    constants: records<ConstantRecord>(constants, 'constants').map((constant) => {
      return { ...constant, bytes: blobOf(constant.bytes, sources) };
    }),
  });
}

function records<T>(value: unknown, what: string): readonly T[] {
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'object' && item !== null);
  if (!isList) throw malformed(`a program without a list of ${what}`);
  return value as readonly T[];
}

function blobOf(index: unknown, { blob }: RecordSources): Uint8Array {
  if (typeof index !== 'number' || !Number.isSafeInteger(index)) throw malformed('a blob without a number');
  return blob(index);
}

function kernelOf(hash: string, sources: RecordSources): Omit<ProgramKernel, 'name'> {
  const found = sources.kernel(hash);
  if (!found) throw malformed(`a program without its kernel ${typeof hash === 'string' ? hash.slice(0, 64) : ''}`);
  const { target, code, ...rest } = found;
  const bytes = blobOf(code, sources);
  return { ...rest, code: target === 'webgpu' ? new TextDecoder().decode(bytes) : bytes } as Omit<
    ProgramKernel,
    'name'
  >;
}

const malformed = (given: string): KilnError =>
  new KilnError('invalid_program', 'not a program that this version runs', {
    given,
    hint: 'compile or bake it again with this version',
  });
