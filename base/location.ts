/**
 * Where in the user's source a thing was made. Capturing keeps only the engine's raw stack; it is turned into
 * text when somebody looks, so that tracing an op stays cheap.
 */

import { isDebugging } from './flags.ts';
import { findPlacesWith } from './here.ts';

/** One line of the user's source. Lines and columns count from 1. */
export interface SourceFrame {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly functionName?: string;
}

/** Folders of this package whose frames are never the user's. */
const ownFolders = ['base', 'ir', 'passes', 'codegen', 'runtime', 'tracer', 'nn', 'cli', 'plugin'];
// A variable: bundlers take `new URL('…', import.meta.url)` for a file to carry along.
const here: string = import.meta.url;
const packageRoot = new URL('../', here).href;

/** Defined where Kiln alone is bundled, into chunks side by side (`scripts/bundle-browser.ts`). */
declare const KILN_BUNDLE: boolean | undefined;
const isBundle = typeof KILN_BUNDLE !== 'undefined';
const bundleFolder = new URL('./', here).href;
const bundledFile = /^(?:kiln|runtime|[\w.]+-[A-Z0-9]{8})\.js\b/;

/** Whether a file, as a path or a URL, is part of this package. */
export const isOwnFile = (file: string): boolean => {
  const url = file.startsWith('file:') || file.includes('://') ? file : `file://${encodeURI(file)}`;
  if (isBundle) return url.startsWith(bundleFolder) && bundledFile.test(url.slice(bundleFolder.length));
  if (!url.startsWith(packageRoot)) return false;
  const inside = url.slice(packageRoot.length);
  return inside.startsWith('index.') || ownFolders.some((folder) => inside.startsWith(`${folder}/`));
};

const parseFrame = (text: string): SourceFrame | undefined => {
  const match =
    /^\s*at (?:async )?(?:(.*?) \()?(.*?):(\d+):(\d+)\)?$/.exec(text) ?? /^(.*?)@(.*?):(\d+):(\d+)$/.exec(text);
  if (!match) return undefined;
  const [, functionName, file, line, column] = match;
  if (file.startsWith('node:') || file.includes('/node_modules/') || file === '<anonymous>') return undefined;
  return { file, line: Number(line), column: Number(column), ...(functionName && { functionName }) };
};

/** A file as people write it: `file:///my%20app/a.ts?v=1` is `/my app/a.ts`. */
function pathOf(file: string): string {
  if (!file.startsWith('file://')) return file.replace(/\?.*$/, '');
  const path = file.slice('file://'.length).replace(/\?.*$/, '');
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** A place in the user's source: either a raw stack not yet looked at, or a frame that is already known. */
export class SourceLocation {
  #stack: { readonly stack?: string } | undefined;
  #frames: readonly SourceFrame[] | undefined;

  private constructor(stack: { readonly stack?: string } | undefined, frames?: readonly SourceFrame[]) {
    this.#stack = stack;
    this.#frames = frames;
  }

  /** The place that is calling Kiln right now. */
  static capture(): SourceLocation {
    const holder: { stack?: string } = {};
    const errorClass = Error as ErrorConstructor & { captureStackTrace?(target: object, above?: unknown): void };
    if (errorClass.captureStackTrace) errorClass.captureStackTrace(holder, SourceLocation.capture);
    else return new SourceLocation(new Error());
    return new SourceLocation(holder);
  }

  /** The place where an error was made. */
  static ofError(error: Error): SourceLocation {
    return new SourceLocation(error);
  }

  static of(file: string, line: number, column: number): SourceLocation {
    return new SourceLocation(undefined, [{ file, line, column }]);
  }

  /** The user's frames, innermost first. */
  get frames(): readonly SourceFrame[] {
    if (!this.#frames) {
      const lines = (this.#stack?.stack ?? '').split('\n');
      this.#frames = lines
        .map(parseFrame)
        .filter((frame) => frame !== undefined)
        .filter((frame) => !isOwnFile(frame.file));
      this.#stack = undefined;
    }
    return this.#frames;
  }

  /** How consoles print it. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }

  /** `file:line:column` of the user's innermost frame, or the empty string. */
  toString(): string {
    const frame = this.frames[0];
    if (!frame) return '';
    return `${pathOf(frame.file)}:${frame.line}:${frame.column}`;
  }
}

/**
 * How many calls of `dispose()` still remember their line, which costs many times the release itself. A mistake in a
 * loop shows in its first rounds; later ones say how to see the line. `KILN_DEBUG=runtime` remembers them all.
 */
let linesToRemember = 4096;

function hereAtFirst(): SourceLocation | undefined {
  if (linesToRemember <= 0) return undefined;
  linesToRemember -= 1;
  if (linesToRemember === 0 && isDebugging('runtime')) linesToRemember = Number.POSITIVE_INFINITY;
  return SourceLocation.capture();
}

findPlacesWith({ here: SourceLocation.capture, hereAtFirst });
