/**
 * Loads what `kiln bake` has written, and gives its functions and weights. Of the artefact it reads what runs here, of
 * Kiln it loads the device that this runs on; no compiler, and nothing evaluates text.
 *
 *     const { functions, weights } = await load<Functions, Weights>('model.kiln');
 *     const y = functions.forward(weights.params, x);
 *
 * The bytes are untrusted until they are checked: version, signature where a key is given, the hash of the header, then
 * that of each blob that is used, and every record before anything is made of it.
 */
import { KilnError } from '../../base/error.ts';
import { here } from '../../base/here.ts';
import { readArtefact } from '../artefact/read-artefact.ts';
import type { ArtefactContent } from '../artefact/records.ts';
import type { Device } from '../device.ts';
import type { Program } from '../program.ts';
import { LoadedFunction } from './function.ts';
import { openContainer, readBlobs } from './open-container.ts';
import { ProgramAssembly } from './programs.ts';
import type { PublicKey } from './signature.ts';
import { type ArtefactSource, type ByteSource, openSource } from './source.ts';
import { chooseTarget, type TargetOptions } from './target.ts';
import { defineField } from './trees.ts';
import { LoadedWeights } from './weights.ts';

export interface LoadOptions extends TargetOptions {
  /** Refuses what is not signed with this key: PEM text, the bytes of the key, a JWK or a `CryptoKey`, for Ed25519. */
  readonly publicKey?: PublicKey;
  /**
   * Compiled WebAssembly modules, as `kiln bake --wasm-modules` writes them, for engines that compile none at run time:
   * by the hash of the kernel, and the driver under `'driver'`. Kernels then run on one thread.
   */
  readonly modules?: ReadonlyMap<string, object>;
}

const knownOptions = ['device', 'threads', 'publicKey', 'modules'] as const satisfies (keyof LoadOptions)[];

/** What an artefact holds, ready to run. */
export interface Artefact<Functions, Weights> {
  readonly functions: Functions;
  /** Trees of arrays by name. They are yours: `dispose()` of the artefact releases those that are left. */
  readonly weights: Weights;
  /** The target that was chosen, such as `'wasm-threads'`. */
  readonly target: string;
  /** The device that it runs on: `'wasm'` or `'webgpu'`. */
  readonly device: string;
  /** Resolves when nothing is left to be made before the first call: worker threads have started, too. */
  ready(): Promise<void>;
  /** Releases weights and what functions have captured. Later calls are errors; again is no error. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** What functions are where the types of an artefact are not given. */
export type AnyFunctions = Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
export type AnyWeights = Readonly<Record<string, unknown>>;

/**
 * @param source a path (in Node), a URL, a response, a stream or the bytes
 * @throws KilnError (as a rejection) `not_a_file`, `not_an_artefact`, `truncated_artefact`, `corrupt_artefact`,
 *   `unsupported_version`, `invalid_program`, `missing_tier`, `invalid_signature`, `no_adapter`, `out_of_memory`,
 *   `compile_failed`, `invalid_argument`; then nothing is kept
 */
export async function load<Functions = AnyFunctions, Weights = AnyWeights>(
  source: ArtefactSource,
  options: LoadOptions = {},
): Promise<Artefact<Functions, Weights>> {
  const location = here();
  try {
    assertKnown(options);
    const bytes = await openSource(source);
    try {
      return await loadFrom<Functions, Weights>(bytes, options);
    } finally {
      await bytes.close();
    }
  } catch (error) {
    throw error instanceof KilnError ? error.at(location) : error;
  }
}

function assertKnown(options: LoadOptions): void {
  const isObject = typeof options === 'object' && options !== null;
  const unknown = isObject && Object.keys(options).find((name) => !(knownOptions as readonly string[]).includes(name));
  if (unknown === undefined) return;
  throw new KilnError('invalid_argument', 'load: an option is not right', {
    given: isObject ? `option ${unknown}` : `${options} for the options`,
    expected: knownOptions.join(', '),
  });
}

async function loadFrom<Functions, Weights>(
  bytes: ByteSource,
  options: LoadOptions,
): Promise<Artefact<Functions, Weights>> {
  const { preamble, header } = await openContainer(bytes);
  // Also a key that is undefined, as where a variable was not set: it is none.
  if ('publicKey' in options) {
    await (await import('./signature.ts')).checkSignature(preamble, options.publicKey);
  }
  const content = readArtefact(header.content, header.blobs.length);
  const { modules } = options;
  const wasmModules = modules && (await import('./modules.ts'));
  await wasmModules?.provideDriverOf(modules!);
  const chosen = await chooseTarget(
    wasmModules ? wasmModules.contentOf(content, modules!) : content,
    wasmModules ? { ...options, device: 'wasm', threads: 1 } : options,
  );
  await wasmModules?.provideKernels(content, header.blobs, modules!);

  const { name: target, device } = chosen;
  const loading: Promise<void>[] = [];
  const programs = new ProgramAssembly(content, header.blobs, chosen, (program) => {
    const made = device.loadAside(program);
    // Whatever fails first is what is reported.
    made.catch(() => undefined);
    loading.push(made);
  });
  const { weights: record } = content;
  const captured = new Set(content.functions.flatMap(({ captures }) => captures));
  const wanted = new Set(programs.wanted);
  const weightsBlob = record?.blob;
  if (weightsBlob !== undefined) wanted.add(weightsBlob);
  let weights: LoadedWeights | undefined;
  try {
    await readBlobs(bytes, header, wanted, (index, blob) => {
      if (record && index === weightsBlob) weights = new LoadedWeights(device, record, captured, blob);
      programs.take(index, blob);
    });
    await Promise.all(loading);
    return new LoadedArtefact(content, { target, device, weights, programs }) as unknown as Artefact<
      Functions,
      Weights
    >;
  } catch (error) {
    weights?.dispose();
    throw error;
  }
}

interface LoadedParts {
  readonly target: string;
  readonly device: Device;
  readonly weights: LoadedWeights | undefined;
  readonly programs: ProgramAssembly;
}

class LoadedArtefact implements Artefact<AnyFunctions, AnyWeights> {
  readonly functions: AnyFunctions = {};
  readonly weights: AnyWeights;
  readonly target: string;
  readonly device: string;
  readonly #device: Device;
  readonly #programs: readonly Program[];
  readonly #functions: readonly LoadedFunction[];
  readonly #weights: LoadedWeights | undefined;

  constructor({ functions }: ArtefactContent, { target, device, weights, programs }: LoadedParts) {
    this.target = target;
    this.device = device.name;
    this.weights = weights?.trees ?? {};
    this.#device = device;
    this.#weights = weights;
    this.#programs = functions.map((one) => programs.programOf(one, target));
    this.#functions = functions.map((one, i) => {
      const captures = one.captures.map((number) => weights!.captured(number));
      const loaded = new LoadedFunction(one, this.#programs[i], device, captures);
      const callable = (...args: readonly unknown[]): unknown => loaded.call(args);
      Object.defineProperty(callable, 'name', { value: one.name, configurable: true });
      defineField(this.functions, one.name, callable);
      return loaded;
    });
  }

  async ready(): Promise<void> {
    await Promise.all(this.#programs.map((program) => this.#device.warmup(program)));
  }

  dispose(): void {
    for (const one of this.#functions) one.dispose();
    this.#weights?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
