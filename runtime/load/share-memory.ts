/**
 * Programs for one thread on a device that has more: their kernels are the same code, but for the memory that they
 * import, which is shared there. Loaded only where an artefact brings no code of its own for threads.
 *
 *     import "kiln" "memory" (memory 1)     →     import "kiln" "memory" (memory 1 65536 shared)
 *
 * The bytes are by https://webassembly.github.io/spec/core/binary/modules.html#import-section.
 */
import { corrupt } from '../artefact/damage.ts';
import { isWasmProgram, type Program } from '../program.ts';

const importSection = 2;
const memoryKind = 2;
const noMaximum = 0;
const maximumAndShared = 3;
/** 65,536 pages, all that an address reaches. */
const mostPages = [0x80, 0x80, 0x04];

/** @throws KilnError `corrupt_artefact` for a kernel that imports something else than a memory */
export function forSharedMemory(program: Program): Program {
  if (!isWasmProgram(program) || program.tier.threads) return program;
  return {
    ...program,
    tier: { ...program.tier, threads: true },
    kernels: program.kernels.map((kernel) => ({ ...kernel, code: withSharedMemory(kernel.code) })),
  };
}

function withSharedMemory(code: Uint8Array): Uint8Array {
  // Behind the magic number and the version.
  for (let at = 8; at < code.length; ) {
    const id = code[at];
    const [size, begin] = readNumber(code, at + 1);
    const end = begin + size;
    if (id !== importSection) {
      at = end;
      continue;
    }
    const content = sharedImport(code.subarray(begin, end));
    const parts = [code.subarray(0, at + 1), writeNumber(content.length), content, code.subarray(end)];
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let to = 0;
    for (const part of parts) {
      bytes.set(part, to);
      to += part.length;
    }
    return bytes;
  }
  throw corrupt('a kernel that imports no memory');
}

/** The content of an import section with one memory that may grow without end. */
function sharedImport(content: Uint8Array): number[] {
  const [count, moduleName] = readNumber(content, 0);
  const fieldName = afterName(content, moduleName);
  const kind = afterName(content, fieldName);
  if (count !== 1 || content[kind] !== memoryKind || content[kind + 1] !== noMaximum) {
    throw corrupt('a kernel that imports something else than a memory');
  }
  return [...content.subarray(0, kind + 1), maximumAndShared, ...content.subarray(kind + 2), ...mostPages];
}

function afterName(content: Uint8Array, at: number): number {
  const [length, begin] = readNumber(content, at);
  return begin + length;
}

/** An unsigned number, seven bits a byte, and where it ends. */
function readNumber(bytes: Uint8Array, at: number): readonly [value: number, end: number] {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i] ?? 0;
    value += (byte & 127) * 2 ** (7 * i);
    if (byte < 128) return [value, at + i + 1];
  }
  throw corrupt('a kernel that is no WebAssembly');
}

function writeNumber(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...writeNumber(value >>> 7)];
}
