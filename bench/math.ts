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
import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { loadBinaryen } from '../codegen/wasm/load.ts';
import { binaryMath, unaryMath } from '../codegen/wasm/math/index.ts';
import { buildMap } from '../codegen/wasm/math/map.ts';
import { createMemory, instantiate, type WasmFunction } from './instantiate.ts';
import { type BinaryName, binaryReferences, type UnaryName, ulpError, unaryReferences } from './math-reference.ts';

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

/** A small generator with a fixed seed (Steele and Vigna's SplitMix32 variant), so that runs can be repeated. */
function randomBits(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return (bits ^ (bits >>> 15)) >>> 0;
  };
}

/** Pairs of four kinds: any bits, results of any finite size for a power, ordinary numbers, integers. */
function fillPairs(kind: number, random: () => number): void {
  const uniform = (): number => random() / 2 ** 32;
  const yBits = new Uint32Array(y.buffer, y.byteOffset, block);
  for (let i = 0; i < block; i++) {
    if (kind === 0) {
      xBits[i] = random();
      yBits[i] = random();
    } else if (kind === 1) {
      x[i] = 2 ** (uniform() * 250 - 125);
      y[i] = ((uniform() * 2 - 1) * 150) / Math.log2(x[i]);
    } else if (kind === 2) {
      x[i] = uniform() * 4 - 2;
      y[i] = uniform() * 4 - 2;
    } else {
      x[i] = Math.round(uniform() * 40 - 20);
      y[i] = Math.round(uniform() * 40 - 20);
    }
  }
}

function binaryError(name: BinaryName, map: WasmFunction, blocks: number): Worst {
  const reference = binaryReferences[name];
  const random = randomBits(1);
  const worst: Worst = { error: 0, at: [] };
  for (let round = 0; round < blocks; round++) {
    fillPairs(round % 4, random);
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

interface Row {
  readonly name: string;
  readonly worst: Worst;
  readonly arguments: string;
  readonly nanoseconds: number;
}

const preamble = `# Accuracy and speed of the float32 functions in WASM

Made by \`npx tsx bench/math.ts --exhaustive --write\`; do not edit.

The largest distance from the exact result in units in the last place (ULP) of float32, the reference being double
precision; correct rounding would be 0.5. Functions of one operand are measured on all 2^32 arguments: subnormal numbers,
infinities, NaN and zeros of both signs included, huge arguments of sine and cosine too. (Odd and even functions are
compared with the reference for one sign; for the other the bits are checked to be the same but for the sign.)

The code is plain SIMD128 without fused multiply-add, so results are the same bits on every engine. In \`fast\`
precision an engine with fused multiply-add may give other last bits.

NaN gives NaN (but \`power(NaN, 0)\` and \`power(1, NaN)\` are 1, as in C), results overflow to infinity and underflow
through the subnormal numbers, and \`-0\` is kept where the function is 0 at 0.

The time is the best of many runs over 65,536 elements in cache, one thread, plain SIMD128, on a 2-core x86-64 machine
with Node 20; loading and storing, about 0.1 ns, is included. \`abs\`, \`sqrt\`, \`floor\`, \`ceil\` and
\`round_nearest_even\` are single instructions and exact.

`;

function table(rows: readonly Row[]): string {
  const lines = rows.map(({ name, worst, arguments: range, nanoseconds }) => {
    const at = worst.at.length > 0 ? worst.at.map((value) => `\`${value}\``).join(', ') : '';
    const error = worst.error === 0 ? 'exact' : (Math.ceil(worst.error * 100) / 100).toFixed(2);
    return `| \`${name}\` | ${error} | ${at} | ${range} | ${nanoseconds.toFixed(2)} |`;
  });
  return [
    '| function | largest error, ULP | at | arguments | ns/element |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ]
    .join('\n')
    .concat('\n');
}

async function main(): Promise<void> {
  const flags = process.argv.slice(2);
  const exhaustive = flags.includes('--exhaustive');
  const wanted = flags.filter((flag) => !flag.startsWith('--'));
  const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
  const binaryen = await loadBinaryen();
  const load = (f: Parameters<typeof buildMap>[1]): WasmFunction => instantiate(buildMap(binaryen, f, 4), memory).map;
  const rows: Row[] = [];
  const report = (row: Row): void => {
    rows.push(row);
    console.log(`${row.name}: ${row.worst.error.toFixed(3)} ULP at ${row.worst.at}, ${row.nanoseconds.toFixed(2)} ns`);
  };
  for (const name of Object.keys(unaryReferences) as UnaryName[]) {
    if (!isWanted(name)) continue;
    const map = load(unaryMath[name]);
    const nanoseconds = timePerElement(map);
    const worst = unaryError(name, map, exhaustive ? 1 : 499);
    report({ name, worst, arguments: exhaustive ? 'all' : 'each 499th', nanoseconds });
  }
  for (const name of Object.keys(binaryReferences) as BinaryName[]) {
    if (!isWanted(name)) continue;
    const map = load(binaryMath[name]);
    const nanoseconds = timePerElement(map);
    const blocks = exhaustive ? 4096 : 64;
    const range = `${((blocks * block) / 1e6).toFixed(0)} million random pairs`;
    report({ name, worst: binaryError(name, map, blocks), arguments: range, nanoseconds });
  }
  const text = table(rows);
  console.log(`\n${text}`);
  if (flags.includes('--write')) writeFileSync(new URL('../docs/accuracy.md', import.meta.url), preamble + text);
}

await main();
