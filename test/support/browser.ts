/**
 * Chromium without a window, for tests of what a reader sees. It is a development dependency; where it can not start,
 * the test that needs it fails.
 *
 *     const browser = await launchBrowser();
 */

import { join } from 'node:path';
import chromium from '@sparticuz/chromium';
import { type Browser, chromium as driver } from 'playwright-core';
import { chromiumFolder } from './chromium-files.ts';

/** Flags for small machines with which no page is isolated. */
const againstIsolation = /^--(single-process|disable-web-security|disable-site-isolation-trials|disable-features)\b/;

/** WebGPU in software, the same on every machine; on Linux it is behind a flag. */
const forWebgpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];

/**
 * @param options.isIsolating whether pages may be cross-origin isolated: each site then has a process of its own
 * @param options.hasWebgpu whether pages find an adapter
 */
export async function launchBrowser({ isIsolating = false, hasWebgpu = false } = {}): Promise<Browser> {
  chromium.setGraphicsMode = false;
  const own = isIsolating ? chromium.args.filter((arg) => !againstIsolation.test(arg)) : chromium.args;
  const args = hasWebgpu ? [...own, ...forWebgpu] : own;
  return driver.launch({ executablePath: join(chromiumFolder(), 'chromium'), args, headless: true });
}
