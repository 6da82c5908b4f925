/**
 * One start, in a process or a page of its own: from after the imports to the first launch and to the first result. The
 * arguments are there as typed arrays before; copying them to the device is user's work, and its time is taken out.
 * Everything else is in: the device, the trace, the cache, the kernels.
 */
import type * as Kiln from '../../index.ts';
import type * as Loader from '../../runtime/index.ts';
import type { FirstLaunch } from './first-launch.ts';
import type { ArgumentTree, ArrayPlace, HostArguments } from './host-arguments.ts';
import type { Workload } from './titles.ts';

/**
 * - `cold`: nothing was compiled before.
 * - `warm`: the function is traced, and its program is in the cache.
 * - `keyed`: the same with the option `cache: 'key'`, so that nothing is traced.
 * - `baked`: the program is loaded from an artefact.
 */
export const modes = ['cold', 'warm', 'keyed', 'baked'] as const;
export type Mode = (typeof modes)[number];

/** What a start took, in milliseconds. */
export interface Start {
  readonly imports: number;
  /** Copying the arguments. */
  readonly upload: number;
  /** From after the imports to the first launch, without the copies. */
  readonly launch: number;
  /** The same to the bytes of all results. */
  readonly result: number;
  /** SHA-256 of the results. */
  readonly digest: string;
  /** Programs that were compiled, and that came from the cache. */
  readonly compiles: number;
  readonly hits: number;
}

/** A module that was imported, and the time it took. */
export interface Imported<T> {
  readonly module: T;
  readonly imports: number;
}

export async function imported<T>(load: () => Promise<T>): Promise<Imported<T>> {
  const start = performance.now();
  const module = await load();
  return { module, imports: performance.now() - start };
}

/** Starts a function that is compiled here, or was. */
export async function startCompiled(
  { module: kiln, imports }: Imported<typeof Kiln>,
  model: { readonly name: string; fn(...args: unknown[]): unknown },
  { key, args, launch }: { readonly key?: string; readonly args: HostArguments; readonly launch: FirstLaunch },
): Promise<Start> {
  const begin = performance.now();
  await kiln.init();
  const [values, upload] = copied(args, kiln.tensor);
  const compiled = kiln.compile(model.fn, { name: model.name, ...(key !== undefined && { cache: key }) });
  const times = await finished(compiled(...values), { begin, upload, launch });
  const { compiles, hits } = compiled.stats();
  return { imports, upload, ...times, compiles, hits: hits.disk };
}

/** Starts a function of an artefact. */
export async function startBaked(
  { module: loader, imports }: Imported<typeof Loader>,
  source: string,
  { args, launch }: { readonly args: HostArguments; readonly launch: FirstLaunch },
): Promise<Start> {
  const begin = performance.now();
  const { functions } = await loader.load<{ readonly run: (...args: unknown[]) => unknown }>(source);
  const [values, upload] = copied(args, loader.tensor);
  const times = await finished(functions.run(...values), { begin, upload, launch });
  return { imports, upload, ...times, compiles: 0, hits: 0 };
}

/** What `tensor` of either package takes here. */
type MakeTensor = (data: Float32Array | Int32Array, options: { readonly shape: readonly number[] }) => unknown;

/** The arguments on the device, and the milliseconds of copying them there. */
function copied({ tree, bytes }: HostArguments, tensor: MakeTensor): [values: unknown[], milliseconds: number] {
  const start = performance.now();
  const value = (part: ArgumentTree): unknown => {
    if (part === null) return null;
    if (isPlace(part)) {
      const { dtype, shape, at } = part;
      const length = shape.reduce((product, size) => product * size, 1);
      const elements = dtype === 'int32' ? Int32Array : Float32Array;
      return tensor(new elements(bytes.buffer, bytes.byteOffset + at, length), { shape });
    }
    if (Array.isArray(part)) return part.map(value);
    return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, value(inner as ArgumentTree)]));
  };
  const values = tree.map(value);
  return [values, performance.now() - start];
}

const isPlace = (part: ArgumentTree): part is ArrayPlace =>
  part !== null && 'at' in part && typeof (part as ArrayPlace).at === 'number';

/** Waits for the results. */
async function finished(
  results: unknown,
  { begin, upload, launch }: { readonly begin: number; readonly upload: number; readonly launch: FirstLaunch },
): Promise<Pick<Start, 'launch' | 'result' | 'digest'>> {
  const arrays = await Promise.all(leavesOf(results).map((leaf) => leaf.data()));
  const result = performance.now() - begin - upload;
  if (launch.at === undefined) throw new Error('there are results, and nothing was launched');
  return { launch: launch.at - begin - upload, result, digest: await digestOf(arrays) };
}

interface Leaf {
  data(): Promise<ArrayBufferView>;
}

/** The arrays of a tree, in the order of the names of fields. */
function leavesOf(value: unknown): Leaf[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('data' in value && typeof value.data === 'function') return [value as Leaf];
  if (Array.isArray(value)) return value.flatMap(leavesOf);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return fields.flatMap(([, field]) => leavesOf(field));
}

interface WebCrypto {
  readonly crypto: { readonly subtle: { digest(name: string, data: Uint8Array): Promise<ArrayBuffer> } };
}

async function digestOf(arrays: readonly ArrayBufferView[]): Promise<string> {
  const { crypto } = globalThis as unknown as WebCrypto;
  const whole = new Uint8Array(arrays.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    whole.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += byteLength;
  }
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The key of a workload in `keyed` mode. */
export const keyOf = (workload: Workload): string => `bench/startup ${workload}`;
