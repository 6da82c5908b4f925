/**
 * The lock file records versions and integrity, not where a package was downloaded from: addresses differ from network
 * to network. With `--write`, removes them; without, exits with 1 when there are any.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const text = readFileSync(path, 'utf8');
const lock = JSON.parse(text) as { packages: Record<string, { version?: string; resolved?: string }> };
const entries = Object.entries(lock.packages).filter(([name]) => name !== '');
const addressed = entries.filter(([, { resolved }]) => resolved !== undefined);
const unversioned = entries.filter(([, { version }]) => version === undefined);

if (process.argv.includes('--write')) {
  for (const [, entry] of addressed) delete entry.resolved;
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
} else if (addressed.length > 0 || unversioned.length > 0) {
  for (const [name] of addressed)
    console.error(`${name}: records an address; run npx tsx scripts/check-lock.ts --write`);
  for (const [name] of unversioned) console.error(`${name}: has no version, so that npm ci would fail`);
  process.exitCode = 1;
}
console.log(`lock file: ${entries.length} packages`);
