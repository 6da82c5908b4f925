/**
 * Chromium without a window, for tests of what a reader sees. It is a development dependency; where it can not start,
 * the test that needs it fails.
 *
 *     const browser = await launchBrowser();
 */

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import chromium from '@sparticuz/chromium';
import { type Browser, chromium as driver, firefox } from 'playwright-core';
import { chromiumFolder } from './chromium-files.ts';

/** Flags for small machines with which no page is isolated. */
const againstIsolation = /^--(single-process|disable-web-security|disable-site-isolation-trials|disable-features)\b/;

/** WebGPU in software, the same on every machine; on Linux it is behind a flag. */
const forWebgpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/** Clearing workgroup memory is most of the time that software compiles kernels, and none of Kiln's counts on it. */
const uncleared = '--enable-dawn-features=disable_workgroup_init';

/** Names under which a system may have Chromium, in the order in which they are looked for. */
const systemNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The Chromium of this system: `KILN_TEST_CHROMIUM`, or the first in `PATH`; `undefined` without one. */
function systemChromium(): string | undefined {
  const folders = process.env.PATH?.split(delimiter) ?? [];
  const places = systemNames.flatMap((name) => folders.map((folder) => join(folder, name)));
  return process.env.KILN_TEST_CHROMIUM ?? places.find((place) => existsSync(place));
}

/**
 * The system's Chromium where there is one, else the one that the tests bring along.
 * @param options.isIsolating whether pages may be cross-origin isolated: each site then has a process of its own
 * @param options.hasWebgpu whether pages find an adapter
 * @param options.clearsWorkgroups whether workgroup memory begins as zeros, as others may count on
 */
export async function launchBrowser({
  isIsolating = false,
  hasWebgpu = false,
  clearsWorkgroups = false,
} = {}): Promise<Browser> {
  const further = hasWebgpu ? [...forWebgpu, ...(clearsWorkgroups ? [] : [uncleared])] : [];
  const system = systemChromium();
  if (system) return driver.launch({ executablePath: system, args: ['--no-sandbox', ...further], headless: true });
  chromium.setGraphicsMode = false;
  const own = isIsolating ? chromium.args.filter((arg) => !againstIsolation.test(arg)) : chromium.args;
  const executablePath = join(chromiumFolder(), 'chromium');
  return driver.launch({ executablePath, args: [...own, ...further], headless: true });
}

/** Firefox as playwright knows it (`npx playwright-core install firefox`); `undefined` where it is not installed. */
export async function launchFirefox(): Promise<Browser | undefined> {
  return existsSync(firefox.executablePath()) ? firefox.launch({ headless: true }) : undefined;
}
