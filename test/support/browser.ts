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

/** @param isIsolating whether pages may be cross-origin isolated: each site then has a process of its own */
export async function launchBrowser({ isIsolating = false } = {}): Promise<Browser> {
  chromium.setGraphicsMode = false;
  const args = isIsolating ? chromium.args.filter((arg) => !againstIsolation.test(arg)) : chromium.args;
  return driver.launch({ executablePath: join(chromiumFolder(), 'chromium'), args, headless: true });
}
