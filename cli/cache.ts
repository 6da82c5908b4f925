/**
 * `kiln cache ls|prune|verify|export|import`: looks after the folder of the persistent cache, whether or not it is
 * used at the moment.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import Table from 'cli-table3';
import type { Command } from 'commander';
import { formatBytes, formatCount } from '../bench/table.ts';
import { KilnError } from '../index.ts';
import { cacheFolder } from '../runtime/cache/current.ts';
import type { Entry } from '../runtime/cache/entry.ts';
import { type Examined, examine } from '../runtime/cache/examine.ts';
import { FileStore } from '../runtime/cache/file-store.ts';
import { packEntries, unpackEntries } from '../runtime/cache/portable.ts';
import { defaultBounds, type EntryName, entryKinds, type StoredEntry } from '../runtime/cache/store.ts';
import { tierName } from '../runtime/program.ts';
import { scheduleFile } from '../tracer/autotune/store.ts';
import { readInput, writeFiles } from './output-files.ts';
import { progressBar } from './progress.ts';
import { formatAge, parseAge, parseSize } from './quantities.ts';
import { faint } from './style.ts';

interface FolderOptions {
  readonly directory?: string;
}

interface ListOptions extends FolderOptions {
  readonly kind?: string;
}

interface PruneOptions extends FolderOptions {
  readonly maxSize?: number;
  readonly olderThan?: number;
  readonly all: boolean;
}

/** Adds the commands to the tool. */
export function addCacheCommands(kiln: Command): void {
  const cache = kiln.command('cache').description('look after what is kept compiled from process to process');
  const add = (name: string, description: string): Command =>
    cache
      .command(name)
      .description(description)
      .option('--directory <folder>', "the cache's folder; KILN_CACHE_DIR or that of the user unless given");
  add('ls', 'list programs, kernels and traces, the last used first')
    .option('--kind <kind>', `only those: ${entryKinds.join(', ')}`)
    .action((options: ListOptions) => listCache(options));
  add('prune', 'remove what was used longest ago, until the rest is within bounds')
    .option('--max-size <size>', 'keep so much at most, such as 100MB', parseSize)
    .option('--older-than <age>', 'remove what was not used for so long, such as 30d or 12h', parseAge)
    .option('--all', 'remove everything, also what autotune has measured', false)
    .action((options: PruneOptions) => pruneCache(options));
  add('verify', 'check every entry, and remove those that are damaged').action((options: FolderOptions) =>
    verifyCache(options),
  );
  add('export', 'write all entries into one file')
    .argument('<file>')
    .action((file: string, options: FolderOptions) => exportCache(file, options));
  add('import', 'take over the entries of a file')
    .argument('<file>')
    .action((file: string, options: FolderOptions) => importCache(file, options));
}

function storeOf({ directory }: FolderOptions): FileStore {
  const folder = directory ?? cacheFolder();
  if (folder === undefined) {
    throw new KilnError('cli_usage', 'there is no folder for a cache: this user has no home', {
      hint: 'give one with --directory or KILN_CACHE_DIR',
    });
  }
  return new FileStore(folder, {
    onFault: (text) => {
      throw new KilnError('cli_usage', text);
    },
  });
}

/** @throws KilnError `cli_usage` for a kind that does not exist */
async function listCache({ kind, ...options }: ListOptions): Promise<void> {
  if (kind !== undefined && !(entryKinds as readonly string[]).includes(kind)) {
    throw new KilnError('cli_usage', `there is no kind '${kind}'`, { expected: entryKinds.join(', ') });
  }
  const store = storeOf(options);
  const all = await store.list();
  const found = all.map((stored) => ({ stored, entry: entryOf(store, stored) }));
  const uses = kernelNames(found.flatMap(({ entry }) => (entry ? [entry] : [])));
  const shown = found
    .filter(({ stored }) => kind === undefined || stored.kind === kind)
    .sort((a, b) => b.stored.usedAt - a.stored.usedAt || (a.stored.hash < b.stored.hash ? -1 : 1));
  if (shown.length > 0) {
    const table = new Table({
      head: ['kind', 'name', 'for', 'size', 'last used', 'hash'],
      style: { head: [], border: [], compact: true },
      colAligns: ['left', 'left', 'left', 'right', 'right', 'left'],
    });
    for (const { stored, entry } of shown) {
      const { name, target } = described(entry, uses);
      const { bytes, usedAt, hash } = stored;
      table.push([stored.kind, name, target, formatBytes(bytes), formatAge(Date.now() - usedAt), hash.slice(0, 12)]);
    }
    console.log(table.toString());
  }
  const counts = entryKinds.map((each) => counted(all.filter((entry) => entry.kind === each).length, each));
  console.log(`${counts.join(', ')}; ${formatBytes(totalOf(all))} in ${store.place}`);
}

const totalOf = (entries: readonly StoredEntry[]): number => entries.reduce((sum, { bytes }) => sum + bytes, 0);

const counted = (count: number, what: string, plural = `${what}s`): string =>
  `${formatCount(count)} ${count === 1 ? what : plural}`;

const examined = (store: FileStore, name: EntryName): Examined =>
  examine(name, store.peek(name) ?? new Uint8Array(0), (other) => store.peek(other));

/** An entry that is not damaged. */
function entryOf(store: FileStore, name: EntryName): Entry | undefined {
  const result = examined(store, name);
  return result.state === 'damaged' ? undefined : result.entry;
}

/** The names that programs give their kernels, by the kernels' hashes. */
function kernelNames(entries: readonly Entry[]): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  for (const { content } of entries) {
    if (content.kind !== 'program') continue;
    for (const { name, hash } of content.program.kernels) {
      names.set(hash, (names.get(hash) ?? new Set()).add(name));
    }
  }
  return names;
}

function described(
  entry: Entry | undefined,
  kernels: ReadonlyMap<string, ReadonlySet<string>>,
): { readonly name: string; readonly target: string } {
  if (!entry) return { name: '(damaged)', target: '' };
  const { content } = entry;
  if (content.kind === 'program') return { name: content.program.name, target: tierName(content.program.tier) };
  if (content.kind === 'kernel') {
    const { key, kernel } = content;
    const [name = '(of no program here)', ...others] = kernels.get(key) ?? [];
    return { name: others.length > 0 ? `${name} and ${others.length} more` : name, target: kernel.target };
  }
  const { name } = (content.trace ?? {}) as { readonly name?: unknown };
  return { name: typeof name === 'string' ? name : '', target: '' };
}

/** @throws KilnError `cli_usage` when nothing can be removed there */
async function pruneCache({ maxSize, olderThan, all, ...options }: PruneOptions): Promise<void> {
  const store = storeOf(options);
  const before = await store.list();
  const limit = all ? Number.POSITIVE_INFINITY : Date.now() - (olderThan ?? Number.POSITIVE_INFINITY);
  for (const entry of before) if (entry.usedAt < limit) store.remove(entry);
  if (all) removeSchedules(store.place);
  // Also sweeps up what writers have left behind.
  await store.trim({ bytes: maxSize ?? (olderThan === undefined ? defaultBounds.bytes : Number.POSITIVE_INFINITY) });
  const after = await store.list();
  const gone = `${counted(before.length - after.length, 'entry', 'entries')} (${formatBytes(totalOf(before) - totalOf(after))})`;
  console.log(`removed ${gone}; kept ${counted(after.length, 'entry', 'entries')} (${formatBytes(totalOf(after))})`);
}

/** Removes what `autotune` has measured. @throws KilnError `cli_usage` */
function removeSchedules(folder: string): void {
  try {
    rmSync(join(folder, scheduleFile), { force: true });
  } catch (error) {
    throw new KilnError('cli_usage', `${scheduleFile} in ${folder} can not be removed: ${String(error)}`);
  }
}

/** Ends with code 1 when something was damaged. */
async function verifyCache(options: FolderOptions): Promise<void> {
  const store = storeOf(options);
  const entries = await store.list();
  const bar = progressBar('verify', entries.length);
  const faults: string[] = [];
  let [damaged, incomplete] = [0, 0];
  entries.forEach((entry, i) => {
    const result = examined(store, entry);
    if (result.state !== 'good') store.remove(entry);
    if (result.state === 'damaged') {
      damaged++;
      faults.push(`${entry.kind} ${entry.hash}: ${result.reason}`);
    }
    if (result.state === 'incomplete') incomplete++;
    bar.update(i + 1);
  });
  bar.stop();
  for (const fault of faults) console.error(`removed ${fault}`);
  const unused = incomplete > 0 ? `, ${counted(incomplete, 'program')} removed whose kernels are gone` : '';
  console.log(`${counted(entries.length, 'entry', 'entries')} checked, ${formatCount(damaged)} damaged${unused}`);
  if (damaged > 0) process.exitCode = 1;
}

/** @throws KilnError `cli_usage` when the file can not be written, `not_a_file` for a folder */
async function exportCache(file: string, options: FolderOptions): Promise<void> {
  const store = storeOf(options);
  const entries = (await store.list()).flatMap(({ kind, hash }) => {
    const name = { kind, hash };
    if (entryOf(store, name)) return [{ name, bytes: store.peek(name)! }];
    console.error(`left out ${kind} ${hash}: it is damaged ${faint('(kiln cache verify removes it)')}`);
    return [];
  });
  const bytes = packEntries(entries);
  writeFiles(new Map([[file, bytes]]));
  console.log(`${file} ${faint(`(${formatBytes(bytes.length)})`)}  ${counted(entries.length, 'entry', 'entries')}`);
}

/**
 * Ends with code 1 when some entries of the file are damaged; the others are taken over.
 * @throws KilnError `not_a_file`, and what is thrown for a file that holds no entries
 */
async function importCache(file: string, options: FolderOptions): Promise<void> {
  const { good, damaged } = unpackEntries(readInput(file));
  const store = storeOf(options);
  for (const { name, bytes } of good) store.write(name, bytes);
  for (const { name, reason } of damaged) console.error(`left out ${name.kind} ${name.hash}: ${reason}`);
  console.log(`${counted(good.length, 'entry', 'entries')} taken over into ${store.place}`);
  if (damaged.length > 0) process.exitCode = 1;
}
