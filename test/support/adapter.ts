/**
 * Which WebGPU adapter tests run on in Node: a real GPU where the machine has one, else SwiftShader, which the tests
 * bring along. `KILN_TEST_ADAPTER=hardware` or `software` asks for one of the two.
 *
 *     findAdapter()     // { environment: { VK_DRIVER_FILES: …, LD_LIBRARY_PATH: … }, name: 'SwiftShader Device (Subzero)' }
 *
 * The Vulkan loader reads these variables when a process starts: workers must be forked with them.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromiumFolder, hasChromiumFiles } from './chromium-files.ts';

export interface FoundAdapter {
  /** Variables that a process must start with. */
  readonly environment: Readonly<Record<string, string>>;
  /** As the adapter calls itself. */
  readonly name: string;
  readonly isSoftware: boolean;
}

/** What a process of its own prints about its adapter: a driver that crashes takes nothing along. */
const probe = `
  const { create } = await import('webgpu');
  const adapter = await create([]).requestAdapter();
  const { vendor, architecture, description, isFallbackAdapter } = adapter?.info ?? {};
  const name = adapter && (description || [vendor, architecture].filter(Boolean).join(' ') || 'unnamed');
  process.stdout.write(JSON.stringify({ name, isSoftware: isFallbackAdapter === true }));
  process.exit();
`;

/** The adapter that a process with these variables finds; a text with the reason when there is none. */
function adapterWith(environment: Readonly<Record<string, string>>): FoundAdapter | string {
  try {
    const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', probe], {
      cwd: dirname(fileURLToPath(new URL('../../package.json', import.meta.url))),
      env: { ...process.env, ...environment },
      encoding: 'utf8',
      timeout: 60_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { name, isSoftware } = JSON.parse(printed) as { name: string | null; isSoftware: boolean };
    return name ? { environment, name, isSoftware } : 'Dawn finds no adapter';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Variables with which Dawn finds SwiftShader and the Vulkan loader that comes with it. */
function softwareEnvironment(): Record<string, string> {
  const folder = chromiumFolder();
  const libraries = [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter);
  return { LD_LIBRARY_PATH: libraries, VK_DRIVER_FILES: join(folder, 'vk_swiftshader_icd.json') };
}

/** Whether a system has drivers at all: on Linux, of Vulkan; elsewhere they are part of it. */
const mayHaveHardware = (): boolean =>
  process.platform !== 'linux' ||
  process.env.VK_DRIVER_FILES !== undefined ||
  ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/etc/vulkan/icd.d'].some(
    (folder) => existsSync(folder) && readdirSync(folder).length > 0,
  );

/** The adapter that tests run on; a text with the reason when there is none. */
export function findAdapter(wanted = process.env.KILN_TEST_ADAPTER): FoundAdapter | string {
  if (wanted !== undefined && wanted !== 'hardware' && wanted !== 'software')
    return `KILN_TEST_ADAPTER is '${wanted}', which is neither 'hardware' nor 'software'`;
  const reasons: string[] = [];
  if (wanted === 'hardware' || (wanted === undefined && mayHaveHardware())) {
    const found = adapterWith({});
    if (typeof found !== 'string' && !found.isSoftware) return found;
    reasons.push(typeof found === 'string' ? found : `${found.name} is no hardware`);
  }
  if (wanted !== 'hardware') {
    if (hasChromiumFiles()) {
      const found = adapterWith(softwareEnvironment());
      if (typeof found !== 'string') return found;
      reasons.push(found);
    } else reasons.push(`there is no software adapter for ${process.platform} ${process.arch}`);
  }
  return reasons.join('; ');
}
