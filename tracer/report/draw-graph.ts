/**
 * The drawing of one function as SVG: boxes of ops with the user's lines in their heads, edges inside them and between
 * them, and a small map of the whole. Elements carry what they stand for, so that the page's script can light them up:
 *
 *     <g class="op elementwise" id="n12" data-op="o0.4" data-line="l2" ...>
 */
import type { Cluster } from './clusters.ts';
import { contentsOf, type DrawnNode, type FunctionIndex, type Part } from './contents.ts';
import { familyOfAll } from './families.ts';
import type { Point, Rectangle } from './fold.ts';
import { coordinate, escapeHtml, truncate } from './html.ts';
import { type Box, type Drawing, layoutBox, layoutBoxes, type PlacedLink } from './layout.ts';

/** What the head of a box says. */
export interface BoxHead {
  readonly title: string;
  /** Lines of smaller text below the title. */
  readonly notes: readonly string[];
  /** The user's lines, as `model.ts:12` and text. */
  readonly sources: readonly { readonly at: string; readonly text: string }[];
}

export interface GraphDrawing {
  readonly svg: string;
  /** The same as boxes alone. */
  readonly map: string;
  /** Whether ops are drawn in their boxes. */
  readonly detailed: boolean;
}

export interface GraphRequest {
  readonly index: FunctionIndex;
  readonly clusters: readonly Cluster[];
  readonly headOf: (cluster: Cluster) => BoxHead;
  /** Names of ops and of their source lines, as other parts of the page use them. */
  readonly opId: (op: number) => string;
  readonly lineOf: (op: number) => string | undefined;
  /** Prefix of element names, unique on the page. */
  readonly prefix: string;
  readonly label: string;
  readonly detailed: boolean;
}

/** Widths of a character, as a little more than those of usual monospaced fonts; text is set to them. */
const advance = { title: 7.3, label: 6.7, small: 6.1 };
const longest = { label: 30, small: 34, read: 18, head: 50 };
const sizes = { op: 36, small: 20 };

export function drawGraph(request: GraphRequest): GraphDrawing {
  const { clusters, index, headOf, detailed } = request;
  const heads = clusters.map(headOf);
  const boxes = clusters.map((cluster, at) => {
    const parts = detailed ? contentsOf(index, cluster) : [];
    return layoutBox(parts, (part, node) => sizeOf(part.nodes[node]), headSize(heads[at], parts));
  });
  const links = linksBetween(request);
  const drawing = layoutBoxes(boxes, links);
  const svg = [
    `<svg class="graph" xmlns="http://www.w3.org/2000/svg" width="${coordinate(drawing.width)}" height="${coordinate(drawing.height)}" viewBox="0 0 ${coordinate(drawing.width)} ${coordinate(drawing.height)}" role="group" aria-label="${escapeHtml(request.label)}">`,
    ...drawing.links.map((link, at) => drawLink(link, links[at].title, request.prefix)),
    ...boxes.map((box, at) => drawBox(request, at, { box, head: heads[at], corner: drawing.boxes[at] })),
    '</svg>',
  ];
  return { svg: svg.join('\n'), map: drawMap(drawing, boxes, request), detailed };
}

interface TitledLink {
  readonly from: number;
  readonly to: number;
  readonly title: string;
}

/** Values named in the title of an edge between boxes. */
const mostNamed = 8;

/** An edge for each pair of boxes of which one reads what the other writes. */
function linksBetween({ clusters, index: { func, scalars } }: GraphRequest): TitledLink[] {
  const writers = new Map<number, number>();
  clusters.forEach(({ writes }, at) => {
    for (const value of writes) writers.set(value, at);
  });
  const links = new Map<string, { from: number; to: number; values: number[] }>();
  clusters.forEach(({ reads }, to) => {
    for (const value of reads) {
      const from = writers.get(value);
      if (from === undefined || from === to || scalars.has(value)) continue;
      const link = links.get(`${from} ${to}`);
      if (link) link.values.push(value);
      else links.set(`${from} ${to}`, { from, to, values: [value] });
    }
  });
  return [...links.values()].map(({ from, to, values }) => {
    const named = values.slice(0, mostNamed).map((value) => `${func.values[value].name}: ${func.values[value].type}`);
    const rest = values.length - named.length;
    return { from, to, title: [...named, ...(rest > 0 ? [`and ${rest} more`] : [])].join('\n') };
  });
}

function sizeOf({ kind, label, type = '' }: DrawnNode): { width: number; height: number } {
  if (kind !== 'op') {
    return { width: advance.small * Math.min(label.length, longest.read) + 16, height: sizes.small };
  }
  const text = Math.max(
    advance.label * Math.min(label.length, longest.label),
    advance.small * Math.min(type.length, longest.small),
  );
  return { width: Math.max(56, text + 18), height: sizes.op };
}

const lineHeight = 15;

/** The lines of a head with how many of their characters may show. */
function headSize({ title, notes, sources }: BoxHead, parts: readonly Part[]): { width: number; height: number } {
  const lines = [...notes, ...sources.map(sourceText)];
  const small = lines.reduce((most, line) => Math.max(most, Math.min(line.length, longest.head)), 0);
  const width = Math.max(advance.title * Math.min(title.length, longest.head - 8), advance.small * small);
  return { width, height: 18 + lineHeight * lines.length + (parts.length > 0 ? 10 : 0) };
}

/** File and line without folders, and the text. */
function sourceText({ at, text }: BoxHead['sources'][number]): string {
  const place = at.slice(at.lastIndexOf('/') + 1);
  return text === '' ? place : `${place} ${text}`;
}

interface PlacedBox {
  readonly box: Box;
  readonly head: BoxHead;
  readonly corner: Point;
}

function drawBox(request: GraphRequest, at: number, { box, head, corner }: PlacedBox): string {
  const { clusters, index, prefix } = request;
  const { group, ops } = clusters[at];
  const family = familyOfAll(ops.map((op) => index.func.ops[op].opcode));
  const callee = ops.length === 1 ? index.func.ops[ops[0]].callee : undefined;
  const data = [
    group === undefined ? '' : ` data-group="g${group}"`,
    callee === undefined ? '' : ` data-callee="${callee}"`,
    request.detailed ? '' : ` data-op="${ops.map(request.opId).join(' ')}"`,
  ].join('');
  const room = box.width - 2 * 14;
  const texts = headTexts(head, room);
  const parts = box.parts.map((placed, part) => drawPart(request, placed, `${prefix}c${at}p${part}`));
  return [
    `<g class="box ${family}" id="${prefix}c${at}"${data} transform="translate(${coordinate(corner.x)},${coordinate(corner.y)})">`,
    `<rect width="${coordinate(box.width)}" height="${coordinate(box.height)}" rx="8"/>`,
    ...texts,
    ...parts,
    '</g>',
  ].join('\n');
}

function headTexts({ title, notes, sources }: BoxHead, room: number): string[] {
  const small = (line: string, at: number, kind: string): string => {
    const y = 24 + lineHeight * (at + 1);
    return text({ x: 14, y, content: line, limit: lettersIn(room, advance.small), advance: advance.small, kind });
  };
  const head = { x: 14, y: 24, content: title, limit: lettersIn(room, advance.title), advance: advance.title };
  return [
    text({ ...head, kind: 'title' }),
    ...notes.map((note, at) => small(note, at, 'note')),
    ...sources.map((source, at) => small(sourceText(source), notes.length + at, 'source')),
  ];
}

/** Letters that fit; a hair more room than there is makes up for rounding. */
const lettersIn = (room: number, each: number): number => Math.floor((room + 0.1) / each);

interface TextSpec {
  readonly x: number;
  readonly y: number;
  readonly content: string;
  readonly limit: number;
  readonly advance: number;
  readonly kind: string;
  readonly middle?: boolean;
}

/** Text whose width does not depend on the font at hand; what was cut is in its title. */
function text({ x, y, content, limit, advance: each, kind, middle }: TextSpec): string {
  const shown = truncate(content, limit);
  if (shown === '') return '';
  const title = shown === content ? '' : `<title>${escapeHtml(content)}</title>`;
  const anchor = middle ? ' text-anchor="middle"' : '';
  const length = coordinate(each * shown.length);
  return `<text class="${kind}" x="${coordinate(x)}" y="${coordinate(y)}"${anchor} textLength="${length}" lengthAdjust="spacingAndGlyphs">${escapeHtml(shown)}${title}</text>`;
}

function drawPart(request: GraphRequest, { part, nodes, edges }: Box['parts'][number], prefix: string): string {
  const lines = edges.map((points, at) => {
    const { from, to, title } = part.edges[at];
    return drawEdge('edge', curve(points), `${prefix}n${from} ${prefix}n${to}`, title);
  });
  const drawn = part.nodes.map((node, at) => drawNode(request, node, nodes[at], `${prefix}n${at}`));
  const last = nodes.reduce((most, { y, height }) => Math.max(most, y + height), 0);
  const copies =
    part.copies === 1
      ? []
      : [
          text({
            x: Math.min(...nodes.map(({ x }) => x)),
            y: last + 12,
            content: `× ${part.copies}`,
            limit: 8,
            advance: advance.small,
            kind: 'copies',
          }),
        ];
  return [...lines, ...drawn, ...copies].join('\n');
}

function drawNode(request: GraphRequest, node: DrawnNode, { x, y, width, height }: Rectangle, id: string): string {
  const { kind, ops, family, label, type = '', title, stored } = node;
  const lines = [...new Set(ops.map(request.lineOf).filter((line) => line !== undefined))];
  const attribute = kind === 'op' ? 'data-op' : 'data-source';
  const data = [
    ops.length > 0 ? ` ${attribute}="${ops.map(request.opId).join(' ')}"` : '',
    kind === 'op' && lines.length > 0 ? ` data-line="${lines.join(' ')}"` : '',
  ].join('');
  const centre = width / 2;
  const texts =
    kind === 'op'
      ? [
          { y: 15, content: label, limit: longest.label, advance: advance.label, kind: 'label' },
          { y: 29, content: type, limit: longest.small, advance: advance.small, kind: 'type' },
        ]
      : [{ y: 14, content: tailOf(label), limit: longest.read, advance: advance.small, kind: 'label' }];
  return [
    `<g class="${kind} ${family}${stored ? ' stored' : ''}" id="${id}"${data} transform="translate(${coordinate(x)},${coordinate(y)})"><title>${escapeHtml(title)}</title>`,
    `<rect width="${coordinate(width)}" height="${height}" rx="${kind === 'op' ? 5 : height / 2}"/>`,
    ...texts.map((spec) => text({ ...spec, x: centre, middle: true })),
    '</g>',
  ].join('');
}

/** The end of a long name such as `%parameters.blocks_0.up.weight`, which tells most. */
const tailOf = (name: string): string => (name.length > longest.read ? `…${name.slice(1 - longest.read)}` : name);

function drawLink({ from, to, points, far }: PlacedLink, title: string, prefix: string): string {
  return drawEdge(
    far ? 'link far' : 'link',
    far ? cubic(points) : curve(points),
    `${prefix}c${from} ${prefix}c${to}`,
    title,
  );
}

/** A thin line, and a broad invisible one that is easy to point at. */
const drawEdge = (kind: string, path: string, ends: string, title: string): string =>
  `<g class="${kind}" data-ends="${ends}"><title>${escapeHtml(title)}</title><path class="reach" d="${path}"/><path d="${path}" marker-end="url(#arrow)"/></g>`;

const at = ({ x, y }: Point): string => `${coordinate(x)} ${coordinate(y)}`;
const corner = 22;

/** Lines between the points with rounded corners. */
function curve(points: readonly Point[]): string {
  const [first, last] = [points[0], points[points.length - 1]];
  const bends = points.slice(1, -1).map((point, before) => {
    const [from, to] = [towards(point, points[before]), towards(point, points[before + 2])];
    return `L${at(from)}Q${at(point)} ${at(to)}`;
  });
  return `M${at(first)}${bends.join('')}L${at(last)}`;
}

/** The point where the rounding of a corner begins. */
function towards(from: Point, to: Point): Point {
  const distance = Math.hypot(to.x - from.x, to.y - from.y);
  const share = distance === 0 ? 0 : Math.min(0.5, corner / distance);
  return { x: from.x + share * (to.x - from.x), y: from.y + share * (to.y - from.y) };
}

const cubic = ([from, a, b, to]: readonly Point[]): string => `M${at(from)}C${at(a)} ${at(b)} ${at(to)}`;

function drawMap({ width, height, boxes: corners }: Drawing, boxes: readonly Box[], request: GraphRequest): string {
  const { clusters, index } = request;
  const rectangles = boxes.map((box, number) => {
    const family = familyOfAll(clusters[number].ops.map((op) => index.func.ops[op].opcode));
    const { x, y } = corners[number];
    return `<rect class="${family}" x="${Math.round(x)}" y="${Math.round(y)}" width="${Math.round(box.width)}" height="${Math.round(box.height)}"/>`;
  });
  return [
    `<svg class="map" viewBox="0 0 ${coordinate(width)} ${coordinate(height)}" preserveAspectRatio="xMidYMin meet" aria-hidden="true">`,
    ...rectangles,
    '<rect class="window" x="0" y="0" width="0" height="0"/>',
    '</svg>',
  ].join('');
}
