/**
 * What a page loads to run an artefact. The size of a page is the sum, after gzip, of all pieces that it loads for an
 * artefact of one backend on one thread: the entry `kilnjs/runtime`, the code of the backend, and what they share. Pieces
 * that only some pages load (threads, relaxed SIMD, signatures, symbolic sizes, donation, prepared arrays) are bounded too.
 *
 * The goal is 15 KB for one backend and 25 KB for both; `bounds` is what has been reached, and only ever goes down.
 */
import { describe, expect, it } from 'vitest';
import { formatSizes, type RuntimeSizes, sizesByEsbuild, sizesByVite } from '../../scripts/runtime-size.ts';

/** Bytes after gzip. */
const bounds = {
  esbuild: { wasm: 31_100, webgpu: 34_300, both: 41_700 },
  vite: { wasm: 29_700, webgpu: 33_200, both: 40_300 },
} as const;

/** The most that any piece adds which is loaded later; the hash for insecure pages is the largest. */
const mostLater = 6000;

const compilerRooms = /^(?:ir|passes|codegen|tracer|nn|cli|bench|plugin)\/|node_modules/;

function check(sizes: RuntimeSizes, most: (typeof bounds)[keyof typeof bounds]): void {
  const table = formatSizes(sizes);
  for (const page of ['wasm', 'webgpu', 'both'] as const) {
    const { gzip, pieces } = sizes[page];
    expect(gzip, `${page} is ${gzip} bytes, of at most ${most[page]}\n${table}`).toBeLessThanOrEqual(most[page]);
    expect(pieces.flatMap(({ files }) => files).filter((file) => compilerRooms.test(file))).toEqual([]);
  }
  const rooms = (page: 'wasm' | 'webgpu'): string[] =>
    sizes[page].pieces.flatMap(({ files }) => files).filter((file) => /^runtime\/(?:wasm|webgpu)\//.test(file));
  expect(rooms('wasm').filter((file) => file.startsWith('runtime/webgpu/') && !file.endsWith('presence.ts'))).toEqual(
    [],
  );
  expect(rooms('webgpu').filter((file) => file.startsWith('runtime/wasm/'))).toEqual([]);
  for (const [file, gzip] of Object.entries(sizes.later)) {
    expect(gzip, `${file}\n${table}`).toBeLessThanOrEqual(mostLater);
  }
}

describe('the runtime of baked artefacts', () => {
  it('is small when esbuild bundles it', async () => {
    check(await sizesByEsbuild(), bounds.esbuild);
  });

  it('is small when Vite bundles it', async () => {
    check(await sizesByVite(), bounds.vite);
  });
});
