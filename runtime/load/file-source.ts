/** Artefacts in files, of which only what is used is read. Loaded in Node alone. */
import { KilnError } from '../../base/error.ts';
import type { ByteSource, notAFile } from './source.ts';

type Files = typeof import('node:fs/promises');

/** What a first read takes along, so that small files are read at once. */
const headBytes = 256 << 10;

/**
 * @param given a path, or a `file:` address
 * @param refusal makes the error of what is no file; a parameter, so that bundlers leave it in the piece that loads first
 * @throws KilnError (as a rejection) `not_a_file`
 */
export async function openFile(files: Files, given: string, refusal: typeof notAFile): Promise<ByteSource> {
  try {
    const path = given.startsWith('file:') ? new URL(given) : given;
    // Before it is opened: a pipe would wait for its writer.
    const stats = await files.stat(path);
    if (!stats.isFile()) {
      throw refusal(stats.isDirectory() ? `the folder ${given}` : `${given}, which is no file`, 'name the file itself');
    }
    const handle = await files.open(path, 'r');
    const { size } = await handle.stat();
    return new FileSource(handle, size);
  } catch (cause) {
    if (cause instanceof KilnError) throw cause;
    throw refusal(
      `${given}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'check the path; one that is not absolute is looked up from the current folder of the process',
      cause,
    );
  }
}

class FileSource implements ByteSource {
  readonly mostAtOnce = 1 << 20;
  readonly #file: import('node:fs/promises').FileHandle;
  readonly #size: number;
  #head: Uint8Array | undefined;

  constructor(file: import('node:fs/promises').FileHandle, size: number) {
    this.#file = file;
    this.#size = size;
  }

  async read(begin: number, end: number): Promise<Uint8Array> {
    this.#head ??= await this.#readNow(0, headBytes);
    return end <= this.#head.length ? this.#head.subarray(begin, end) : this.#readNow(begin, end);
  }

  length(): Promise<number> {
    return Promise.resolve(this.#size);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #readNow(begin: number, end: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(end, this.#size) - begin));
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, begin + done);
      if (bytesRead === 0) return bytes.subarray(0, done);
      done += bytesRead;
    }
    return bytes;
  }
}
