/**
 * What a page loads that runs baked artefacts: `kilnjs/runtime` bundled by esbuild and by Vite (Rollup), each with its own
 * way of cutting pieces. A page with an artefact of one backend loads the entry, the code of that backend, and whatever
 * pieces those import, all at once; its size is the sum of these pieces, each compressed by itself with gzip, as a server
 * sends them. Pieces that load only when a program or a page needs them (threads, relaxed SIMD, signatures …) are listed
 * with their own sizes.
 *
 *     npx tsx scripts/runtime-size.ts
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build as esbuild } from 'esbuild';
import { build as vite } from 'vite';

const root = fileURLToPath(new URL('..', import.meta.url));
const entry = join(root, 'runtime/index.ts');

/** Files that are loaded by `import()` for a backend. */
const backends = { wasm: 'runtime/wasm/register.ts', webgpu: 'runtime/webgpu/device.ts' } as const;

/** A piece of a bundle. */
interface Piece {
  readonly name: string;
  /** The file that an `import()` asks for, relative to the project, where the piece is that of one. */
  readonly asked: string | undefined;
  readonly code: string | Uint8Array;
  /** Pieces that load with it. */
  readonly imports: readonly string[];
  /** Files inside, relative to the project. */
  readonly files: readonly string[];
}

/** A page, by what it loads. */
export interface PageSize {
  /** Bytes after gzip, of all pieces together. */
  readonly gzip: number;
  readonly pieces: readonly { readonly name: string; readonly gzip: number; readonly files: readonly string[] }[];
}

export interface RuntimeSizes {
  readonly wasm: PageSize;
  readonly webgpu: PageSize;
  readonly both: PageSize;
  /** What `import()` asks for beside the backends, by file: bytes after gzip that it adds to a page with both. */
  readonly later: Readonly<Record<string, number>>;
}

const gzipped = (code: string | Uint8Array): number => gzipSync(code, { level: 9 }).length;

function sizesOf(pieces: readonly Piece[]): RuntimeSizes {
  const byName = new Map(pieces.map((piece) => [piece.name, piece]));
  const reach = (piece: Piece | undefined, found = new Set<Piece>()): Set<Piece> => {
    if (!piece || found.has(piece)) return found;
    found.add(piece);
    for (const name of piece.imports) reach(byName.get(name), found);
    return found;
  };
  const asked = (file: string): Piece => {
    // A file that is asked for may lie in a piece that others import, too.
    const piece = pieces.find((one) => one.asked === file) ?? pieces.find(({ files }) => files.includes(file));
    if (!piece) throw new Error(`no piece for ${file}`);
    return piece;
  };
  const pageOf = (files: readonly string[]): Set<Piece> => {
    const found = reach(asked('runtime/index.ts'));
    for (const file of files) reach(asked(file), found);
    return found;
  };
  const sizeOf = (page: Set<Piece>): PageSize => {
    const listed = [...page].map(({ name, code, files }) => ({ name, gzip: gzipped(code), files }));
    return { gzip: listed.reduce((sum, { gzip }) => sum + gzip, 0), pieces: listed };
  };
  const both = pageOf(Object.values(backends));
  const later = pieces.flatMap((piece) => {
    if (piece.asked === undefined || both.has(piece)) return [];
    const added = [...reach(piece)].filter((one) => !both.has(one));
    return [[piece.asked, added.reduce((sum, { code }) => sum + gzipped(code), 0)] as const];
  });
  return {
    wasm: sizeOf(pageOf([backends.wasm])),
    webgpu: sizeOf(pageOf([backends.webgpu])),
    both: sizeOf(both),
    later: Object.fromEntries(later),
  };
}

/** Bundled by esbuild: `--bundle --splitting --minify --format=esm`. */
export async function sizesByEsbuild(): Promise<RuntimeSizes> {
  const { outputFiles, metafile } = await esbuild({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    external: ['node:*'],
    outdir: join(root, 'unused'),
    write: false,
    metafile: true,
    legalComments: 'none',
    logLevel: 'error',
  });
  const outputs = Object.entries(metafile.outputs);
  return sizesOf(
    outputs.map(([name, { entryPoint, imports, inputs }]) => ({
      name,
      asked: entryPoint,
      code: outputFiles.find(({ path }) => path === join(root, name))!.contents,
      imports: imports.flatMap(({ kind, path }) => (kind === 'import-statement' ? [path] : [])),
      files: Object.keys(inputs),
    })),
  );
}

/** Bundled by Vite, as a page that imports all that there is. */
export async function sizesByVite(): Promise<RuntimeSizes> {
  const result = await vite({
    root,
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      target: 'es2022',
      modulePreload: false,
      rollupOptions: { input: entry, preserveEntrySignatures: 'strict', external: [/^node:/] },
    },
  });
  const { output } = (Array.isArray(result) ? result[0] : result) as { readonly output: readonly unknown[] };
  const relative = (path: string): string => (path.startsWith(root) ? path.slice(root.length) : path);
  const chunks = (output as readonly ViteOutput[]).filter((one): one is ViteChunk => one.type === 'chunk');
  return sizesOf(
    chunks.map(({ fileName, facadeModuleId, code, imports, modules }) => ({
      name: fileName,
      asked: facadeModuleId ? relative(facadeModuleId) : undefined,
      code,
      imports,
      files: Object.keys(modules).map(relative),
    })),
  );
}

interface ViteChunk {
  readonly type: 'chunk';
  readonly fileName: string;
  readonly facadeModuleId: string | null;
  readonly code: string;
  readonly imports: readonly string[];
  readonly modules: Readonly<Record<string, unknown>>;
}

type ViteOutput = ViteChunk | { readonly type: 'asset' };

/** Sizes as a table. */
export function formatSizes({ later, ...pages }: RuntimeSizes): string {
  const lines = Object.entries(pages).map(
    ([name, { gzip, pieces }]) => `${name}: ${gzip} bytes in ${pieces.length} pieces`,
  );
  lines.push('later:', ...Object.entries(later).map(([file, gzip]) => `  ${file}: ${gzip}`));
  return lines.join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(`esbuild\n${formatSizes(await sizesByEsbuild())}\n\nVite\n${formatSizes(await sizesByVite())}`);
}
