/**
 * The lists of the page as HTML: kernels with their code, edges that stayed unfused, the numbers at the top.
 */
import { fusionRules } from '../../passes/fuse/rule-names.ts';
import {
  type GroupData,
  type KernelData,
  type LaunchTimings,
  launchesARun,
  type OpRef,
  type RefusedOp,
  type ReportData,
} from './data.ts';
import { type Family, familyOf, familyOfAll } from './families.ts';
import { escapeHtml, formatBytes, formatCount, formatMs, plural } from './html.ts';
import { opName, type SourceLine, type SourceLines } from './names.ts';

const code = (text: string): string => `<code>${escapeHtml(text)}</code>`;

/** An op that can be clicked. */
function opButton(label: string, id: string | undefined, family: Family): string {
  const swatch = `<i class="swatch ${family}"></i>`;
  if (id === undefined) return `<span class="op-name">${swatch}${code(label)}</span>`;
  return `<button type="button" class="op-name" data-op="${id}" data-goto="${id}">${swatch}${code(label)}</button>`;
}

const sourceCell = (line: SourceLine | undefined): string =>
  line === undefined
    ? '<td class="source"></td>'
    : `<td class="source"><span class="at">${escapeHtml(line.at)}</span> <code title="${escapeHtml(line.text)}">${escapeHtml(line.text)}</code></td>`;

/** A kernel with its launches. */
interface KernelUse {
  readonly kernel: KernelData;
  readonly number: number;
  readonly launches: readonly number[];
  /** What the launches compute, each once. */
  readonly groups: readonly GroupData[];
  /** Milliseconds of all launches in one run. */
  readonly time: number | undefined;
}

function usesOf({ kernels, launches, groups }: ReportData, timings: LaunchTimings | undefined): KernelUse[] {
  const byKernel = kernels.map((): number[] => []);
  launches.forEach(({ kernel }, at) => {
    byKernel[kernel].push(at);
  });
  return kernels.map((kernel, number) => ({
    kernel,
    number,
    launches: byKernel[number],
    groups: [...new Set(byKernel[number].map((at) => groups[launches[at].group]))],
    time: timings && byKernel[number].reduce((sum, at) => sum + (timings.launches[at] ?? 0), 0),
  }));
}

export function kernelsSection(data: ReportData, lines: SourceLines, timings: LaunchTimings | undefined): string {
  const uses = usesOf(data, timings);
  const most = {
    bytes: data.groups.reduce((size, { bytesBefore, bytesAfter }) => Math.max(size, bytesBefore, bytesAfter), 1),
    time: uses.reduce((longest, { time = 0 }) => Math.max(longest, time), 0),
  };
  const orders = ['launch', 'bytes', 'work', ...(timings ? ['time'] : [])];
  const options = orders.map((order) => `<option value="${order}">${order}</option>`);
  return [
    `<p class="tools"><label>Order by <select id="order">${options.join('')}</select></label><span class="note-line">Bytes and work of one launch${timings ? ', time of all launches in one run' : ''}.</span></p>`,
    '<div id="cards">',
    ...uses.map((use) => kernelCard(data, use, lines, most)),
    '</div>',
  ].join('\n');
}

/** What the code of a target is called, and its mark for colouring. */
const codeLanguages = { wasm: ['WebAssembly', 'wat'], webgpu: ['WGSL', 'wgsl'] } as const;

function kernelCard(
  data: ReportData,
  { kernel, number, launches, groups, time }: KernelUse,
  lines: SourceLines,
  most: { readonly bytes: number; readonly time: number },
): string {
  const opcodes = groups.flatMap((group) => group.ops.map((op) => data.optimized[group.function].ops[op].opcode));
  const total = (of: 'bytesAfter' | 'flops'): number =>
    launches.reduce((sum, at) => sum + data.groups[data.launches[at].group][of], 0);
  const [label, language] = codeLanguages[data.target];
  const keys = { launch: number, bytes: -total('bytesAfter'), work: -total('flops'), time: -(time ?? 0) };
  const sorted = Object.entries(keys).map(([key, value]) => ` data-${key}="${value}"`);
  return [
    `<details class="kernel" id="k${number}"${sorted.join('')}><summary>`,
    `<span class="kernel-name"><i class="swatch ${familyOfAll(opcodes)}"></i>${code(kernel.name)}</span>`,
    `<span class="launches">${launchList(launches)}</span>`,
    byteBars(groups, most.bytes),
    `<span class="number">${formatCount(groups[0]?.flops ?? 0)} FLOP</span>`,
    time === undefined ? '' : timeBar(time, most.time),
    '</summary><div class="kernel-body">',
    ...groups.map((group) => groupTable(data, group, lines, groups.length > 1)),
    codeBlock('Kernel IR', 'kernel', kernel.text),
    codeBlock(label, language, kernel.code),
    '</div></details>',
  ].join('');
}

export function launchList(launches: readonly number[]): string {
  const shown = launches.slice(0, 3).join(', ');
  if (launches.length <= 3) return `${launches.length === 1 ? 'launch' : 'launches'} ${shown}`;
  return `launches ${shown}, … (${launches.length})`;
}

function byteBars(groups: readonly GroupData[], most: number): string {
  const [first] = groups;
  if (!first) return '<span class="bytes"></span>';
  const { bytesBefore, bytesAfter } = first;
  const width = (bytes: number): string => (100 * Math.min(1, bytes / most)).toFixed(1);
  const bar = (kind: string, bytes: number, y: number): string =>
    `<rect class="${kind}" x="0" y="${y}" width="${width(bytes)}" height="5" rx="1"/>`;
  const title = `${formatBytes(bytesBefore)} if each op ran alone, ${formatBytes(bytesAfter)} as fused`;
  return `<span class="bytes" title="${title}"><svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">${bar('before', bytesBefore, 0)}${bar('after', bytesAfter, 7)}</svg><span class="number">${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}</span></span>`;
}

const timeBar = (time: number, most: number): string =>
  `<span class="time" title="median of all launches in one run"><svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true"><rect class="spent" x="0" y="2" width="${(100 * (most > 0 ? time / most : 0)).toFixed(1)}" height="8" rx="1"/></svg><span class="number">${formatMs(time)}</span></span>`;

function groupTable(data: ReportData, group: GroupData, lines: SourceLines, isOneOfMany: boolean): string {
  const func = data.optimized[group.function];
  const rows = group.ops.map((position) => {
    const op = func.ops[position];
    const id = opName('o', group.function, position);
    const type = op.results.map((value) => func.values[value].type).join(', ');
    const label = op.note === undefined ? op.opcode : `${op.opcode} ${op.note}`;
    const name = op.results.map((value) => func.values[value].name).join(', ');
    return `<tr data-op="${id}"><td class="name">${code(name)}</td><td>${opButton(label, id, familyOf(op.opcode))}</td><td class="type">${code(type)}</td>${sourceCell(lines.of(op.place))}</tr>`;
  });
  const heading = isOneOfMany ? `<h4>${launchList(group.launches)}</h4>` : '';
  const head =
    '<thead><tr><th scope="col">value</th><th scope="col">op</th><th scope="col">type</th><th scope="col">source</th></tr></thead>';
  return `${heading}<div class="scroll"><table class="ops">${head}<tbody>${rows.join('')}</tbody></table></div>`;
}

const codeBlock = (title: string, language: string, text: string): string =>
  `<details class="code"><summary>${title}<span class="number">${plural(text.trimEnd().split('\n').length, 'line')}</span></summary><pre tabindex="0"><code data-language="${language}">${escapeHtml(text.trimEnd())}</code></pre></details>`;

export function refusalsSection({ refusals, optimized }: ReportData, lines: SourceLines): string {
  if (refusals.length === 0) return '<p class="empty">Nothing was left unfused: no value goes through memory.</p>';
  const counts = new Map<string, number>();
  for (const { rule } of refusals) counts.set(rule, (counts.get(rule) ?? 0) + 1);
  const rules = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const options = rules.map(
    ([rule, count]) => `<option value="${escapeHtml(rule)}">${escapeHtml(rule)} (${count})</option>`,
  );
  const meanings = rules.map(
    ([rule, count]) =>
      `<div data-rule="${escapeHtml(rule)}"><dt>${code(rule)} <span class="number">${count}</span></dt><dd>${escapeHtml(meaningOf(rule))}</dd></div>`,
  );
  const cell = ({ opcode, op, place }: RefusedOp): string => {
    const line = lines.of(place);
    const label = op === undefined ? opcode : `${valueNames(optimized, op)} ${opcode}`;
    const at = line ? `<span class="at" title="${escapeHtml(line.text)}">${escapeHtml(line.at)}</span>` : '';
    return `<td>${opButton(label, op && opName('o', ...op), familyOf(opcode))} ${at}</td>`;
  };
  const rows = refusals.map(
    ({ producer, consumer, rule, detail }) =>
      `<tr data-rule="${escapeHtml(rule)}">${cell(producer)}${cell(consumer)}<td><code title="${escapeHtml(meaningOf(rule))}">${escapeHtml(rule)}</code></td><td class="detail">${escapeHtml(detail)}</td></tr>`,
  );
  return [
    `<p><label>Rule <select id="rule"><option value="">all (${refusals.length})</option>${options.join('')}</select></label> <span id="refusal-count" role="status"></span></p>`,
    `<dl class="rules">${meanings.join('')}</dl>`,
    '<div class="scroll"><table class="refusals"><thead><tr><th scope="col">writes</th><th scope="col">reads</th><th scope="col">rule</th><th scope="col">detail</th></tr></thead>',
    `<tbody>${rows.join('\n')}</tbody></table></div>`,
  ].join('\n');
}

const valueNames = (functions: ReportData['optimized'], [func, op]: OpRef): string =>
  functions[func].ops[op].results.map((value) => functions[func].values[value].name).join(', ');

const meaningOf = (rule: string): string =>
  Object.hasOwn(fusionRules, rule) ? fusionRules[rule as keyof typeof fusionRules] : '';

/** Numbers of the whole program, each with its name. */
export function summaryTiles(data: ReportData, timings: LaunchTimings | undefined): string {
  const count = (functions: ReportData['traced']): number => functions.reduce((sum, { ops }) => sum + ops.length, 0);
  const total = (of: (group: GroupData) => number): number =>
    data.groups.reduce((sum, group) => sum + of(group) * launchesARun(data, group), 0);
  const [before, after] = [total((group) => group.bytesBefore), total((group) => group.bytesAfter)];
  const { inputs, outputs, footprint } = data.memory;
  const run = timings?.launches.reduce((sum, time) => sum + time, 0) ?? 0;
  const tiles: (readonly [name: string, value: string, note: string])[] = [
    ['ops', `${count(data.traced)} → ${count(data.optimized)}`, 'traced, then optimised'],
    ['launches', String(data.launches.length - data.prepareLaunches), plural(data.kernels.length, 'different kernel')],
    ['bytes moved', `${formatBytes(before)} → ${formatBytes(after)}`, 'each op alone, then fused'],
    ['floating point', formatCount(total((group) => group.flops)), 'operations in one run'],
    ['peak memory', formatBytes(footprint.peak), `${formatBytes(footprint.arena)} of it temporaries`],
    [
      'inputs, outputs',
      `${inputs.length}, ${outputs.length}`,
      `${formatBytes(footprint.inputs)} in, ${formatBytes(footprint.outputs)} new`,
    ],
    ...(timings
      ? ([
          ['one run', formatMs(run), `median of ${timings.runs} runs`],
          ['compile', formatMs(timings.compileMs), 'passes and code'],
        ] as const)
      : []),
  ];
  return tiles
    .map(
      ([name, value, note]) =>
        `<div class="tile"><dt>${name}</dt><dd class="value">${escapeHtml(value)}</dd><dd class="note">${escapeHtml(note)}</dd></div>`,
    )
    .join('');
}
