/** What users of the plugin say, the same for every bundler. */
import { isAbsolute, resolve } from 'node:path';

export interface BakeOptions {
  /** What to bake for, such as `['wasm', 'wasm-threads', 'webgpu']`; `kiln bake` says which there are. */
  readonly targets?: readonly string[];
  /** Modules that are baked wherever they are imported, without the mark `?kiln`; paths have slashes everywhere. */
  readonly include?: RegExp | readonly RegExp[];
  /** A file with the private key that signs artefacts; the generated code then asks for that signature. */
  readonly sign?: string;
  /** Whether types are written beside TypeScript entries: `model.bake.kiln.d.ts`. True unless said otherwise. */
  readonly types?: boolean;
}

/** The options of a bake alone, as they travel to the process that does it. */
export interface BakeSettings {
  readonly targets?: readonly string[];
  readonly sign?: string;
}

export const settingsOf = ({ targets, sign }: BakeOptions): BakeSettings => ({
  ...(targets && { targets }),
  ...(sign !== undefined && { sign: isAbsolute(sign) ? sign : resolve(sign) }),
});

export const includedPatterns = ({ include = [] }: BakeOptions): readonly RegExp[] =>
  include instanceof RegExp ? [include] : include;

/** Whether a module is baked without a mark. */
export const isIncluded = (path: string, options: BakeOptions): boolean =>
  includedPatterns(options).some((pattern) => path.search(pattern) >= 0);
