/**
 * What the run and its hosts say to each other. A host is a process that holds one runtime with a number of threads;
 * it reads a request a line on standard input and writes an answer a line on file descriptor 3. While it waits it takes
 * no processor, so that hosts can be timed in turn. Arrays go through files.
 *
 *     → {"op":"prepare","key":"matmul 512/fast","mode":"fast","work":{…},"inputs":[{"name":"a",…},…],"folder":"…"}
 *     ← {"firstMs":31.5,"outputs":[{"file":"…","dtype":"float32"}]}
 *     → {"op":"run","key":"matmul 512/fast","calls":4,"lead":1}
 *     ← {"ms":20.7}
 */
import type { Work } from './rows.ts';
import type { ArrayType, DTypeName } from './work.ts';

export interface ArrayFile extends ArrayType {
  readonly file: string;
}

export type Request =
  | { readonly op: 'hello' }
  | {
      readonly op: 'prepare';
      /** Names what is prepared in later requests. */
      readonly key: string;
      readonly mode: string;
      readonly work: Work;
      readonly inputs: readonly ArrayFile[];
      /** Where to write results. */
      readonly folder: string;
    }
  | {
      readonly op: 'run';
      readonly key: string;
      readonly calls: number;
      /** Calls that are made before, and not timed: threads wake up, caches fill. */
      readonly lead: number;
    }
  | { readonly op: 'release'; readonly key: string };

/** What is not there, and why: a package, or an operation of one. */
export interface Absent {
  readonly absent: string;
}

export interface Failed {
  readonly error: string;
}

export interface Hello {
  /** The runtime and its version. */
  readonly name: string;
  /** What else matters for its speed. */
  readonly features: readonly string[];
}

export interface OutputFile {
  readonly file: string;
  readonly dtype: DTypeName;
}

export interface Prepared {
  /** From the request to the first result: building, compiling and one call. */
  readonly firstMs: number;
  readonly outputs: readonly OutputFile[];
  /** Most bytes of tensors at once in one call, where the runtime counts them. */
  readonly peakBytes?: number;
}

export interface Ran {
  /** Milliseconds of all calls together. */
  readonly ms: number;
}
