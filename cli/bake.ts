/**
 * `kiln bake ENTRY… -o FILE`: compiles what the modules declare with `defineBake` and writes one artefact, its types
 * beside it, and its WASM modules where asked. With `--check` it writes nothing and says whether what is there is what
 * it would write.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { formatBytes } from '../bench/table.ts';
import { KilnError } from '../index.ts';
import { magic } from '../runtime/artefact/container.ts';
import type { ArtefactContent } from '../runtime/artefact/records.ts';
import { type BakeReport, bakeArtefact, failuresOf } from '../tracer/bake/bake.ts';
import { type BakeDefinition, isBakeDefinition } from '../tracer/bake/define.ts';
import { openArtefact } from '../tracer/bake/open-artefact.ts';
import { reproducibly } from '../tracer/bake/reproducible.ts';
import { signArtefact } from '../tracer/bake/sign.ts';
import { defaultTargets } from '../tracer/bake/targets.ts';
import { failureOf } from '../tracer/bake/trace-entry.ts';
import { isKernelFile, wasmModuleFiles } from '../tracer/bake/wasm-modules.ts';
import { assertFresh } from './bake-check.ts';
import { loadModule } from './load-module.ts';
import { type OutputFiles, readInput, writeFiles } from './output-files.ts';
import { progressBar } from './progress.ts';
import { faint } from './style.ts';

export interface BakeFilesOptions {
  /** Where the artefact goes. */
  readonly output: string;
  readonly target?: readonly string[];
  /** Writes nothing: fails where the artefact that is there is another one. */
  readonly check: boolean;
  /** A private key for Ed25519 in PEM. */
  readonly sign?: string;
  /** A folder for the WASM code as files. */
  readonly wasmModules?: string;
  /** Measures all that `autotune` asks for anew, also what the artefact that is there knows. */
  readonly retune: boolean;
  /** Whether to write the declaration file. */
  readonly types: boolean;
  /** Most threads that compile. */
  readonly threads?: number;
}

/**
 * @throws KilnError (as a rejection) `bake_failed` after all failures have been printed, `stale_artefact`, `cli_usage`,
 *   `not_a_file`, `invalid_argument` for the key; then no file has changed
 */
export async function bakeFiles(entries: readonly string[], options: BakeFilesOptions): Promise<void> {
  const { output, sign } = options;
  const key = sign === undefined ? undefined : new TextDecoder().decode(readInput(sign, 'the key for --sign'));
  if (!options.check) assertReplaceable(output);
  const failures: unknown[] = [];
  const definitions = await loadDefinitions(entries, failures);
  const baked = await bake(definitions, options).catch((error: unknown) => {
    failures.push(...failuresOf(error));
    return undefined;
  });
  if (!baked || failures.length > 0) throw report(failures, options.check);
  const bytes = key === undefined ? baked.bytes : signArtefact(baked.bytes, key);
  const files = outputsOf(bytes, baked.report, options);
  if (options.check) {
    assertFresh(files, { artefact: output, isSigned: key !== undefined, command: commandFor(entries, options) });
    console.log(`${output} is what ${entries.join(' ')} ${entries.length === 1 ? 'bakes' : 'bake'} to`);
    return;
  }
  writeFiles(files);
  if (options.wasmModules !== undefined) removeOthers(options.wasmModules, files);
  for (const text of linesOf(files, baked.report, options)) console.log(text);
}

/**
 * That no other file is lost, such as a module that was meant as an entry.
 * @throws KilnError `cli_usage`
 */
function assertReplaceable(path: string): void {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return;
  const begin = readInput(path).subarray(0, magic.length);
  if (begin.every((byte, i) => byte === magic[i])) return;
  throw new KilnError('cli_usage', `${path} is there, and is no artefact`, {
    given: `-o ${path}`,
    expected: 'a new file, or an artefact that may be replaced',
    hint: 'name another file, or remove this one',
  });
}

/** What the modules declare; a module that can not be loaded is a failure like those of its entries. */
async function loadDefinitions(files: readonly string[], failures: unknown[]): Promise<readonly BakeDefinition[]> {
  const definitions: BakeDefinition[] = [];
  for (const file of files) {
    try {
      const { default: declared } = await reproducibly(() => loadModule(file));
      if (!isBakeDefinition(declared)) throw noDefinition(file);
      if (definitions.some(({ entries }) => entries === declared.entries)) continue;
      definitions.push({ ...declared, source: file });
    } catch (error) {
      const isOwn = error instanceof KilnError && error.code === 'cli_usage';
      failures.push(isOwn ? error : failureOf(file, error, 'the module throws while it is loaded'));
    }
  }
  return definitions;
}

const noDefinition = (file: string): KilnError =>
  new KilnError('cli_usage', `${file} declares nothing to bake`, {
    expected: 'export default defineBake({ name: { fn, args: [spec([32, 784]), …] } })',
  });

async function bake(
  definitions: readonly BakeDefinition[],
  { output, target = defaultTargets, threads, check, retune }: BakeFilesOptions,
): Promise<Awaited<ReturnType<typeof bakeArtefact>> | undefined> {
  if (definitions.length === 0) return undefined;
  const schedules = retune ? undefined : schedulesIn(output);
  let bar: ReturnType<typeof progressBar> | undefined;
  try {
    return await bakeArtefact(definitions, {
      targets: target,
      name: basename(output),
      ...(threads !== undefined && { threads }),
      ...(schedules && { schedules }),
      measures: !check,
      onProgress: (done, total, note) => {
        bar ??= progressBar(check ? 'check' : 'bake', total);
        bar.update(done, note);
      },
    });
  } finally {
    bar?.stop();
  }
}

/** What was measured for the artefact that is there: with it, the same sources give the same bytes on every machine. */
function schedulesIn(path: string): ArtefactContent['schedules'] {
  try {
    return openArtefact(readInput(path)).content.schedules;
  } catch (error) {
    if (error instanceof KilnError) return undefined; // There is none, or it is damaged: it is written anew.
    throw error;
  }
}

/** Prints every failure. @returns what the command ends with */
function report(failures: readonly unknown[], isCheck: boolean): KilnError {
  for (const failure of failures) console.error(`${failure instanceof Error ? failure.message : String(failure)}\n`);
  return new KilnError(
    'bake_failed',
    `${counted(failures.length, 'fault')}, listed above${isCheck ? '' : '; nothing was written'}`,
  );
}

/** Removes the kernels of earlier bakes. */
function removeOthers(folder: string, files: OutputFiles): void {
  for (const name of readdirSync(folder)) {
    if (isKernelFile(name) && !files.has(join(folder, name))) rmSync(join(folder, name), { force: true });
  }
}

/** Every file that the command writes. */
function outputsOf(bytes: Uint8Array, { declarations }: BakeReport, options: BakeFilesOptions): OutputFiles {
  const { output, types, wasmModules } = options;
  const files = new Map<string, Uint8Array>([[output, bytes]]);
  if (types) files.set(`${output}.d.ts`, new TextEncoder().encode(declarations));
  if (wasmModules !== undefined) {
    const { content, blobs } = openArtefact(bytes);
    for (const [name, code] of wasmModuleFiles(content, blobs)) files.set(join(wasmModules, name), code);
  }
  return files;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

function linesOf(files: OutputFiles, { content, targets }: BakeReport, options: BakeFilesOptions): string[] {
  const { output, wasmModules } = options;
  const { functions, kernels, weights } = content;
  const names = functions.map(({ name }) => name).join(', ');
  const tensors = weights ? `, ${counted(weights.tensors.length, 'tensor')}` : '';
  const summary = `${names} for ${targets.join(', ')}: ${counted(kernels.length, 'kernel')}${tensors}`;
  const line = (path: string): string => `${path} ${faint(`(${formatBytes(files.get(path)!.length)})`)}`;
  const lines = [`${line(output)}  ${summary}`];
  if (options.types) lines.push(line(`${output}.d.ts`));
  if (wasmModules !== undefined) {
    const code = [...files].filter(([path]) => path.endsWith('.wasm'));
    const bytes = code.reduce((sum, [, { length }]) => sum + length, 0);
    lines.push(`${join(wasmModules, 'index.js')} ${faint(`(${code.length} modules, ${formatBytes(bytes)})`)}`);
  }
  return lines;
}

/** The command that writes what `--check` misses. */
function commandFor(
  entries: readonly string[],
  { output, target, types, wasmModules, sign }: BakeFilesOptions,
): string {
  const options = [
    ...(target ? ['--target', target.join(',')] : []),
    ...(types ? [] : ['--no-types']),
    ...(wasmModules === undefined ? [] : ['--wasm-modules', wasmModules]),
    ...(sign === undefined ? [] : ['--sign', sign]),
  ];
  return ['kiln bake', ...entries, '-o', output, ...options].join(' ');
}
