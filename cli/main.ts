#!/usr/bin/env node
/** The command line: `kiln explain FILE`, `kiln report FILE`, `kiln bench FILE`. Each command is a file of its own. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { KilnError } from '../index.ts';
import { type BenchFileOptions, benchFile } from './bench.ts';
import { type ExplainFileOptions, explainFile } from './explain.ts';
import { type ReportFileOptions, reportFile } from './report.ts';

function packageVersion(): string {
  // From dist/cli/main.js the package is two folders up, from cli/main.ts one.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (name === 'kilnjs') return version;
    } catch {
      // Not this folder.
    }
  }
  throw new KilnError('internal', 'the package.json of kilnjs was not found');
}

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
  return kiln;
}

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
