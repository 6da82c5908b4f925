/**
 * `docs/accuracy.md`, whose sections are measured by different commands: each writes its own and leaves the other.
 *
 *     writeSection('WebGPU', '| function | …')
 */
import { readFileSync, writeFileSync } from 'node:fs';

const page = new URL('../docs/accuracy.md', import.meta.url);

/** In the order of the page. */
const titles = ['WASM', 'WebGPU'] as const;

const introduction = `# Accuracy and speed of the float32 functions

Made by \`npx tsx bench/math.ts --write\` (WASM) and \`npx tsx bench/math-webgpu.ts --write\` (WebGPU); do not edit.

The largest distance from the exact result in units in the last place (ULP) of float32, the reference being double
precision; correct rounding would be 0.5. The arguments of functions of one operand are spread evenly over all bit
patterns: subnormal numbers, infinities, NaN and zeros of both signs included, huge arguments of sine and cosine too.

NaN gives NaN (but \`power(NaN, 0)\` and \`power(1, NaN)\` are 1, as in C), results overflow to infinity, and \`-0\` is kept
where the function is 0 at 0.
`;

/** Puts a text in the place of a section. */
export function writeSection(title: (typeof titles)[number], text: string): void {
  const before = readFileSync(page, 'utf8').split(/^## /m);
  const sections = titles.map((one) => {
    if (one === title) return `## ${title}\n\n${text}`;
    const kept = before.find((section) => section.startsWith(`${one}\n`));
    return kept === undefined ? undefined : `## ${kept}`;
  });
  const texts = [introduction, ...sections.filter((section) => section !== undefined)];
  writeFileSync(page, texts.map((section) => `${section.trimEnd()}\n`).join('\n'));
}
