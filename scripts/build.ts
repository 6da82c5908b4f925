/**
 * Builds `dist/`: an empty folder, then one JavaScript and one declaration file for each source file, and in
 * `dist/browser` the bundle for pages.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleForBrowser } from './bundle-browser.ts';
import { builtCompilerVersion } from './compiler-version.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');

rmSync(join(root, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
writeVersion(join(root, 'dist', 'tracer', 'compiler-version.js'));
chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);
// Declarations alone, of which the compiler makes nothing.
copyFileSync(join(root, 'plugin', 'client.d.ts'), join(root, 'dist', 'plugin', 'client.d.ts'));
await bundleForBrowser(join(root, 'dist', 'browser'));

/** Puts the compiler's version into the module that tells it. */
function writeVersion(path: string): void {
  const code = readFileSync(path, 'utf8');
  writeFileSync(path, `const KILN_COMPILER_VERSION = '${builtCompilerVersion(root)}';\n${code}`);
}
