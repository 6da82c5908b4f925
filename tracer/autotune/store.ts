/**
 * Schedules that were measured, for the process and, unless the cache is off, in a file in its folder that processes
 * share:
 *
 *     kiln-autotune.json     { "version": 1, "schedules": { "<machine> <kernel>": "5x8x256x64x512" } }
 *
 * The file is somebody else's word: what is not exactly of that form is ignored, all of it with one notice. It is
 * replaced as a whole, so that no reader sees half of it; of two processes that write at once the last one stands, and
 * the other measures once more some day.
 */
import { debug, isDebugging } from '../../base/flags.ts';
import { parseSchedule } from '../../codegen/wasm/schedules.ts';
import { makeFolder } from '../../runtime/cache/folder.ts';
import { cacheSettings } from '../session-cache.ts';
import type { SearchResult } from './search.ts';

interface NodeFiles {
  readFileSync(path: string, encoding: 'utf8'): string;
  writeFileSync(path: string, text: string): void;
  renameSync(from: string, to: string): void;
  statSync(path: string, options: { readonly throwIfNoEntry: false }): { readonly size: number } | undefined;
}

interface NodeProcess {
  readonly pid?: number;
  getBuiltinModule?(name: 'node:fs'): NodeFiles | undefined;
}

/** Name of the file in the cache's folder. */
export const scheduleFile = 'kiln-autotune.json';
const version = 1;
/** Entries of the file; the oldest go first. */
const mostEntries = 4096;
const mostBytes = 1 << 20;
const entryPattern = /^[0-9a-f]{64} [0-9a-f]{64}$/;

/** A schedule that is known, with what was measured where that was in this process. */
export interface StoredSchedule {
  readonly schedule: string;
  readonly from: 'measured' | 'file';
  readonly search?: SearchResult;
}

const known = new Map<string, StoredSchedule>();
/** The folder whose file has been read. */
let readFrom: string | undefined;
let hasWarned = false;

/** Schedules of a machine by the key of the kernel. */
export function storedSchedules(machine: string): ReadonlyMap<string, StoredSchedule> {
  readFile();
  const found = new Map<string, StoredSchedule>();
  for (const [entry, stored] of known)
    if (entry.startsWith(machine)) found.set(entry.slice(machine.length + 1), stored);
  return found;
}

/** Keeps the results of searches, by the key of the kernel. */
export function storeSchedules(machine: string, results: ReadonlyMap<string, SearchResult>): void {
  if (results.size === 0) return;
  // What others have written since it was read stays.
  readFrom = undefined;
  readFile();
  for (const [key, search] of results) {
    known.delete(`${machine} ${key}`);
    known.set(`${machine} ${key}`, { schedule: search.winner, from: 'measured', search });
  }
  for (const entry of known.keys()) {
    if (known.size <= mostEntries) break;
    known.delete(entry);
  }
  writeFile();
}

/** Forgets what is in memory. */
export function clearSchedules(): void {
  known.clear();
  readFrom = undefined;
  hasWarned = false;
}

function readFile(): void {
  const folder = cacheSettings()?.directory;
  if (folder === readFrom) return;
  readFrom = folder;
  const files = nodeFiles();
  if (folder === undefined || !files) return;
  try {
    const path = `${folder}/${scheduleFile}`;
    const size = files.statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return;
    if (size > mostBytes) throw new RangeError(`${size} bytes are more than it can be`);
    for (const [entry, schedule] of parseStore(files.readFileSync(path, 'utf8'))) {
      if (!known.has(entry)) known.set(entry, { schedule, from: 'file' });
    }
  } catch (error) {
    warn(`${folder}/${scheduleFile} is ignored: ${String(error)}`);
  }
}

/** The entries of a file. @throws an error for a file of another form */
export function parseStore(text: string): readonly (readonly [string, string])[] {
  const whole: unknown = JSON.parse(text);
  if (typeof whole !== 'object' || whole === null) throw new TypeError('it is no object');
  const { version: given, schedules } = whole as { readonly version?: unknown; readonly schedules?: unknown };
  if (given !== version) throw new TypeError(`its version is not ${version}`);
  if (typeof schedules !== 'object' || schedules === null) throw new TypeError('it has no schedules');
  const entries = Object.entries(schedules as Readonly<Record<string, unknown>>);
  if (entries.length > mostEntries) throw new RangeError('it has too many schedules');
  return entries.map(([entry, schedule]) => {
    const isRight = entryPattern.test(entry) && typeof schedule === 'string' && parseSchedule(schedule) !== undefined;
    if (!isRight) throw new TypeError('a schedule in it is none');
    return [entry, schedule] as const;
  });
}

function writeFile(): void {
  const folder = cacheSettings()?.directory;
  const files = nodeFiles();
  if (folder === undefined || !files) return;
  const schedules = Object.fromEntries([...known].map(([entry, { schedule }]) => [entry, schedule]));
  const path = `${folder}/${scheduleFile}`;
  const { pid } = (globalThis as { process?: NodeProcess }).process ?? {};
  try {
    makeFolder(folder, 0o700);
    files.writeFileSync(`${path}.${pid}`, `${JSON.stringify({ version, schedules })}\n`);
    files.renameSync(`${path}.${pid}`, path);
  } catch (error) {
    // A folder that can not be written to is no fault.
    if (isDebugging('cache')) debug('cache', `autotune: ${path} can not be written: ${String(error)}`);
  }
}

const nodeFiles = (): NodeFiles | undefined =>
  (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.('node:fs');

function warn(text: string): void {
  if (hasWarned) return;
  hasWarned = true;
  console.warn(`kiln: autotune: ${text}`);
}
