/**
 * What the package `@sparticuz/chromium` carries, unpacked once for all processes and runs: a headless Chromium and
 * SwiftShader, a Vulkan driver in software, with the Vulkan loader. It is there for Linux on x64.
 *
 *     chromiumFolder()        // '…/node_modules/.cache/kiln/chromium-147.0.0', with chromium, libvulkan.so.1, …
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));

/** Whether the files run on this machine. */
export const hasChromiumFiles = (): boolean => process.platform === 'linux' && process.arch === 'x64';

/**
 * Unpacks in a process whose folder for temporary files is the target, which is where the package puts things; what is
 * complete gets its name in one step, so that nobody sees half of it.
 */
const unpack = `(await import('@sparticuz/chromium')).default.executablePath()`;

/** The folder, made if need be; takes some seconds the first time. @throws Error on other machines */
export function chromiumFolder(): string {
  if (!hasChromiumFiles()) throw new Error(`no Chromium in the registry for ${process.platform} ${process.arch}`);
  const description = readFileSync(join(modules, '@sparticuz/chromium/package.json'), 'utf8');
  const { version } = JSON.parse(description) as { version: string };
  const folder = join(modules, `.cache/kiln/chromium-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(dirname(folder), { recursive: true });
  const made = mkdtempSync(`${folder}-`);
  execFileSync(process.execPath, ['--input-type=module', '--eval', unpack], {
    cwd: dirname(modules),
    env: { ...process.env, TMPDIR: made },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  try {
    renameSync(made, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
    rmSync(made, { recursive: true, force: true });
  }
  return folder;
}
