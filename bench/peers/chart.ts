/**
 * How many times faster Kiln is than each rival, as a picture: one line a row of the table, one bar a rival, from the
 * line at 1 to the right where Kiln is faster, to the left where the rival is. One panel for each number of threads;
 * Kiln in `fast`, with relaxed SIMD where that was measured. The same figures give the same bytes.
 */
import type { PeerFigures } from './figures.ts';
import { type Peer, peers, type Simd, type Threads } from './hosts.ts';
import { rows } from './rows.ts';
import type { Figures } from './schedule.ts';

const colours: Readonly<Record<Exclude<Peer, 'kiln'>, string>> = {
  'onnxruntime-web': '#2f6fb0',
  'onnxruntime-node': '#8fb8de',
  'jax-js': '#d97a29',
  tfjs: '#eabf8b',
  torch: '#9c3d54',
  'torch.compile': '#d58a9c',
  jax: '#4a8c5b',
  tensorflow: '#a3cda6',
};

const [barHeight, lineGap, labelWidth, panelWidth, panelGap, top, bottom] = [7, 9, 260, 420, 56, 76, 34];
/** The axis, in powers of two; bars beyond it are cut and say so by their figures. */
const [low, high] = [-4, 7];

interface Bar {
  readonly peer: Exclude<Peer, 'kiln'>;
  readonly ratio: number;
}

interface Line {
  readonly name: string;
  /** For each panel. */
  readonly bars: readonly (readonly Bar[])[];
}

const escapeText = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
/** A coordinate, to tenths. */
const at = (value: number): string => String(Math.round(value * 10) / 10);

function barsOf(figures: readonly Figures[], row: string, threads: Threads, simd: Simd): Bar[] {
  const ofRow = figures.filter((f) => f.row === row);
  const kiln = ofRow.find((f) => f.peer === 'kiln' && f.mode === 'fast' && f.threads === threads && f.simd === simd);
  if (!kiln) return [];
  return peers.flatMap((peer) => {
    // With as many threads as Kiln, or with the most it knows.
    const known = ofRow.filter((f) => f.peer === peer && f.threads <= threads);
    const rival = known.find((f) => f.threads === threads) ?? known[0];
    return peer === 'kiln' || !rival ? [] : [{ peer, ratio: rival.p50 / kiln.p50 }];
  });
}

const x = (ratio: number): number => {
  const power = Math.min(high, Math.max(low, Math.log2(ratio)));
  return ((power - low) / (high - low)) * panelWidth;
};

const ratioText = (ratio: number): string => (ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1));

function drawBar({ peer, ratio }: Bar, left: number, y: number): string {
  const [from, to] = [x(1), x(ratio)];
  const rect = `<rect x="${at(left + Math.min(from, to))}" y="${at(y)}" width="${at(Math.max(0.5, Math.abs(to - from)))}" height="${barHeight - 1}" fill="${colours[peer]}"/>`;
  const [anchor, beside] = ratio >= 1 ? ['start', to + 3] : ['end', to - 3];
  const text = `<text x="${at(left + beside)}" y="${at(y + barHeight - 1.5)}" font-size="7" text-anchor="${anchor}" fill="#555">${ratioText(ratio)}</text>`;
  return rect + text;
}

function drawAxis(left: number, height: number, title: string): string {
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => 2 ** (low + i));
  const lines = ticks.map((ratio) => {
    const position = at(left + x(ratio));
    const label = ratio >= 1 ? `${ratio}×` : `1/${1 / ratio}×`;
    const stroke = ratio === 1 ? '#444' : '#e2e2e2';
    return (
      `<line x1="${position}" y1="${top - 6}" x2="${position}" y2="${height - bottom}" stroke="${stroke}"/>` +
      `<text x="${position}" y="${height - bottom + 14}" font-size="10" text-anchor="middle" fill="#666">${label}</text>`
    );
  });
  return `${lines.join('\n')}\n<text x="${left}" y="${top - 14}" font-size="12" font-weight="bold" fill="#333">${title}</text>`;
}

function drawLegend(shown: readonly Exclude<Peer, 'kiln'>[]): string {
  let left = labelWidth;
  return shown
    .map((peer) => {
      const item =
        `<rect x="${left}" y="30" width="12" height="9" fill="${colours[peer]}"/>` +
        `<text x="${left + 17}" y="39" font-size="11" fill="#333">${peer}</text>`;
      left += 34 + 6.2 * peer.length;
      return item;
    })
    .join('\n');
}

/** An SVG document. */
export function peerChart({ figures }: PeerFigures): string {
  const threads = ([1, 2] as const).filter((count) => figures.some((f) => f.peer === 'kiln' && f.threads === count));
  const simd = figures.some((f) => f.peer === 'kiln' && f.simd === 'relaxed') ? 'relaxed' : 'plain';
  const lines = rows
    .map(({ name }): Line => ({ name, bars: threads.map((count) => barsOf(figures, name, count, simd)) }))
    .filter(({ bars }) => bars.some((panel) => panel.length > 0));
  const shown = peers.filter(
    (peer): peer is Exclude<Peer, 'kiln'> =>
      peer !== 'kiln' && lines.some(({ bars }) => bars.flat().some((bar) => bar.peer === peer)),
  );
  const heightOf = ({ bars }: Line): number => Math.max(...bars.map((panel) => panel.length)) * barHeight + lineGap;
  const height = top + lines.reduce((sum, line) => sum + heightOf(line), 0) + bottom;
  const width = labelWidth + Math.max(1, threads.length) * (panelWidth + panelGap);
  const leftOf = (panel: number): number => labelWidth + panel * (panelWidth + panelGap);
  let y = top;
  const drawn = lines.map((line, i) => {
    const lineTop = y;
    y += heightOf(line);
    const middle = lineTop + (heightOf(line) - lineGap) / 2 + 4;
    const shade =
      i % 2 === 0
        ? `<rect x="0" y="${at(lineTop - lineGap / 2)}" width="${width}" height="${at(heightOf(line))}" fill="#f6f6f4"/>`
        : '';
    const label = `<text x="${labelWidth - 10}" y="${at(middle)}" font-size="11" text-anchor="end" fill="#222">${escapeText(line.name)}</text>`;
    const bars = line.bars.flatMap((panel, p) =>
      panel.map((bar, b) => drawBar(bar, leftOf(p), lineTop + b * barHeight)),
    );
    return { shade, marks: [label, ...bars].join('\n') };
  });
  const axes = threads.map((count, p) => drawAxis(leftOf(p), height, `${count} thread${count === 1 ? '' : 's'}`));
  const title = `Kiln (fast${simd === 'relaxed' ? ', relaxed SIMD' : ''}): how many times faster than each rival`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${at(height)}" viewBox="0 0 ${width} ${at(height)}" font-family="Helvetica, Arial, sans-serif">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${at(height)}" fill="#ffffff"/>`,
    `<text x="${labelWidth}" y="18" font-size="14" font-weight="bold" fill="#222">${title}</text>`,
    drawLegend(shown),
    ...drawn.map(({ shade }) => shade).filter((shade) => shade !== ''),
    ...axes,
    ...drawn.map(({ marks }) => marks),
    '</svg>',
    '',
  ].join('\n');
}
