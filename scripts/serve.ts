/**
 * A web server for folders of this machine, with the headers that a page asks for.
 *
 *     const { origin, close } = await serveFolder(folder, { headers: isolation });
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize, sep } from 'node:path';

export type Headers = Readonly<Record<string, string>>;

/** With these a page is cross-origin isolated, so that its threads may share memory. */
export const isolation: Headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** What a host of libraries sends, so that pages of other origins may load them, isolated ones too. */
export const forOtherOrigins: Headers = {
  'Access-Control-Allow-Origin': '*',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** What the example page is served with: isolated, so that threads share memory, and allowed to run nothing but its own files. */
export const exampleHeaders: Headers = {
  ...isolation,
  'Content-Security-Policy': "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:",
};

export interface ServedFolder {
  /** `http://localhost:PORT` */
  readonly origin: string;
  close(): void;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
  '.map': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
};

/** @param options.port a free one unless given */
export async function serveFolder(
  folder: string,
  { headers = {}, port = 0 }: { readonly headers?: Headers; readonly port?: number } = {},
): Promise<ServedFolder> {
  const server = createServer(async ({ url = '/' }, response) => {
    const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
    const file = normalize(join(folder, path.endsWith('/') ? `${path}index.html` : path));
    try {
      if (!file.startsWith(normalize(folder) + sep)) throw new Error('outside of the folder');
      const content = await readFile(file);
      response.writeHead(200, { ...headers, 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
      response.end(content);
    } catch {
      response.writeHead(404, headers);
      response.end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { origin: `http://localhost:${(server.address() as AddressInfo).port}`, close };
}
