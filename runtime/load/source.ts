/**
 * Where an artefact comes from, as bytes that are asked for from the front to the back:
 *
 *     const bytes = await openSource('model.kiln');
 *     await bytes.read(0, 112)          // Uint8Array; shorter where the source ends
 *     await bytes.read(4096, 8192)      // what lies between is skipped: not read where the source allows
 *     await bytes.length(9000)          // how many bytes there are, counted no further than to 9000 and one
 *     await bytes.close()
 */
import { KilnError } from '../../base/error.ts';

/** The part of a stream of bytes that is used, without the types of the DOM. */
export interface ByteStream {
  getReader(): ByteStreamReader;
}

interface ByteStreamReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<unknown>;
}

interface ResponseLike {
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly body: ByteStream | null;
}

interface BlobLike {
  readonly size: number;
  slice(begin: number, end: number): BlobLike;
  arrayBuffer(): Promise<ArrayBuffer>;
}

/**
 * A path (in Node), the address of something that `fetch` or the file system has, a response or the promise of one, a
 * stream, or the bytes themselves.
 */
export type ArtefactSource =
  | string
  | { readonly href: string }
  | ResponseLike
  | PromiseLike<ResponseLike>
  | ByteStream
  | BlobLike
  | ArrayBufferLike
  | ArrayBufferView;

export interface ByteSource {
  /** How much is worth asking for at once; less where bytes come by and by. */
  readonly mostAtOnce: number;
  /** The bytes from `begin` to before `end`, fewer where the source ends. `begin` is never before an earlier `end`. */
  read(begin: number, end: number): Promise<Uint8Array>;
  /** How many bytes there are, or some number above `most` where there are more than that. */
  length(most: number): Promise<number>;
  close(): Promise<void>;
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:fs/promises'): typeof import('node:fs/promises') | undefined;
}

const nodeFiles = (): typeof import('node:fs/promises') | undefined =>
  (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.('node:fs/promises');

/** @throws KilnError (as a rejection) `not_a_file`, `invalid_argument` for what is no source */
export async function openSource(given: ArtefactSource): Promise<ByteSource> {
  const source = isObjectWith(given, 'then') ? await (given as PromiseLike<ResponseLike>) : given;
  if (typeof source === 'string') return openText(source);
  if (ArrayBuffer.isView(source)) {
    return bytesSource(new Uint8Array(source.buffer, source.byteOffset, source.byteLength));
  }
  if (/ (?:Shared)?ArrayBuffer]/.test(Object.prototype.toString.call(source))) {
    return bytesSource(new Uint8Array(source as ArrayBuffer));
  }
  if (isObjectWith(source, 'getReader')) return new StreamSource(source as ByteStream);
  if (isObjectWith(source, 'status')) return openResponse(source as ResponseLike);
  if (isObjectWith(source, 'arrayBuffer')) return new BlobSource(source as BlobLike);
  if (isObjectWith(source, 'href')) return openText((source as { readonly href: string }).href);
  throw new KilnError('invalid_argument', 'load: this is nothing to load from', {
    given: source === null ? 'null' : typeof source,
    expected: 'a path, a URL, a Response, a ReadableStream (in Node by Readable.toWeb) or bytes',
  });
}

const isObjectWith = (value: unknown, name: string): boolean =>
  typeof value === 'object' && value !== null && name in value;

/** The error of a place where there is no artefact. */
export const notAFile = (given: string, hint: string, cause?: unknown): KilnError =>
  new KilnError('not_a_file', 'load: there is no artefact there', {
    given,
    expected: 'a file that `kiln bake` has written',
    hint,
    cause,
  });

/** A path or an address; two letters before the colon, since one is a drive of Windows. */
async function openText(text: string): Promise<ByteSource> {
  const files = nodeFiles();
  if (files && (text.startsWith('file:') || !/^[a-z][a-z\d+.-]+:/i.test(text))) {
    return (await import('./file-source.ts')).openFile(files, text, notAFile);
  }
  let response: ResponseLike;
  try {
    response = await fetch(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw notAFile(`${text}: ${why}`, 'check the address, and that the server lets this page read it (CORS)', cause);
  }
  return openResponse(response);
}

function openResponse({ ok, status, statusText, url, body }: ResponseLike): ByteSource {
  if (!ok) {
    const answer = `HTTP status ${status}${statusText ? ` ${statusText}` : ''}`;
    throw notAFile(`${answer}${url ? ` from ${url}` : ''}`, 'check the address, and that the file is deployed');
  }
  if (!body) throw notAFile(`a response without a body${url ? ` from ${url}` : ''}`, 'answer with the bytes');
  return new StreamSource(body);
}

function bytesSource(bytes: Uint8Array): ByteSource {
  // Others could change shared bytes after they were checked.
  const isShared = Object.prototype.toString.call(bytes.buffer) !== '[object ArrayBuffer]';
  const own = isShared ? bytes.slice() : bytes;
  return {
    mostAtOnce: own.length,
    read: (begin, end) => Promise.resolve(own.subarray(begin, end)),
    length: () => Promise.resolve(own.length),
    close: () => Promise.resolve(),
  };
}

class BlobSource implements ByteSource {
  readonly mostAtOnce = 1 << 20;
  readonly #blob: BlobLike;

  constructor(blob: BlobLike) {
    this.#blob = blob;
  }

  async read(begin: number, end: number): Promise<Uint8Array> {
    return new Uint8Array(await this.#blob.slice(begin, end).arrayBuffer());
  }

  length(): Promise<number> {
    return Promise.resolve(this.#blob.size);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** What comes in pieces, in order. */
class StreamSource implements ByteSource {
  readonly mostAtOnce = 64 << 10;
  readonly #reader: ByteStreamReader;
  /** The piece that came last, which begins at `#at`. */
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;
  #isDone = false;

  constructor(stream: ByteStream) {
    try {
      this.#reader = stream.getReader();
    } catch (cause) {
      throw new KilnError('invalid_argument', 'load: the body of the response or stream has been read already', {
        given: cause instanceof Error ? cause.message : String(cause),
        hint: 'load it once, or load a clone()',
      });
    }
  }

  async read(begin: number, end: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let from = begin;
    while (from < end && (await this.#reach(from))) {
      const part = this.#piece.subarray(from - this.#at, end - this.#at);
      pieces.push(part);
      from += part.length;
    }
    if (pieces.length === 1) return pieces[0];
    const bytes = new Uint8Array(from - begin);
    let to = 0;
    for (const piece of pieces) {
      bytes.set(piece, to);
      to += piece.length;
    }
    return bytes;
  }

  async length(most: number): Promise<number> {
    while (this.#at + this.#piece.length <= most && (await this.#next()));
    return this.#at + this.#piece.length;
  }

  async close(): Promise<void> {
    if (!this.#isDone) await this.#reader.cancel().catch(() => undefined);
  }

  /** Goes on until the piece at hand holds a byte; whether there is such a byte. */
  async #reach(byte: number): Promise<boolean> {
    while (byte >= this.#at + this.#piece.length) if (!(await this.#next())) return false;
    return true;
  }

  async #next(): Promise<boolean> {
    if (this.#isDone) return false;
    const { done, value } = await this.#reader.read().catch((cause: unknown) => {
      this.#isDone = true;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new KilnError('truncated_artefact', 'the artefact broke off on its way', {
        given: `${this.#at + this.#piece.length} bytes, then: ${why}`,
        hint: 'load it again',
        cause,
      });
    });
    this.#isDone = done;
    if (done) return false;
    if (!ArrayBuffer.isView(value)) {
      throw new KilnError('invalid_argument', 'load: a stream of something else than bytes', { given: typeof value });
    }
    this.#at += this.#piece.length;
    this.#piece = value;
    return true;
  }
}
