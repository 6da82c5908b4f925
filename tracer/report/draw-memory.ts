/**
 * The memory plan as a Gantt chart: launches from left to right, the arena from bottom to top, a box for each block of
 * it; above, how many bytes are alive at each launch; below, when inputs, outputs and constants are used.
 *
 *     temporary 0, 4096 bytes at 0, launches 1 to 3      →  a box from column 1 to 3, from byte 0 to 4096
 */
import { indexOf } from './contents.ts';
import type { BarData, ReportData, TemporaryData } from './data.ts';
import { familyOfAll } from './families.ts';
import type { Rectangle } from './fold.ts';
import { coordinate, escapeHtml, formatBytes, plural, truncate } from './html.ts';
import { opName } from './names.ts';

const left = 190;
const right = 16;
const heights = { alive: 64, arena: 340, gap: 34, bar: 16 };
const smallAdvance = 6.1;
/** Bars of one kind that are drawn; the rest is counted. */
const mostBars = 32;

interface Columns {
  readonly width: number;
  readonly launches: number;
  x(launch: number): number;
}

export function drawMemory(data: ReportData): string {
  const launches = Math.max(1, data.launches.length);
  const width = Math.min(150, Math.max(7, 1100 / launches));
  const columns: Columns = { width, launches, x: (launch) => left + launch * width };
  const alive = aliveBytes(data.memory.temporaries, launches);
  const peak = alive.indexOf(Math.max(...alive));
  const top = 22;
  const arenaTop = top + heights.alive + heights.gap;
  const axis = arenaTop + heights.arena;
  const bars = drawBars(data, columns, axis + 46);
  const total = coordinate(columns.x(launches) + right);
  const size = `width="${total}" height="${coordinate(bars.bottom)}" viewBox="0 0 ${total} ${coordinate(bars.bottom)}"`;
  return [
    `<svg class="memory" xmlns="http://www.w3.org/2000/svg" ${size} role="group" aria-label="Memory over launches">`,
    ...drawAlive(alive, peak, columns, top),
    ...drawArena(data, columns, arenaTop),
    ...drawPeak(alive[peak], peak, columns, { top, axis }),
    ...drawAxis(data, columns, axis),
    ...bars.lines,
    '</svg>',
  ].join('\n');
}

/** Bytes of temporaries at each launch. */
function aliveBytes(temporaries: readonly TemporaryData[], launches: number): number[] {
  const changes = new Array<number>(launches + 1).fill(0);
  for (const { bytes, first, last } of temporaries) {
    changes[first] += bytes;
    changes[last + 1] -= bytes;
  }
  let alive = 0;
  return changes.slice(0, launches).map((change) => (alive += change));
}

function drawAlive(alive: readonly number[], peak: number, columns: Columns, top: number): string[] {
  const most = Math.max(1, alive[peak]);
  const bottom = top + heights.alive;
  const steps = alive.map((bytes, launch) => {
    const y = coordinate(bottom - (bytes / most) * heights.alive);
    return `L${coordinate(columns.x(launch))} ${y}H${coordinate(columns.x(launch + 1))}`;
  });
  const [start, end] = [coordinate(left), coordinate(columns.x(columns.launches))];
  return [
    rowTitle('bytes alive', top + 10),
    `<path class="alive" d="M${start} ${bottom}${steps.join('')}L${end} ${bottom}Z"/>`,
    `<path class="grid" d="M${start} ${bottom}H${end}"/>`,
  ];
}

const rowTitle = (text: string, y: number): string =>
  `<text class="row-title" x="0" y="${y}">${escapeHtml(text)}</text>`;

function drawArena(data: ReportData, columns: Columns, top: number): string[] {
  const { temporaries, footprint } = data.memory;
  const extent = temporaries.reduce((end, { offset, bytes }) => Math.max(end, offset + bytes), footprint.arena) || 1;
  const scale = heights.arena / extent;
  const y = (bytes: number): number => top + heights.arena - bytes * scale;
  const ticks = niceSteps(extent).map((bytes) => {
    const at = coordinate(y(bytes));
    return `<path class="grid" d="M${left} ${at}H${coordinate(columns.x(columns.launches))}"/><text class="tick" x="${left - 8}" y="${coordinate(y(bytes) + 4)}">${formatBytes(bytes)}</text>`;
  });
  const producers = data.optimized.map((func) => indexOf(func).producers);
  const blocks = temporaries.map((temporary, number) => {
    const { first, last, offset, bytes } = temporary;
    const block = {
      x: columns.x(first) + 0.5,
      y: y(offset + bytes),
      width: (last - first + 1) * columns.width - 1,
      height: Math.max(1, bytes * scale),
    };
    return drawBlock(temporary, number, block, heldValues(data, temporary, producers));
  });
  const note = (x: number, text: string): string => `<text class="row-note" x="${x}" y="${top + 26}">${text}</text>`;
  const empty = temporaries.length > 0 ? [] : [note(left, 'no temporaries: nothing is stored between launches')];
  return [rowTitle('arena', top + 10), note(0, formatBytes(footprint.arena)), ...ticks, ...blocks, ...empty];
}

/** A value that a block holds, for people and for the script. */
interface Held {
  readonly launch: number;
  /** `%4 tanh`. */
  readonly name: string;
  readonly type: string;
  readonly opcode: string | undefined;
  readonly id: string | undefined;
}

function heldValues(
  { optimized }: ReportData,
  { holds }: TemporaryData,
  producers: readonly ReadonlyMap<number, number>[],
): Held[] {
  return holds.map(({ launch, function: func, value }) => {
    const producer = producers[func].get(value);
    const { name, type } = optimized[func].values[value];
    if (producer === undefined) return { launch, name, type, opcode: undefined, id: undefined };
    const { opcode } = optimized[func].ops[producer];
    return { launch, name: `${name} ${opcode}`, type, opcode, id: opName('o', func, producer) };
  });
}

function drawBlock(
  { bytes, offset, first, last }: TemporaryData,
  number: number,
  { x, y, width, height }: Rectangle,
  held: readonly Held[],
): string {
  const title = [
    `temporary ${number}: ${formatBytes(bytes)} at ${formatBytes(offset)}, launches ${first} to ${last}`,
    ...held.map(({ launch, name, type }) => `launch ${launch} writes ${name}: ${type}`),
  ].join('\n');
  const ids = held.flatMap(({ id }) => (id === undefined ? [] : [id]));
  const family = familyOfAll(held.slice(0, 1).flatMap(({ opcode }) => (opcode === undefined ? [] : [opcode])));
  const letters = Math.floor((width - 8) / smallAdvance);
  const label = letters >= 4 && height >= 13 ? truncate(held.map(({ name }) => name).join(', '), letters) : '';
  const length = `textLength="${coordinate(smallAdvance * label.length)}" lengthAdjust="spacingAndGlyphs"`;
  return [
    `<g class="block ${family}" data-op="${ids.join(' ')}"><title>${escapeHtml(title)}</title>`,
    `<rect x="${coordinate(x)}" y="${coordinate(y)}" width="${coordinate(width)}" height="${coordinate(height)}" rx="2"/>`,
    label === ''
      ? ''
      : `<text x="${coordinate(x + 4)}" y="${coordinate(y + Math.min(12, height / 2 + 4))}" ${length}>${escapeHtml(label)}</text>`,
    '</g>',
  ].join('');
}

/** About four round numbers of bytes from 0 on. */
function niceSteps(extent: number): number[] {
  let step = 1;
  while (step * 4 < extent) step *= step * 16 < extent ? 4 : 2;
  return Array.from({ length: Math.floor(extent / step) + 1 }, (_, at) => at * step);
}

function drawPeak(
  bytes: number,
  launch: number,
  columns: Columns,
  { top, axis }: { top: number; axis: number },
): string[] {
  if (!(bytes > 0)) return [];
  const x = columns.x(launch + 0.5);
  const label = `peak ${formatBytes(bytes)} at launch ${launch}`;
  const isRight = x > (left + columns.x(columns.launches)) / 2;
  return [
    `<path class="peak" d="M${coordinate(x)} ${top - 4}V${axis}"/>`,
    `<text class="peak-label${isRight ? ' to-left' : ''}" x="${coordinate(x + (isRight ? -6 : 6))}" y="${top - 6}">${escapeHtml(label)}</text>`,
  ];
}

function drawAxis({ launches, kernels }: ReportData, columns: Columns, y: number): string[] {
  const every = Math.max(1, Math.ceil(34 / columns.width));
  const ticks = launches.map(({ kernel }, launch) => {
    const title = `<title>${escapeHtml(`launch ${launch}: ${kernels[kernel].name}`)}</title>`;
    const number = launch % every === 0 ? String(launch) : '';
    const x = coordinate(columns.x(launch));
    return `<g class="launch" data-kernel="k${kernel}">${title}<rect x="${x}" y="${y}" width="${coordinate(columns.width)}" height="18"/><text x="${coordinate(columns.x(launch + 0.5))}" y="${y + 13}">${number}</text></g>`;
  });
  return [...ticks, rowTitle('launch', y + 13)];
}

/** Rows for inputs, outputs and constants, the largest where there are many. */
function drawBars(data: ReportData, columns: Columns, top: number): { lines: string[]; bottom: number } {
  const { inputs, outputs, constants, prepared } = data.memory;
  const lines: string[] = [];
  let y = top;
  const sections = { inputs, outputs, constants, 'prepared arrays': prepared };
  for (const [name, bars] of Object.entries(sections)) {
    if (bars.length === 0) continue;
    const own = bars.filter(({ alias }) => alias === undefined);
    const total = own.reduce((sum, { bytes }) => sum + bytes, 0);
    lines.push(rowTitle(`${plural(bars.length, name.slice(0, -1))}, ${formatBytes(total)}`, y));
    y += 8;
    const shown = [...bars].sort((a, b) => b.bytes - a.bytes).slice(0, mostBars);
    const inOrder = bars.filter((bar) => shown.includes(bar));
    for (const bar of inOrder) {
      lines.push(drawBar(bar, name.split(' ')[0], columns, y));
      y += heights.bar;
    }
    const rest = bars.length - inOrder.length;
    if (rest > 0) {
      lines.push(`<text class="row-note" x="0" y="${y + 11}">and ${rest} smaller</text>`);
      y += heights.bar;
    }
    y += 24;
  }
  return { lines, bottom: y };
}

function drawBar(bar: BarData, kind: string, columns: Columns, y: number): string {
  const { name, type, bytes, first, last, alias, donated } = bar;
  const use = first === undefined ? 'used by no launch' : `launches ${first} to ${last}`;
  const notes = [use, ...(alias === undefined ? [] : [`lies in ${alias}`]), ...(donated ? ['donated'] : [])];
  const title = `${name}: ${type}, ${formatBytes(bytes)}, ${notes.join(', ')}`;
  const whole = `<rect class="held" x="${left}" y="${y + 2}" width="${coordinate(columns.x(columns.launches) - left)}" height="${heights.bar - 5}" rx="2"/>`;
  const from = columns.x(first ?? 0);
  const until = columns.x(kind === 'outputs' ? columns.launches : (last ?? 0) + 1);
  const used =
    first === undefined
      ? ''
      : `<rect class="used ${kind}" x="${coordinate(from)}" y="${y + 2}" width="${coordinate(until - from)}" height="${heights.bar - 5}" rx="2"/>`;
  const room = Math.floor((left - 10) / 5.6) - type.length - 1;
  const label =
    room < 4
      ? truncate(name, room + type.length + 1)
      : `${name.length > room ? `…${name.slice(1 - room)}` : name} ${type}`;
  const text = `<text x="0" y="${y + 12}" textLength="${coordinate(5.6 * label.length)}" lengthAdjust="spacingAndGlyphs">${escapeHtml(label)}</text>`;
  return `<g class="bar"><title>${escapeHtml(title)}</title>${whole}${used}${text}</g>`;
}
