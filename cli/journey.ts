/**
 * The journey of one line of a user's function, on one screen: source line → IR → the fused group it landed in, with
 * the refusals at its border → the kernel → the code.
 *
 *     const text = journey(compile(step), [params, x, y]);
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { formatBytes, formatCount, formatMs } from '../bench/table.ts';
import type { Explanation, GroupReport, Lowering, RefusalReport } from '../index.ts';
import { accent, faint } from './style.ts';

/** What of a compiled function the journey needs. */
export interface Inspectable {
  lower(...args: readonly unknown[]): Lowering;
  explain(...args: readonly unknown[]): Explanation;
}

const width = 110;
const clip = (line: string): string => (line.length > width ? `${line.slice(0, width - 1)}…` : line);

/** At most `limit` lines, the rest counted. */
function excerpt(lines: readonly string[], limit: number): string[] {
  const shown = lines.slice(0, limit).map(clip);
  const rest = lines.length - limit;
  return rest > 0 ? [...shown, faint(`… ${rest} more ${rest === 1 ? 'line' : 'lines'}`)] : shown;
}

const indented = (lines: readonly string[]): string[] => lines.map((line) => `    ${line}`);

/** The text of the journey of `compiled(...args)`; at most about 60 lines. */
export function journey(compiled: Inspectable, args: readonly unknown[]): string {
  const explanation = compiled.explain(...args);
  const lowering = compiled.lower(...args);
  const group = mostTelling(explanation.groups);
  if (!group) return '  nothing to compute';
  const place = mainPlace(group);
  const language = explanation.tier.startsWith('webgpu') ? wgsl : wat;
  const { ops, kernels, flops, bytesMoved, peakBytes, compileMs } = explanation;
  const before = explanation.groups.reduce((sum, { bytesBefore }) => sum + bytesBefore, 0);
  return [
    `  ${formatCount(ops)} traced ops became ${kernels} ${kernels === 1 ? 'kernel' : 'kernels'} in ${formatMs(compileMs)}: ${formatBytes(before)} of traffic ` +
      `became ${formatBytes(bytesMoved)}, ${formatCount(flops)} FLOPs, ${formatBytes(peakBytes)} at most.`,
    '  One of its lines:',
    '',
    accent('  source line'),
    ...indented(sourceLine(place)),
    accent('  → IR, optimised'),
    ...indented(excerpt(irOf(lowering, group, place), 6)),
    accent(`  → fused group, one kernel: ${group.kernel}`),
    ...indented(groupLines(group)),
    accent('  → not fused, and why'),
    ...indented(refusalLines(explanation.refusals, group)),
    accent('  → kernel'),
    ...indented(excerpt(kernelText(lowering.kernels.text, group.kernel), 16)),
    accent(`  → code, its innermost loop as ${language.name}`),
    ...indented(excerpt(innermostLoop(lowering.code.text, group.kernel, language), 14)),
  ].join('\n');
}

/** The group that tells most: a contraction with work fused around it, most of it from one line; else the largest. */
function mostTelling(groups: readonly GroupReport[]): GroupReport | undefined {
  const weight = (group: GroupReport): number => {
    const contracts = group.ops.some((op) => /^(dot_general|convolution)\b/.test(op));
    const place = mainPlace(group);
    const fromOneLine = group.ops.filter((op) => samePlace(placeOf(op), place)).length / group.ops.length;
    return (contracts ? 1000 : 0) + (group.ops.length > 2 ? 100 * fromOneLine : 0) + Math.min(group.ops.length, 20);
  };
  return groups.reduce<GroupReport | undefined>(
    (best, group) => (!best || weight(group) > weight(best) ? group : best),
    undefined,
  );
}

interface Place {
  readonly file: string;
  readonly line: number;
}

const samePlace = (a: Place | undefined, b: Place | undefined): boolean => a?.file === b?.file && a?.line === b?.line;

/** `file:line` of an op description such as `add @model.ts:12:14`. */
function placeOf(op: string): Place | undefined {
  const match = / @(.*):(\d+):\d+$/.exec(op);
  return match ? { file: match[1], line: Number(match[2]) } : undefined;
}

/** The line that most ops of the group come from. */
function mainPlace({ ops }: GroupReport): Place | undefined {
  const counts = new Map<string, { place: Place; count: number }>();
  for (const place of ops.map(placeOf)) {
    if (!place) continue;
    const key = `${place.file}:${place.line}`;
    counts.set(key, { place, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()].reduce<{ place: Place; count: number } | undefined>(
    (best, entry) => (!best || entry.count > best.count ? entry : best),
    undefined,
  )?.place;
}

function sourceLine(place: Place | undefined): string[] {
  if (!place) return [faint('the source location is not known')];
  const name = `${relative(process.cwd(), place.file)}:${place.line}`;
  try {
    const text = readFileSync(place.file, 'utf8').split('\n')[place.line - 1] ?? '';
    return [faint(name), clip(text.trim())];
  } catch {
    return [faint(name)];
  }
}

/** Lines of the optimised graph that come from the place and belong to the group's opcodes. */
function irOf(lowering: Lowering, { ops }: GroupReport, place: Place | undefined): string[] {
  const lines = lowering.optimized.text.split('\n').map((line) => line.trim());
  const opcodes = new Set(ops.map((op) => op.split(' ')[0]));
  const mark = place && `@${place.file}:${place.line}:`;
  const fromPlace = lines.filter((line) => mark && line.includes(mark) && opcodes.has(opcodeOf(line)));
  return fromPlace.map((line) => line.replace(/ @\S+$/, ''));
}

const opcodeOf = (line: string): string => /= (\w+)/.exec(line)?.[1] ?? '';

function groupLines({ ops, bytesBefore, bytesAfter }: GroupReport): string[] {
  const opcodes = ops.map((op) => op.split(' ')[0]);
  return [
    clip(opcodes.join(', ')),
    faint(`${formatBytes(bytesBefore)} of traffic alone, ${formatBytes(bytesAfter)} fused`),
  ];
}

function refusalLines(refusals: readonly RefusalReport[], group: GroupReport): string[] {
  const members = new Set(group.ops);
  const touching = refusals.filter(({ producer, consumer }) => members.has(producer) || members.has(consumer));
  const chosen = touching.length > 0 ? touching : refusals;
  if (chosen.length === 0) return ['every edge was fused'];
  const name = (op: string): string => op.replace(/ @.*\/([^/]+:\d+):\d+$/, ' ($1)');
  const lines = chosen.map(({ producer, consumer, rule, detail }) =>
    wrapped(`${name(producer)} | ${name(consumer)}: ${rule}: ${detail}`),
  );
  return [...new Set(lines.map((line) => line.join('\n')))].slice(0, 3).flatMap((line) => line.split('\n'));
}

/** Words on lines of the width; all but the first line stand further in. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + word.length < width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(lines.length === 0 ? word : `  ${word}`);
  }
  return lines;
}

/** The lines of one kernel out of the text of all. */
function kernelText(text: string, kernel: string): string[] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`kernel ${kernel}(`));
  if (start < 0) return [];
  const end = lines.findIndex((line, index) => index > start && line.startsWith('}'));
  return lines.slice(start, end + 1);
}

/** How code is read. */
interface CodeLanguage {
  readonly name: string;
  readonly comment: string;
  /** A line that begins a loop. */
  readonly loop: RegExp;
  /** A line that computes. */
  readonly arithmetic: RegExp;
}

const wat: CodeLanguage = {
  name: 'WebAssembly',
  comment: ';;',
  loop: /\(loop\b/,
  arithmetic: /\b[fi]32x4\.(mul|add|relaxed_madd)/,
};
const wgsl: CodeLanguage = { name: 'WGSL', comment: '//', loop: /^\s*(for|while|loop)\b/, arithmetic: / [*+] |fma\(/ };

/**
 * Of the loops without a loop inside, the one that computes most; out of the module that names the kernel. Without
 * loops, the whole entry point.
 */
function innermostLoop(text: string, kernel: string, language: CodeLanguage): string[] {
  const { comment, loop, arithmetic } = language;
  const modules = text.split(new RegExp(`^(?=${comment} kernel )`, 'm'));
  const lines = (modules.find((module) => module.startsWith(`${comment} kernel ${kernel}\n`)) ?? '').split('\n');
  let best: string[] = [];
  let most = -1;
  for (let start = 0; start < lines.length; start++) {
    if (!loop.test(lines[start])) continue;
    const depth = lines[start].search(/\S/);
    const length = lines.slice(start + 1).findIndex((line) => line.search(/\S/) <= depth && line.trim() !== '');
    const body = lines.slice(start, start + 2 + Math.max(0, length));
    if (body.slice(1).some((line) => loop.test(line))) continue;
    const computing = body.filter((line) => arithmetic.test(line)).length / body.length;
    if (computing > most) [best, most] = [body, computing];
  }
  if (language === wat) return compacted(best);
  return best.length > 0 ? outdented(best) : lines.slice(lines.findIndex((line) => line.startsWith('@compute')));
}

/** Nested expressions put on one line where they fit. */
function compacted(lines: readonly string[]): string[] {
  const out: string[] = [];
  for (let start = 0; start < lines.length; start++) {
    const depth = lines[start].search(/\S/);
    let end = start;
    while (end + 1 < lines.length && lines[end + 1].search(/\S/) > depth) end++;
    if (end > start && lines[end + 1]?.search(/\S/) === depth && lines[end + 1].trim() === ')') end++;
    const flat = lines
      .slice(start, end + 1)
      .map((line) => line.trim())
      .join(' ')
      .replaceAll('( ', '(')
      .replaceAll(' )', ')');
    if (flat.length <= width - 10 && !flat.startsWith('(loop')) {
      out.push(' '.repeat(depth) + flat);
      start = end;
    } else {
      out.push(lines[start]);
    }
  }
  return outdented(out);
}

function outdented(lines: readonly string[]): string[] {
  const margin = lines.reduce((least, line) => (line.trim() ? Math.min(least, line.search(/\S/)) : least), width);
  return lines.map((line) => line.slice(margin));
}
