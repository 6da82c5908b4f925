/**
 * What the page tells of the kernels of one step, from what the compiler tells. In a page that compiles it is asked
 * there; for one that loads an artefact it is asked when the page is built, and lies beside the artefact.
 */
import type { KernelRow } from './protocol.ts';

/** One launch: its kernel, and the ops in it with their lines. */
export interface Launch {
  readonly kernel: string;
  readonly ops: readonly string[];
}

/** The account of one target: `spirals.wasm-threads.json`. */
export interface KernelAccount {
  readonly tier: string;
  readonly kernels: readonly KernelRow[];
}

/** The code of its kernels by name: `spirals.wasm-threads.code.json`. */
export type KernelCode = readonly (readonly [kernel: string, text: string])[];

/** The kernels of one step, in the order of their first launches. */
export function kernelRows(launches: readonly Launch[]): KernelRow[] {
  const rows = new Map<string, { launches: number; ops: readonly string[] }>();
  for (const { kernel, ops } of launches) {
    rows.set(kernel, { launches: (rows.get(kernel)?.launches ?? 0) + 1, ops: counted(ops) });
  }
  return [...rows].map(([name, row]) => ({ name, ...row, milliseconds: undefined }));
}

/** Opcodes without their lines, equal ones once: `multiply ×3`. */
function counted(ops: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const op of ops) {
    const [opcode] = op.split(' ');
    counts.set(opcode, (counts.get(opcode) ?? 0) + 1);
  }
  return [...counts].map(([opcode, count]) => (count === 1 ? opcode : `${opcode} ×${count}`));
}

/** The text of all kernels cut up: each begins with a comment that names it. */
export function codeByKernel(text: string): KernelCode {
  const parts = text.split(/^(?=(?:;;|\/\/) kernel )/m).filter((part) => part.trim() !== '');
  return parts.map((part) => [/kernel (\S+)/.exec(part)?.[1] ?? '', part.trimEnd()]);
}
