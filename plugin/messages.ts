/** What the plugin and the process that bakes say to each other. */
import type { BakeSettings } from './options.ts';

export interface BakeRequest {
  /** The module with `export default defineBake(…)`. */
  readonly entry: string;
  readonly settings: BakeSettings;
}

/** An artefact. */
export interface BakedArtefact {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Types of its functions and weights, as `kiln bake` writes them beside an artefact. */
  readonly declarations: string;
  /** Of the key that has signed it. */
  readonly publicKey?: string;
}

/** A reason why there is none, and where in the user's source it is. */
export interface BakeFailure {
  readonly message: string;
  /** The message and the user's frames. */
  readonly stack?: string;
  readonly place?: Place;
}

/** Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `files`: the user's files that were loaded or read, the entry among them; those of packages are not listed. */
export type BakeReply =
  | { readonly artefact: BakedArtefact; readonly files: readonly string[] }
  | { readonly failures: readonly BakeFailure[]; readonly files: readonly string[] };
