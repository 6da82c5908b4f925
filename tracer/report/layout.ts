/**
 * Where everything in a drawing goes. Each box is laid out by itself, part by part, and then the boxes as nodes of a
 * graph of their own, both by dagre. So boxes never overlap, and time grows with the boxes, not with all ops at once.
 *
 *     parts → packed into boxes → boxes in layers from top to bottom → folded into columns
 *
 * Edges that span many layers, such as an activation that the backward pass reads, would tangle everything; they are
 * kept as direct lines that show when one of their ends is looked at.
 */
import type { Part } from './contents.ts';
import { fold, type Laid, measured, type Point, type Rectangle, type Size } from './fold.ts';

export interface PlacedPart {
  readonly part: Part;
  readonly nodes: readonly Rectangle[];
  readonly edges: readonly (readonly Point[])[];
}

/** A box with its parts, which are placed relative to the box. */
export interface Box extends Size {
  readonly parts: readonly PlacedPart[];
}

export interface Link {
  readonly from: number;
  readonly to: number;
}

export interface PlacedLink extends Link {
  readonly points: readonly Point[];
  /** Whether it spans so many layers that it is only shown on demand. */
  readonly far: boolean;
}

export interface Drawing extends Size {
  readonly boxes: readonly Point[];
  readonly links: readonly PlacedLink[];
}

/** Layers that an edge may span to be drawn all the way. */
const nearest = 4;
/** Boxes above which they are set in rows, in the order of the program. */
export const mostLayeredBoxes = 600;
const margin = 24;
const gaps = { node: 14, rank: 24, part: 26, box: 36, layer: 44 };

type Dagre = typeof import('@dagrejs/dagre');
let dagre: Dagre | undefined;

/** Loads the library; the functions below need it. */
export async function loadLayout(): Promise<void> {
  dagre ??= await import('@dagrejs/dagre');
}

function layered(sizes: readonly Size[], links: readonly Link[], gap: { node: number; rank: number }): Laid {
  if (!dagre) throw new Error('layout before loadLayout()');
  const graph = new dagre.Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'TB', nodesep: gap.node, ranksep: gap.rank, edgesep: 8, ranker: 'network-simplex' });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [at, { width, height }] of sizes.entries()) graph.setNode(String(at), { width, height });
  for (const [at, { from, to }] of links.entries()) graph.setEdge(String(from), String(to), {}, String(at));
  dagre.layout(graph);
  const nodes = sizes.map(({ width, height }, at): Rectangle => {
    const { x = 0, y = 0 } = graph.node(String(at)) as Partial<Point>;
    return { x: x - width / 2, y: y - height / 2, width, height };
  });
  const edges = links.map(({ from, to }, at): readonly Point[] => {
    const edge = graph.edge(String(from), String(to), String(at)) as { points?: readonly Point[] };
    return edge.points ?? [];
  });
  return measured(nodes, edges);
}

/** Lays out a box: its parts side by side in rows below a head. */
export function layoutBox(parts: readonly Part[], sizeOf: (part: Part, node: number) => Size, head: Size): Box {
  const laid = parts.map((part) => layoutPart(part, sizeOf));
  const area = laid.reduce((sum, { width, height }) => sum + (width + gaps.part) * (height + gaps.part), 0);
  const widest = laid.reduce((most, { width }) => Math.max(most, width), head.width);
  const room = Math.max(widest, 1.3 * Math.sqrt(area));
  const { corners, width, height } = inRows(laid, room, gaps.part);
  // A single part stands in the middle of a box that its head made wider.
  const indent = Math.max(0, (widest - width) / 2);
  return {
    width: Math.max(width, head.width) + 2 * 14,
    height: head.height + height + 2 * 14,
    parts: laid.map(({ nodes, edges }, at) => {
      const [dx, dy] = [14 + indent + corners[at].x, 14 + head.height + corners[at].y];
      return {
        part: parts[at],
        nodes: nodes.map((node) => ({ ...node, x: node.x + dx, y: node.y + dy })),
        edges: edges.map((points) => points.map(({ x, y }) => ({ x: x + dx, y: y + dy }))),
      };
    }),
  };
}

/** Parts that were laid out in this drawing and others, by their shape: the layers of a network repeat themselves. */
const knownParts = new Map<string, Laid>();
/** Shapes that are kept; layouts are cheap enough to be made again. */
const mostKnownParts = 2000;

function layoutPart(part: Part, sizeOf: (part: Part, node: number) => Size): Laid {
  const sizes = part.nodes.map((_, at) => sizeOf(part, at));
  const key = `${sizes.map(({ width, height }) => `${width} ${height}`).join()};${part.edges.map(({ from, to }) => `${from} ${to}`).join()}`;
  const known = knownParts.get(key);
  if (known) return known;
  const laid = layered(sizes, part.edges, { node: gaps.node, rank: gaps.rank });
  if (knownParts.size >= mostKnownParts) knownParts.clear();
  knownParts.set(key, laid);
  return laid;
}

/** Sets rectangles side by side, in order, in rows that are at most `room` wide. */
function inRows(sizes: readonly Size[], room: number, gap: number): Size & { readonly corners: readonly Point[] } {
  const corners: Point[] = [];
  let [x, y, rowHeight, widest] = [0, 0, 0, 0];
  for (const { width, height } of sizes) {
    if (x > 0 && x + width > room) [x, y, rowHeight] = [0, y + rowHeight + gap, 0];
    corners.push({ x, y });
    widest = Math.max(widest, x + width);
    rowHeight = Math.max(rowHeight, height);
    x += width + gap;
  }
  return { corners, width: widest, height: y + rowHeight };
}

/** Places boxes, given in the order of the program. */
export function layoutBoxes(boxes: readonly Size[], links: readonly Link[]): Drawing {
  if (boxes.length === 0) return { width: 2 * margin, height: 2 * margin, boxes: [], links: [] };
  const spans = spansOf(boxes.length, links);
  const isFar = links.map((_, at) => boxes.length > mostLayeredBoxes || spans[at] > nearest);
  const near = links.filter((_, at) => !isFar[at]);
  const laid =
    boxes.length > mostLayeredBoxes ? rowsOf(boxes) : fold(layered(boxes, near, { node: gaps.box, rank: gaps.layer }));
  const corners = laid.nodes.map(({ x, y }) => ({ x: x + margin, y: y + margin }));
  let next = 0;
  return {
    width: laid.width + 2 * margin,
    height: laid.height + 2 * margin,
    boxes: corners,
    links: links.map((link, at) => {
      if (isFar[at]) return { ...link, far: true, points: direct(laid.nodes[link.from], laid.nodes[link.to]) };
      const points = laid.edges[next++].map(({ x, y }) => ({ x: x + margin, y: y + margin }));
      return { ...link, far: false, points };
    }),
  };
}

function rowsOf(boxes: readonly Size[]): Laid {
  const area = boxes.reduce((sum, { width, height }) => sum + (width + gaps.box) * (height + gaps.box), 0);
  const { corners, width, height } = inRows(boxes, 0.8 * Math.sqrt(area), gaps.box);
  return { nodes: boxes.map((size, at) => ({ ...size, ...corners[at] })), edges: [], width, height };
}

/** The four points of a cubic curve: from the bottom of one box to the top of another, or from side to side. */
function direct(from: Rectangle, to: Rectangle): Point[] {
  const centre = ({ x, y, width, height }: Rectangle): Point => ({ x: x + width / 2, y: y + height / 2 });
  const [a, b] = [centre(from), centre(to)];
  const isBelow = to.y >= from.y + from.height;
  const side = Math.sign(b.x - a.x);
  const start = isBelow ? { x: a.x, y: from.y + from.height } : { x: a.x + (side * from.width) / 2, y: a.y };
  const end = isBelow ? { x: b.x, y: to.y } : { x: b.x - (side * to.width) / 2, y: b.y };
  const half = { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 };
  const bends = isBelow
    ? [
        { ...start, y: half.y },
        { ...end, y: half.y },
      ]
    : [
        { ...start, x: half.x },
        { ...end, x: half.x },
      ];
  return [start, ...bends, end].map(({ x, y }) => ({ x: x + margin, y: y + margin }));
}

/**
 * How many layers each link spans when every box is in the first layer below what it depends on, and one that depends
 * on nothing right above the first that reads it.
 */
function spansOf(count: number, links: readonly Link[]): number[] {
  const outgoing = Array.from({ length: count }, (): number[] => []);
  const missing = new Array<number>(count).fill(0);
  for (const { from, to } of links) {
    outgoing[from].push(to);
    missing[to]++;
  }
  const layer = new Array<number>(count).fill(0);
  const sources = missing.flatMap((number, at) => (number === 0 ? [at] : []));
  const ready = [...sources];
  for (let at = ready.pop(); at !== undefined; at = ready.pop()) {
    for (const to of outgoing[at]) {
      layer[to] = Math.max(layer[to], layer[at] + 1);
      if (--missing[to] === 0) ready.push(to);
    }
  }
  for (const at of sources) {
    if (outgoing[at].length > 0)
      layer[at] = outgoing[at].reduce((least, to) => Math.min(least, layer[to]), Infinity) - 1;
  }
  return links.map(({ from, to }) => layer[to] - layer[from]);
}
