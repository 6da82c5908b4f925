/**
 * Measures the vector math functions of the WASM backend: the largest error in ULP against double precision, and the
 * time for an element.
 *
 *     npx tsx bench/math.ts                        a sample of the arguments, in seconds
 *     npx tsx bench/math.ts --exhaustive           every float32 for functions of one operand, in some twenty minutes
 *     npx tsx bench/math.ts --exhaustive --write   the same, and writes docs/accuracy.md
 *     npx tsx bench/math.ts tanh exponential       these functions alone
 *
 * Functions that are odd or even are compared with the reference for arguments of positive sign; for the others the
 * result must be the same bits but for the sign.
 */
import { performance } from 'node:perf_hooks';
import { loadBinaryen } from '../codegen/wasm/load.ts';
import { fastVectorMath, vectorMath } from '../codegen/wasm/math/index.ts';
import { buildMap } from '../codegen/wasm/math/map.ts';
import { writeSection } from './accuracy-page.ts';
import { createMemory, instantiate, type WasmFunction } from './instantiate.ts';
import { type BinaryName, binaryReferences, type UnaryName, ulpError, unaryReferences } from './math-reference.ts';
import { fillPairs, randomBits } from './math-samples.ts';

/** Numbers in one call of the map, and where its arrays begin. */
const block = 1 << 16;
const memory = createMemory(64);
const xBits = new Uint32Array(memory.buffer, 0, block);
const x = new Float32Array(memory.buffer, 0, block);
const y = new Float32Array(memory.buffer, 4 * block, block);
const result = new Float32Array(memory.buffer, 8 * block, block);
const resultBits = new Uint32Array(memory.buffer, 8 * block, block);

const runBlock = (map: WasmFunction): void => map(0, 4 * block, 8 * block, 4 * block);

interface Worst {
  error: number;
  at: readonly number[];
}

/** The sign that f(-x) has against f(x), for functions where that is so in every bit. */
const symmetry: { readonly [K in UnaryName]?: 'odd' | 'even' } = {
  cosine: 'even',
  erf: 'odd',
  sign: 'odd',
  sine: 'odd',
  tanh: 'odd',
};

function unaryError(name: UnaryName, map: WasmFunction, stride: number): Worst {
  const reference = unaryReferences[name];
  const worst: Worst = { error: 0, at: [] };
  const end = symmetry[name] ? 2 ** 31 : 2 ** 32;
  for (let start = 0; start < end; start += block * stride) {
    for (let i = 0; i < block; i++) xBits[i] = Math.min(start + i * stride, end - 1);
    runBlock(map);
    for (let i = 0; i < block; i++) {
      const exact = reference(x[i]);
      // Correctly rounded results, nearly all, need no closer look.
      if (result[i] === Math.fround(exact) && exact !== 0) {
        if (worst.error === 0 && result[i] !== exact) worst.error = 0.5;
        continue;
      }
      const error = ulpError(result[i], exact);
      if (error > worst.error) Object.assign(worst, { error, at: [x[i]] });
    }
    if (symmetry[name]) checkSymmetry(name, map);
  }
  return worst;
}

/** Runs the block once more with all signs flipped. */
function checkSymmetry(name: UnaryName, map: WasmFunction): void {
  const before = resultBits.slice();
  const flip = symmetry[name] === 'odd' ? 0x80000000 : 0;
  for (let i = 0; i < block; i++) xBits[i] = (xBits[i] ^ 0x80000000) >>> 0;
  runBlock(map);
  for (let i = 0; i < block; i++) {
    const same = resultBits[i] === (before[i] ^ flip) >>> 0;
    if (!same && !Number.isNaN(result[i])) throw new Error(`${name} is not ${symmetry[name]} at ${x[i]}`);
  }
}

function binaryError(name: BinaryName, map: WasmFunction, blocks: number): Worst {
  const reference = binaryReferences[name];
  const random = randomBits(1);
  const worst: Worst = { error: 0, at: [] };
  for (let round = 0; round < blocks; round++) {
    fillPairs(x, y, round % 4, random);
    runBlock(map);
    for (let i = 0; i < block; i++) {
      const error = ulpError(result[i], reference(x[i], y[i]));
      if (error > worst.error) Object.assign(worst, { error, at: [x[i], y[i]] });
    }
  }
  return worst;
}

/** Nanoseconds for an element: the best of many runs over 256 KiB of ordinary arguments, one thread. */
function timePerElement(map: WasmFunction): number {
  for (let i = 0; i < block; i++) {
    x[i] = Math.abs(10 * Math.sin(12.9898 * i)) + 0.01;
    y[i] = 3 * Math.sin(7.23 * i);
  }
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 400; round++) {
    const start = performance.now();
    runBlock(map);
    best = Math.min(best, performance.now() - start);
  }
  return (best * 1e6) / block;
}

/** How a function is built. */
const ways = {
  strict: { functions: vectorMath, isFused: false },
  fast: { functions: fastVectorMath, isFused: false },
  fused: { functions: fastVectorMath, isFused: true },
} as const;
type Way = keyof typeof ways;
const wayNames = Object.keys(ways) as Way[];

interface Measured {
  readonly worst: Worst;
  readonly nanoseconds: number;
}

interface Row {
  readonly name: string;
  readonly arguments: string;
  readonly measured: Readonly<Record<Way, Measured>>;
}

const preamble = `With \`--exhaustive\` the arguments of functions of one operand are all 2^32 of them. (Odd and even functions are
compared with the reference for one sign; for the other the bits are checked to be the same but for the sign.)

- strict: plain SIMD128, each product and sum rounded. The same bits on every engine.
- fast: the same instructions, with shorter ways to some functions (\`codegen/wasm/math/fast.ts\`).
- fused: \`fast\` on an engine with relaxed SIMD that fuses products and sums.

Small results underflow through the subnormal numbers.

The time is the best of many runs over 65,536 elements in cache, one thread, on a 2-core x86-64 machine; loading and
storing, about 0.1 ns, is included. \`abs\`, \`sqrt\`, \`floor\`, \`ceil\` and \`round_nearest_even\` are single instructions
and exact.

`;

function table(rows: readonly Row[]): string {
  const errorText = (error: number): string => (error === 0 ? 'exact' : (Math.ceil(error * 100) / 100).toFixed(2));
  const lines = rows.map(({ name, arguments: range, measured }) => {
    const errors = wayNames.map((way) => errorText(measured[way].worst.error));
    const times = wayNames.map((way) => measured[way].nanoseconds.toFixed(2));
    return `| ${[`\`${name}\``, ...errors, ...times, range].join(' | ')} |`;
  });
  const columns = ['function', ...wayNames.map((way) => `${way}, ULP`), ...wayNames.map((way) => `${way}, ns/element`)];
  return [`| ${[...columns, 'arguments'].join(' | ')} |`, `|${' --- |'.repeat(8)}`, ...lines].join('\n').concat('\n');
}

async function main(): Promise<void> {
  const flags = process.argv.slice(2);
  const exhaustive = flags.includes('--exhaustive');
  const wanted = flags.filter((flag) => !flag.startsWith('--'));
  const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
  const binaryen = await loadBinaryen();
  const rows: Row[] = [];
  const measureWays = (name: UnaryName | BinaryName, range: string, worstOf: (map: WasmFunction) => Worst): void => {
    if (!isWanted(name)) return;
    const measured = Object.fromEntries(
      wayNames.map((way) => {
        const { functions, isFused } = ways[way];
        const { map } = instantiate(buildMap(binaryen, functions[name], { unroll: 4, isFused }), memory);
        const nanoseconds = timePerElement(map);
        const worst = worstOf(map);
        console.log(`${name}, ${way}: ${worst.error.toFixed(3)} ULP at ${worst.at}, ${nanoseconds.toFixed(2)} ns`);
        return [way, { worst, nanoseconds }];
      }),
    ) as Record<Way, Measured>;
    rows.push({ name, arguments: range, measured });
  };
  const stride = exhaustive ? 1 : 499;
  for (const name of Object.keys(unaryReferences) as UnaryName[]) {
    measureWays(name, exhaustive ? 'all' : `each ${stride}th`, (map) => unaryError(name, map, stride));
  }
  const blocks = exhaustive ? 4096 : 64;
  for (const name of Object.keys(binaryReferences) as BinaryName[]) {
    const range = `${((blocks * block) / 1e6).toFixed(0)} million random pairs`;
    measureWays(name, range, (map) => binaryError(name, map, blocks));
  }
  const text = table(rows);
  console.log(`\n${text}`);
  if (flags.includes('--write')) writeSection('WASM', preamble + text);
}

await main();
