/**
 * The environment's flags: what each is called, what it does, and how to read it. Nothing else in the project reads
 * one of them; `docs/flags.md` is generated from this table. In a browser every flag is unset.
 *
 *     KILN_DEBUG=passes,runtime node train.ts
 */

import { flag } from './flag.ts';

export { flag };

interface FlagInfo {
  /** What it takes. */
  readonly values: string;
  /** What holds without it. */
  readonly default: string;
  /** What it does, in a sentence or two. */
  readonly meaning: string;
}

/** Every flag, by name. Nothing that runs reads the texts, so that bundles do without them. */
export const flags = {
  KILN_CACHE: {
    values: 'off',
    default: 'on',
    meaning: 'Keeps nothing compiled from process to process, and reads nothing that was kept.',
  },
  KILN_CACHE_DIR: {
    values: 'a folder, which is created where needed',
    default: 'the folder `kiln` in the cache folder of the user',
    meaning:
      'Keeps compiled programs and what `autotune` has measured in that folder, which processes of this machine share.',
  },
  KILN_DEBUG: {
    values: 'topics with commas between: trace, passes, fusion, kernels, cache, runtime; or all',
    default: 'nothing is printed',
    meaning: 'Prints what happens inside while it happens, on standard error, by topic.',
  },
  KILN_DEVICE: {
    values: 'wasm or webgpu',
    default: 'wasm',
    meaning: 'The device that is used before init() or setDevice() chooses another; webgpu needs `await init()` first.',
  },
  KILN_DUMP: {
    values: 'a folder, which is created where needed',
    default: 'nothing is written',
    meaning: 'Writes every stage of each compiled function into the folder: graphs, kernels, code.',
  },
  KILN_RELAXED_SIMD: {
    values: 'off',
    default: 'on where the engine has relaxed SIMD and computes right with it',
    meaning:
      'Keeps the wasm device to plain SIMD: `fast` code then has no fused multiply-add, and gives the same bits on every engine.',
  },
  KILN_THREADS: {
    values: 'a number from 1 to 256',
    default: 'one for each core, at most 16',
    meaning:
      'The threads that kernels run on, the calling one among them, unless init() says how many. 1 keeps all work on ' +
      'the calling thread.',
  },
  KILN_VERIFY: {
    values: '1 or 0',
    default: '0',
    meaning: 'Checks the whole module after every pass, and that its text form round-trips.',
  },
} as const satisfies Record<string, FlagInfo>;

export type FlagName = keyof typeof flags;

/** The topics of KILN_DEBUG. */
const debugTopics = ['trace', 'passes', 'fusion', 'kernels', 'cache', 'runtime'] as const;
export type DebugTopic = (typeof debugTopics)[number];

/** Whether a flag is on: set, and neither `0` nor `off` nor `false`. */
export const isFlagOn = (name: FlagName): boolean => flag(name) !== undefined && !isFlagOff(name);

/** Whether a flag says `0`, `off` or `false`. */
export const isFlagOff = (name: FlagName): boolean => ['0', 'off', 'false'].includes(flag(name)?.toLowerCase() ?? '');

/** The value of KILN_DEBUG whose topics were checked last. */
let checked: string | undefined;

/** Whether KILN_DEBUG asks for a topic. Topics that do not exist are named once on standard error. */
export function isDebugging(topic: DebugTopic): boolean {
  const text = flag('KILN_DEBUG');
  if (text === undefined) return false;
  const asked = text.split(',').map((part) => part.trim());
  if (text !== checked) {
    checked = text;
    const topics: readonly string[] = [...debugTopics, 'all', ''];
    const unknown = asked.filter((name) => !topics.includes(name));
    if (unknown.length > 0)
      console.error(`[kiln] KILN_DEBUG: no topic ${unknown.join(', ')}; topics: ${debugTopics.join(', ')} or all`);
  }
  return asked.includes(topic) || asked.includes('all');
}

/** Prints one piece of debugging output, each line marked with its topic. Call it only where `isDebugging(topic)`. */
export function debug(topic: DebugTopic, text: string): void {
  console.error(text.replace(/^/gm, `[kiln ${topic}] `));
}
