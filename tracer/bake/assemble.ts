/**
 * Puts an artefact together: functions, programs and kernels as records, their bytes as blobs. Equal programs, kernels
 * and blobs are stored once. The order follows from the functions and targets alone, so the bytes do.
 */
import { internalError } from '../../base/error.ts';
import { hashOf } from '../../base/hash.ts';
import { recordKernel, recordProgram } from '../../runtime/artefact/program-record.ts';
import type { ArtefactContent, FunctionRecord, KernelRecord, ProgramRecord } from '../../runtime/artefact/records.ts';
import { canonicalJson, writeContainer } from '../../runtime/artefact/write-container.ts';
import type { Program } from '../../runtime/program.ts';
import type { BakeTarget } from './targets.ts';
import type { TracedEntry } from './trace-entry.ts';
import type { CollectedWeights } from './weights.ts';

export interface BakedFunction extends TracedEntry {
  /** In the order of the targets. */
  readonly programs: readonly { readonly target: BakeTarget; readonly program: Program }[];
}

export interface Assembly {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly content: ArtefactContent;
}

/** @param kiln the version of the package */
export function assemble(
  functions: readonly BakedFunction[],
  weights: CollectedWeights | undefined,
  schedules: ArtefactContent['schedules'],
  kiln: string,
): Assembly {
  const blobs = new Blobs();
  const code = new Programs(blobs);
  const records = functions.map(
    ({ record, programs }): FunctionRecord => ({
      ...record,
      captures: weights?.captures.get(record.name) ?? [],
      programs: programs.map(({ target, program }) => ({ target, program: code.add(program) })),
    }),
  );
  const content: ArtefactContent = {
    kind: 'artefact',
    kiln,
    functions: records,
    programs: code.programs,
    kernels: code.kernels,
    // Last, so that a reader can compile code while they arrive.
    ...(weights && { weights: { ...weights.record, blob: blobs.add(weights.file) } }),
    ...(schedules && schedules.length > 0 && { schedules }),
  };
  return { bytes: writeContainer(content, blobs.list), content };
}

/** Bytes by number, equal ones once. */
class Blobs {
  readonly list: Uint8Array[] = [];
  readonly #numbers = new Map<string, number>();

  readonly add = (bytes: Uint8Array): number => {
    const hash = hashOf(bytes);
    const known = this.#numbers.get(hash);
    if (known !== undefined) return known;
    this.#numbers.set(hash, this.list.length);
    return this.list.push(bytes) - 1;
  };
}

class Programs {
  readonly programs: ProgramRecord[] = [];
  readonly kernels: KernelRecord[] = [];
  readonly #blobs: Blobs;
  readonly #numbers = new Map<string, number>();
  readonly #texts = new Map<string, string>();

  constructor(blobs: Blobs) {
    this.#blobs = blobs;
  }

  /** The number of a program's record. */
  add(program: Program): number {
    for (const kernel of program.kernels) this.#addKernel(recordKernel(kernel, this.#blobs.add));
    const record = recordProgram(program, this.#blobs.add);
    const text = canonicalJson(record);
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.programs.length);
    return this.programs.push(record) - 1;
  }

  #addKernel(record: KernelRecord): void {
    const text = canonicalJson(record);
    const known = this.#texts.get(record.hash);
    if (known === undefined) {
      this.#texts.set(record.hash, text);
      this.kernels.push(record);
    } else if (known !== text) throw internalError(`two kernels have the hash ${record.hash}`);
  }
}
