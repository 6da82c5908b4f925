/**
 * Measures the functions of the WebGPU backend: the largest error in ULP against double precision, on the adapter that
 * tests run on.
 *
 *     npx tsx bench/math-webgpu.ts            prints the table
 *     npx tsx bench/math-webgpu.ts --write    and writes it to docs/accuracy.md
 *     npx tsx bench/math-webgpu.ts tanh       this function alone
 */
import { spawnSync } from 'node:child_process';
import { findAdapter } from '../test/support/adapter.ts';
import { writeSection } from './accuracy-page.ts';
import {
  type BinaryName,
  binaryReferences,
  flushingUlpError,
  type UnaryName,
  unaryReferences,
} from './math-reference.ts';
import { fillPairs, randomBits } from './math-samples.ts';
import { codeOf, mapWgsl, openGpu, type Way } from './wgsl-map.ts';

const block = 1 << 20;
const stride = 499;
const pairBlocks = 4;

const precisions = ['strict', 'fast'] as const;

type Name = UnaryName | BinaryName;
type Evaluate = (...columns: readonly Uint32Array[]) => Promise<Float32Array>;

interface Worst {
  error: number;
  at: readonly number[];
}

const floats = (bits: Uint32Array): Float32Array => new Float32Array(bits.buffer);

function judge(
  worst: Worst,
  reference: (...operands: number[]) => number,
  columns: readonly Float32Array[],
  results: Float32Array,
): void {
  results.forEach((result, i) => {
    const operands = columns.map((column) => column[i]);
    const error = flushingUlpError(result, reference, operands);
    if (error > worst.error) Object.assign(worst, { error, at: operands });
  });
}

async function unaryError(name: UnaryName, evaluate: Evaluate): Promise<Worst> {
  const worst: Worst = { error: 0, at: [] };
  for (let start = 0; start < 2 ** 32; start += block * stride) {
    const bits = Uint32Array.from({ length: block }, (_, i) => Math.min(start + i * stride, 2 ** 32 - 1));
    judge(worst, unaryReferences[name], [floats(bits)], await evaluate(bits));
  }
  return worst;
}

async function binaryError(name: BinaryName, evaluate: Evaluate): Promise<Worst> {
  const worst: Worst = { error: 0, at: [] };
  const random = randomBits(1);
  for (let round = 0; round < pairBlocks; round++) {
    const [x, y] = [new Uint32Array(block), new Uint32Array(block)];
    fillPairs(floats(x), floats(y), round % 4, random);
    judge(worst, binaryReferences[name], [floats(x), floats(y)], await evaluate(x, y));
  }
  return worst;
}

const errorText = (error: number): string => (error === 0 ? 'exact' : (Math.ceil(error * 100) / 100).toFixed(2));

const preamble = (adapter: string): string => `Measured on ${adapter}.

- strict: polynomials of Kiln's own (\`codegen/wgsl/math\`), but for \`rsqrt\`, whose error WGSL bounds by 2 ULP.
- fast: the same, and the builtin exponential, whose error WGSL bounds by 3 + 2|x| ULP.

An adapter that divides less exactly (WGSL allows 2.5 ULP) may add up to 2 ULP to \`atan2\` and \`tanh\`. Subnormal operands
and results may be 0. The other float ops are as WGSL has them: sums and products correctly rounded, divisions within
2.5 ULP, square roots within 4.5. Extrema, conversions, finiteness and \`!=\` heed NaN by its bits, in strict all
comparisons do; in fast the orders (\`<\`) and \`==\` are the operators of WGSL, which may assume that there is no NaN.

`;

/** Starts this command anew with the variables that the adapter of the tests needs. */
function startWithAdapter(): number {
  const found = findAdapter();
  if (typeof found === 'string') throw new Error(`no WebGPU adapter: ${found}`);
  const environment = { ...process.env, ...found.environment, KILN_BENCH_ADAPTER: 'found' };
  const { status } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env: environment,
    stdio: 'inherit',
  });
  return status ?? 1;
}

async function main(): Promise<void> {
  if (process.env.KILN_BENCH_ADAPTER === undefined) {
    process.exitCode = startWithAdapter();
    return;
  }
  const gpu = await openGpu();
  if (!gpu) throw new Error('no WebGPU adapter');
  const flags = process.argv.slice(2);
  const wanted = flags.filter((flag) => !flag.startsWith('--'));
  const rows: string[] = [];
  const measure = async (name: Name, range: string, errorOf: (evaluate: Evaluate) => Promise<Worst>): Promise<void> => {
    if (wanted.length > 0 && !wanted.includes(name)) return;
    const cells: string[] = [];
    for (const precision of precisions) {
      const way: Way = { precision, lanes: 4 };
      const code = codeOf({ opcode: name, dtype: 'float32', from: 'float32' }, name in binaryReferences ? 2 : 1);
      const worst = await errorOf(async (...columns) => floats(await mapWgsl(gpu.device, code, way, columns)));
      console.log(`${name}, ${precision}: ${worst.error.toFixed(3)} ULP at ${worst.at}`);
      cells.push(errorText(worst.error));
    }
    rows.push(`| ${[`\`${name}\``, ...cells, range].join(' | ')} |`);
  };
  for (const name of Object.keys(unaryReferences) as UnaryName[]) {
    await measure(name, `each ${stride}th`, (evaluate) => unaryError(name, evaluate));
  }
  for (const name of Object.keys(binaryReferences) as BinaryName[]) {
    const range = `${((pairBlocks * block) / 1e6).toFixed(0)} million random pairs`;
    await measure(name, range, (evaluate) => binaryError(name, evaluate));
  }
  gpu.close();
  const table = ['| function | strict, ULP | fast, ULP | arguments |', '| --- | --- | --- | --- |', ...rows].join('\n');
  console.log(`\n${table}`);
  if (flags.includes('--write')) writeSection('WebGPU', preamble(gpu.adapter) + table);
}

await main();
