/**
 * Run by file-store.test.ts, several at once: writes, reads and trims the entries of a folder for a second, and prints
 * what it met. What an entry holds follows from its key, so that a reader can tell.
 */
import { isDeepStrictEqual } from 'node:util';
import { CompiledCache } from '../../../runtime/cache/compiled-cache.ts';
import { FileStore } from '../../../runtime/cache/file-store.ts';

const [folder, seed] = process.argv.slice(2);
const faults: string[] = [];
const store = new FileStore(folder, {
  bounds: { bytes: 2_000_000, entries: 60 },
  onFault: (text) => faults.push(text),
});
const cache = new CompiledCache(store, 'version');
const contentOf = (key: number): unknown => ({ key, list: Array.from({ length: 100 + 200 * key }, (_, i) => i % 7) });

let state = Number(seed);
const random = (below: number): number => {
  state = (state * 1103515245 + 12345) % 2 ** 31;
  return Math.floor((state / 2 ** 31) * below);
};

let [reads, found] = [0, 0];
const end = Date.now() + 1000;
while (Date.now() < end) {
  const key = random(120);
  if (random(3) === 0) cache.keepTrace(String(key), contentOf(key));
  if (random(40) === 0) await store.trim();
  const trace = random(2) === 0 ? cache.findTraceSync(String(key)) : await cache.findTrace(String(key));
  reads++;
  if (trace === undefined) continue;
  found++;
  if (!isDeepStrictEqual(trace, contentOf(key))) faults.push(`key ${key} has another's content`);
}
await store.trim();
console.log(JSON.stringify({ reads, found, dropped: cache.counts.dropped, faults }));
