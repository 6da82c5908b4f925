#!/usr/bin/env node
/** The command line: `kiln explain FILE`, `kiln bake ENTRY… -o FILE` and the like. Each command is a file of its own. */
import { Command, CommanderError } from 'commander';
import { KilnError } from '../index.ts';
import { packageVersion } from '../tracer/bake/package-version.ts';
import { bakeTargets, defaultTargets } from '../tracer/bake/targets.ts';
import { type BakeFilesOptions, bakeFiles } from './bake.ts';
import { type BenchFileOptions, benchFile } from './bench.ts';
import { addCacheCommands } from './cache.ts';
import { type ExplainFileOptions, explainFile } from './explain.ts';
import { type InspectFileOptions, inspectFile } from './inspect.ts';
import { type ReportFileOptions, reportFile } from './report.ts';

const count = (text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new KilnError('cli_usage', 'a count is a positive integer', { given: text });
};

function program(): Command {
  const kiln = new Command('kiln')
    .description('A tensor compiler for TypeScript')
    .version(packageVersion())
    .exitOverride();
  kiln
    .command('explain')
    .description('show how each exported function of FILE is compiled, and time it eager and compiled')
    .argument('<file>', 'a module whose default export is { name: { fn, args } }')
    .option('--entry <name>', 'only this function')
    .option('--device <name>', 'wasm or webgpu; KILN_DEVICE unless given')
    .option('--iterations <n>', 'timed calls of each mode', count, 50)
    .action((file: string, options: ExplainFileOptions) => explainFile(file, options));
  kiln
    .command('report')
    .description('write an HTML page for each exported function of FILE: graphs, kernels, memory, what was not fused')
    .argument('<file>', 'a module whose default export is { name: { fn, args } }')
    .option('-o, --output <path>', 'where to write it; with several functions their names are added', 'report.html')
    .option('--entry <name>', 'only this function')
    .option('--device <name>', 'wasm or webgpu; KILN_DEVICE unless given')
    .option('--profile', 'run each function and show the time of each kernel', false)
    .action((file: string, options: ReportFileOptions) => reportFile(file, options));
  kiln
    .command('bench')
    .description('time each exported function of FILE, eager beside compiled')
    .argument('<file>', 'a module whose default export is { name: { fn, args } }')
    .option('--entry <name>', 'only this function')
    .option('--device <name>', 'wasm or webgpu; KILN_DEVICE unless given')
    .option('--warmup <n>', 'calls of each mode before timing', count, 10)
    .option('--iterations <n>', 'timed calls of each mode', count, 50)
    .option('--json', 'print the figures as JSON', false)
    .action((file: string, options: BenchFileOptions) => benchFile(file, options));
  kiln
    .command('bake')
    .description('compile ahead of time what ENTRY declares with defineBake, for pages and programs without a compiler')
    .argument('<entry...>', 'modules whose default export is defineBake({ name: { fn, args } })')
    .requiredOption('-o, --output <file>', 'the artefact to write, such as model.kiln; its types go beside it')
    .option(
      '-t, --target <names>',
      `some of ${bakeTargets.join(', ')}; ${defaultTargets.join(',')} unless given`,
      names,
    )
    .option('--check', 'write nothing; fail where FILE is not what ENTRY bakes to', false)
    .option('--sign <key.pem>', 'sign with a private key for Ed25519')
    .option('--wasm-modules <folder>', 'write the WASM code as files, too, for runtimes that import it')
    .option('--retune', 'measure anew what autotune asks for; otherwise what FILE knows of it stays', false)
    .option('--no-types', 'write no FILE.d.ts')
    .option('--threads <n>', 'compile on at most so many threads', count)
    .action((entries: string[], options: BakeFilesOptions) => bakeFiles(entries, options));
  kiln
    .command('inspect')
    .description('show what is in an artefact, and check every hash')
    .argument('<file>', 'what `kiln bake` has written')
    .option('--json', 'print it as JSON', false)
    .option('--kernel <hash>', 'print the code of this kernel; the first letters of its hash will do')
    .action((file: string, options: InspectFileOptions) => inspectFile(file, options));
  addCacheCommands(kiln);
  return kiln;
}

/** Names between commas; the option may be given several times. */
const names = (text: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...text.split(',').map((name) => name.trim()),
];

// A reader that has seen enough, as in `kiln explain FILE | head`, ends the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

try {
  await program().parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode;
  } else if (error instanceof KilnError) {
    console.error(error.message);
    process.exitCode = 1;
  } else {
    throw error;
  }
}
