/**
 * `KILN_DUMP=dir`: every stage of each compiled function as files, `dir/name-1.graph.ir` and so on. Only where there is
 * a file system; a folder that can not be written is reported once and is no error.
 */
import { flag } from '../base/flags.ts';
import type { Tier } from '../runtime/program.ts';
import type { CompileReport } from './compile-report.ts';

interface NodeProcess {
  getBuiltinModule?(name: 'node:fs'): typeof import('node:fs') | undefined;
}

let count = 0;
let hasFailed = false;

/** What files with the code of a target end with. */
const codeExtension = { wasm: 'wat', webgpu: 'wgsl' } as const;

export function dumpStages(name: string, target: Tier['target'], report: CompileReport): void {
  const folder = flag('KILN_DUMP');
  const files = (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.('node:fs');
  if (!folder || !files || hasFailed) return;
  count++;
  const base = `${folder}/${name.replace(/[^A-Za-z0-9_-]/g, '_')}-${count}`;
  const { graph, optimized, kernels, code, program } = report;
  const stages = {
    'graph.ir': graph,
    'optimized.ir': optimized,
    'kernels.txt': kernels,
    [codeExtension[target]]: code,
    'program.txt': program,
  };
  try {
    files.mkdirSync(folder, { recursive: true });
    for (const [extension, text] of Object.entries(stages)) files.writeFileSync(`${base}.${extension}`, text);
  } catch (error) {
    hasFailed = true;
    console.warn(`kiln: KILN_DUMP: ${folder} can not be written: ${String(error)}`);
  }
}
