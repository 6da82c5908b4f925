/**
 * Checks which way the doors open: every relative import between rooms must stand in `mayImport`. The rules are those
 * of `docs/architecture.md`. Exits with 1 and one line for each import that breaks a rule.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'acorn';
import { transformSync } from 'esbuild';

interface Rule {
  /** Rooms that may be imported, beside the room itself. `'*'` is every room. */
  readonly rooms: readonly string[];
  /** Single files of other rooms that may be imported too. */
  readonly files?: readonly string[];
  /** Sub-rooms that must not know each other. */
  readonly apart?: readonly string[];
}

const mayImport: Readonly<Record<string, Rule>> = {
  base: { rooms: [] },
  ir: { rooms: ['base'] },
  passes: { rooms: ['base', 'ir'] },
  codegen: {
    rooms: ['base', 'ir'],
    files: ['runtime/program.ts', 'runtime/wasm/control-block.ts', 'runtime/wasm/launch-layout.ts'],
    apart: ['wasm', 'wgsl'],
  },
  runtime: { rooms: ['base'] },
  tracer: { rooms: ['base', 'ir', 'passes', 'codegen', 'runtime'] },
  nn: { rooms: [], files: ['index.ts'] },
  bench: { rooms: ['*'] },
  cli: { rooms: ['tracer', 'runtime', 'base', 'bench'], files: ['index.ts'] },
  plugin: { rooms: ['tracer', 'runtime', 'base'], files: ['cli/load-module.ts'] },
  examples: {
    rooms: ['bench', 'cli'],
    files: ['index.ts', 'runtime/index.ts', 'scripts/start-times.ts', 'scripts/train-everywhere.ts'],
  },
  'index.ts': { rooms: ['tracer', 'runtime', 'base'] },
  scripts: { rooms: ['*'] },
  test: { rooms: ['*'] },
};

const root = fileURLToPath(new URL('..', import.meta.url));

const sourcesUnder = (folder: string): string[] =>
  readdirSync(folder).flatMap((entry) => {
    const path = join(folder, entry);
    if (statSync(path).isDirectory()) return sourcesUnder(path);
    return path.endsWith('.ts') && !path.endsWith('.d.ts') ? [path] : [];
  });

/** The relative specifiers a file imports, re-exports or loads with `import()`, types included. */
function importsOf(path: string): string[] {
  const code = readFileSync(path, 'utf8');
  const statements = code.matchAll(/^(?:import|export)\b[^;]*?\bfrom\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]/gm);
  const dynamic = code.matchAll(/\bimport\(\s*'([^']+)'\s*\)|new URL\(\s*'([^']+\.ts)'\s*,\s*import\.meta\.url/g);
  return [...statements, ...dynamic].map((match) => match[1] ?? match[2]).filter((name) => name.startsWith('.'));
}

/** That the scan above misses no static import: the same count as a parser finds after types are stripped. */
function assertScanIsComplete(path: string, found: readonly string[]): void {
  const { code } = transformSync(readFileSync(path, 'utf8'), { loader: 'ts', target: 'es2022' });
  const parsed = parse(code, { ecmaVersion: 'latest', sourceType: 'module' });
  for (const node of parsed.body) {
    if (!('source' in node) || !node.source || typeof node.source.value !== 'string') continue;
    const name = node.source.value;
    if (name.startsWith('.') && !found.includes(name)) throw new Error(`${path}: the scan missed '${name}'`);
  }
}

const roomOf = (path: string): string => path.split(sep)[0];

function faultsOf(path: string): string[] {
  const from = relative(root, path);
  const rule = mayImport[roomOf(from)];
  if (!rule) return [`${from}: the room '${roomOf(from)}' has no rule in scripts/check-imports.ts`];
  const imports = importsOf(path);
  assertScanIsComplete(path, imports);
  return imports.flatMap((specifier) => {
    const to = relative(root, join(dirname(path), specifier));
    const room = roomOf(to);
    const [fromPart, toPart] = [from.split(sep)[1], to.split(sep)[1]];
    if (room === roomOf(from)) {
      const apart = rule.apart?.includes(fromPart) && rule.apart.includes(toPart) && fromPart !== toPart;
      return apart ? [`${from} imports ${to}: these two targets must not know each other`] : [];
    }
    const allowed =
      rule.rooms.includes('*') || rule.rooms.includes(room) || rule.files?.includes(to.replaceAll(sep, '/'));
    return allowed ? [] : [`${from} imports ${to}: '${roomOf(from)}' must not import '${room}'`];
  });
}

const rooms = Object.keys(mayImport).map((room) => join(root, room));
const existing = rooms.filter((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
const files = existing.flatMap((path) => (statSync(path).isDirectory() ? sourcesUnder(path) : [path]));
const faults = files.flatMap(faultsOf);
for (const fault of faults) console.error(fault);
console.log(`import directions: ${files.length} files, ${faults.length} faults`);
process.exitCode = faults.length > 0 ? 1 : 0;
