/**
 * The report as one HTML page that needs nothing else: no network, no fonts, no other files. A content security policy
 * in its head allows its own style and script and nothing more.
 *
 *     await loadLayout();
 *     const html = renderPage(data);
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { FunctionData, LaunchTimings, OpData, ReportData } from './data.ts';
import { drawMemory } from './draw-memory.ts';
import { drawAll, mostDrawnOps, type NamedDrawing } from './drawings.ts';
import { families } from './families.ts';
import { escapeHtml, formatBytes, plural, scriptJson } from './html.ts';
import { opName, SourceLines, type Stage } from './names.ts';
import { script } from './script.ts';
import { kernelsSection, launchList, refusalsSection, summaryTiles } from './sections.ts';
import { theme } from './theme.ts';

/** The page for a report. The layout must have been loaded. */
export function renderPage(data: ReportData, timings?: LaunchTimings): string {
  const lines = new SourceLines(data);
  const drawings = drawAll(data, lines, timings);
  const counts = [data.kernels.length, data.memory.temporaries.length, data.refusals.length];
  const body = [
    '<svg width="0" height="0" class="visually-hidden" aria-hidden="true"><defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8Z"/></marker></defs></svg>',
    `<header><div class="head"><h1>Kiln report: <code>${escapeHtml(data.name)}</code></h1><p>${escapeHtml(subtitle(data))}</p><button type="button" id="theme">light / dark</button></div><dl class="tiles">${summaryTiles(data, timings)}</dl></header>`,
    `<div class="strip"><div role="tablist" aria-label="Parts of the report">${tabs(counts)}</div><div class="find" role="search"><label for="search" class="visually-hidden">Find an op</label><input id="search" type="search" placeholder="find an op, line or type ( / )" autocomplete="off" spellcheck="false"><span id="hits" role="status"></span></div></div>`,
    '<main>',
    panel('graph', 'Graph', graphPanel(drawings)),
    panel('kernels', 'Kernels', kernelsSection(data, lines, timings)),
    panel('memory', 'Memory', memoryPanel(data)),
    panel('refusals', 'Not fused', refusalsSection(data, lines)),
    '</main>',
    `<script type="application/json" id="data">${scriptJson(scriptData(data, lines))}</script>`,
    `<script>${script}</script>`,
  ].join('\n');
  return `${head(data.name)}\n<body>\n${body}\n</body>\n</html>\n`;
}

function head(name: string): string {
  const policy = `default-src 'none'; style-src '${hashOf(theme)}'; script-src '${hashOf(script)}'; base-uri 'none'; form-action 'none'`;
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="generator" content="kilnjs">',
    `<title>${escapeHtml(name)}: Kiln report</title>`,
    `<style>${theme}</style>`,
    '</head>',
  ].join('\n');
}

/** What a policy calls an inline style or script. */
const hashOf = (text: string): string => `sha256-${btoa(String.fromCharCode(...sha256(utf8ToBytes(text))))}`;

function subtitle({ precision, sizes, places }: ReportData): string {
  const files = [...new Set(places.map(({ file }) => file))];
  const parts = [
    `precision ${precision}`,
    ...(sizes.length > 0 ? [`counted at ${sizes.map(([name, value]) => `${name} = ${value}`).join(', ')}`] : []),
    ...(files.length > 0 ? [`from ${files.slice(0, 3).join(', ')}${files.length > 3 ? ', …' : ''}`] : []),
  ];
  return parts.join(' · ');
}

function tabs([kernels, temporaries, refusals]: readonly number[]): string {
  const entries = [
    ['graph', 'Graph', ''],
    ['kernels', 'Kernels', String(kernels)],
    ['memory', 'Memory', String(temporaries)],
    ['refusals', 'Not fused', String(refusals)],
  ];
  return entries
    .map(
      ([id, name, count]) =>
        `<button type="button" role="tab" id="tab-${id}" data-tab="${id}" aria-controls="${id}">${name}${count && `<span class="number">${count}</span>`}</button>`,
    )
    .join('');
}

const panel = (id: string, title: string, content: string): string =>
  `<section role="tabpanel" id="${id}" aria-labelledby="tab-${id}"><h2>${title}</h2>\n${content}\n</section>`;

function graphPanel(drawings: readonly NamedDrawing[]): string {
  const options = drawings.map(({ key, title }) => `<option value="${key}">${escapeHtml(title)}</option>`);
  const collapsed = drawings.some(({ detailed }) => !detailed)
    ? [
        `<p class="note-line">Functions of more than ${mostDrawnOps.toLocaleString('en-US')} ops are drawn as boxes without their contents; a click on a box lists its ops.</p>`,
      ]
    : [];
  const legend = Object.entries(families).map(
    ([name, text]) => `<li><i class="swatch ${name}"></i>${escapeHtml(text)}</li>`,
  );
  const figures = drawings.map(
    ({ key, title, svg, map }) =>
      `<figure data-drawing="${key}"><figcaption class="visually-hidden">${escapeHtml(title)}</figcaption><div class="pane" tabindex="0" aria-label="${escapeHtml(title)}">${svg}</div>${map}</figure>`,
  );
  return [
    `<div class="tools"><label for="drawing" class="visually-hidden">Graph</label><select id="drawing">${options.join('')}</select>`,
    '<span class="spacer"></span><label><input type="checkbox" id="all-links"> long edges</label>',
    '<button type="button" id="zoom-out" aria-label="smaller">−</button><button type="button" id="zoom-in" aria-label="larger">+</button><button type="button" id="zoom-fit">fit</button></div>',
    ...collapsed,
    `<div class="workspace"><div>${figures.join('\n')}</div>`,
    `<aside id="details" aria-live="polite"><h3>Nothing is selected</h3><p class="at">Click an op for its source line, kernel and memory; a box for its ops. Drag or scroll to move, Ctrl and the wheel to zoom. Edges show their values when pointed at; those over many layers appear with what they join. Every op is also in the list of kernels.</p><ul class="legend">${legend.join('')}<li>bold frame: written to memory</li><li>round: a value by its name; dashed: read from memory</li></ul></aside></div>`,
  ].join('\n');
}

function memoryPanel(data: ReportData): string {
  const { footprint, temporaries } = data.memory;
  const parts = Object.entries({
    inputs: footprint.inputs,
    outputs: footprint.outputs,
    constants: footprint.constants,
    prepared: footprint.prepared,
    temporaries: footprint.arena,
    scratch: footprint.scratch,
    records: footprint.records,
  }).filter(([, bytes]) => bytes > 0);
  const text = `${formatBytes(footprint.peak)} in one run: ${parts.map(([name, bytes]) => `${name} ${formatBytes(bytes)}`).join(', ')}. ${plural(temporaries.length, 'temporary block')} in the arena.`;
  return [
    `<p class="note-line">${escapeHtml(text)} Launches go from left to right, places in the arena from bottom to top; the colour is that of the op that writes.</p>`,
    `<div class="chart" tabindex="0" aria-label="Memory plan">${drawMemory(data)}</div>`,
  ].join('\n');
}

/** What the script needs to know of ops and groups. */
function scriptData(data: ReportData, lines: SourceLines): unknown {
  const groupsOf = new Map<string, number[]>();
  data.groups.forEach(({ function: func, ops }, number) => {
    for (const op of ops) {
      const id = opName('o', func, op);
      groupsOf.set(id, [...(groupsOf.get(id) ?? []), number]);
    }
  });
  const entries = (stage: Stage, functions: readonly FunctionData[]): [string, unknown][] =>
    functions.flatMap(({ ops }, func) =>
      ops.map((op, at): [string, unknown] => {
        const id = opName(stage, func, at);
        return [id, opEntry(op, lines, groupsOf.get(id))];
      }),
    );
  return {
    ops: Object.fromEntries([...entries('o', data.optimized), ...entries('t', data.traced)]),
    lines: Object.fromEntries(lines.all.map(({ id, at, text }) => [id, [at, text]])),
    functions: { o: namesOf(data.optimized), t: namesOf(data.traced) },
    groups: data.groups.map(({ kernel, launches, function: func, ops, bytesBefore, bytesAfter }) => ({
      kernel,
      name: data.kernels[kernel].name,
      launches: launchList(launches),
      bytes: `${formatBytes(bytesBefore)} of traffic alone, ${formatBytes(bytesAfter)} fused`,
      ops: ops.map((op) => opName('o', func, op)),
    })),
  };
}

const namesOf = (functions: readonly FunctionData[]): string[] => functions.map(({ name }) => `@${name}`);

function opEntry({ text, place, callee }: OpData, lines: SourceLines, groups: readonly number[] | undefined): unknown {
  const line = lines.of(place)?.id;
  return { text, ...(line && { line }), ...(groups && { groups }), ...(callee !== undefined && { callee }) };
}
