/**
 * Every TypeScript sample in the README and the docs compiles under `strict` and runs. A sample stands alone; one
 * whose first line names a file (`// my-functions.ts`) is a module for the command line and is compiled only.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { documentationPages } from '../../examples/text.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, '.kiln', 'samples');

interface Sample {
  readonly name: string;
  readonly code: string;
  readonly runs: boolean;
}

const samples: Sample[] = documentationPages().flatMap((page) => {
  const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```ts\n(.*?)^```/gms)];
  return blocks.map(([, code], index) => ({
    name: `${page.replace(/[/.]/g, '-')}-${index + 1}`,
    code: code
      .replaceAll("'kilnjs'", "'../../index.ts'")
      .replaceAll("'kilnjs/bench'", "'../../bench/index.ts'")
      .replaceAll("'kilnjs/runtime'", "'../../runtime/index.ts'"),
    runs: !/^\/\/ [\w./-]+\.ts/.test(code),
  }));
});

const pathOf = (sample: Sample): string => join(folder, `${sample.name}.ts`);

beforeAll(() => {
  mkdirSync(folder, { recursive: true });
  for (const sample of samples) writeFileSync(pathOf(sample), `${sample.code}\nexport {};\n`);
  const config = { extends: '../../tsconfig.json', compilerOptions: { noUnusedLocals: false }, include: ['*.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('samples in README and docs', () => {
  test('there are some', () => expect(samples.length).toBeGreaterThan(1));

  test('all compile under strict', () => {
    const compiler = join(dirname(fileURLToPath(import.meta.resolve('typescript/package.json'))), 'bin', 'tsc');
    let output = '';
    try {
      execFileSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' });
    } catch (error) {
      output = (error as { stdout: string }).stdout;
    }
    expect(output).toBe('');
  });

  for (const sample of samples.filter(({ runs }) => runs)) {
    test(`${sample.name} runs`, () => {
      const output = execFileSync(
        process.execPath,
        ['--import', './scripts/preload.mjs', '--import', 'tsx', pathOf(sample)],
        { cwd: root, encoding: 'utf8' },
      );
      expect(output).not.toMatch(/NaN|KilnError/);
    });
  }
});
