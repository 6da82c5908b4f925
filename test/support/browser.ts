/**
 * Chromium without a window, for tests of what a reader sees. It is a development dependency; where it can not start,
 * the test that needs it fails.
 *
 *     const browser = await launchBrowser();
 */
import chromium from '@sparticuz/chromium';
import { type Browser, chromium as driver } from 'playwright-core';

export async function launchBrowser(): Promise<Browser> {
  chromium.setGraphicsMode = false;
  return driver.launch({ executablePath: await chromium.executablePath(), args: chromium.args, headless: true });
}
