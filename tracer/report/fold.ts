/**
 * Folds a tall drawing into columns, so that a chain of a hundred boxes is not a line too thin to see. The drawing is
 * cut where no box stands; an edge that crosses a cut goes on below its column, up between the columns, and down into
 * the next.
 *
 *     a          a ┐ ┌ c
 *     b    →     b │ │ d
 *     c            └─┘
 *     d
 */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Top left corner and size. */
export interface Rectangle extends Point, Size {}

/** Boxes and the edges between them as lists of points. */
export interface Laid extends Size {
  readonly nodes: readonly Rectangle[];
  readonly edges: readonly (readonly Point[])[];
}

/** Height that is never folded, and the width to height that folding aims at. */
const unfolded = 2600;
const aspect = 1.6;
const lane = { first: 16, next: 5 };
const gutter = 30;

export function fold(laid: Laid): Laid {
  const columns = Math.floor(Math.sqrt((aspect * laid.height) / Math.max(laid.width, 1)));
  if (laid.height <= unfolded || columns < 2) return laid;
  const cuts = cutsOf(laid, laid.height / columns);
  if (cuts.length === 0) return laid;
  const columnOf = ({ y }: Point): number => cuts.filter((cut) => cut <= y).length;
  const crossings = cuts.map((cut) => crossingsOf(laid.edges, cut));
  const places = placeColumns(laid, cuts, crossings, columnOf);
  return measured(
    laid.nodes.map((node) => ({ ...node, ...places.move(node, columnOf(node)) })),
    laid.edges.map((points, edge) => foldEdge(points, edge, { cuts, crossings, places, columnOf })),
  );
}

/** Heights where no box stands, at most about `target` apart where boxes allow it. */
function cutsOf({ nodes, height }: Laid, target: number): number[] {
  const gaps: number[] = [];
  let bottom = 0;
  for (const node of [...nodes].sort((a, b) => a.y - b.y)) {
    if (node.y > bottom) gaps.push((node.y + bottom) / 2);
    bottom = Math.max(bottom, node.y + node.height);
  }
  const cuts: number[] = [];
  let [start, before] = [0, 0];
  for (const gap of [...gaps, height]) {
    if (gap - start > 1.1 * target && before > start) {
      cuts.push(before);
      start = before;
    }
    before = gap;
  }
  return cuts;
}

/** Edges that cross a cut, and where; those on the right first. */
interface Crossings {
  readonly order: readonly number[];
  readonly x: ReadonlyMap<number, number>;
}

function crossingsOf(edges: readonly (readonly Point[])[], cut: number): Crossings {
  const x = new Map<number, number>();
  edges.forEach((points, edge) => {
    for (let i = 1; i < points.length; i++) {
      const [a, b] = [points[i - 1], points[i]];
      if (a.y >= cut || b.y < cut) continue;
      x.set(edge, a.x + ((b.x - a.x) * (cut - a.y)) / (b.y - a.y));
      break;
    }
  });
  const order = [...x.keys()].sort((a, b) => (x.get(b) ?? 0) - (x.get(a) ?? 0) || a - b);
  return { order, x };
}

interface Columns {
  move(point: Point, column: number): Point;
  /** The way from the foot of a column to the head of the next, for the edge at that place in the order. */
  passage(column: number, place: number, count: number): readonly [y: number, x: number, y: number];
}

function placeColumns(
  { nodes, edges, height }: Laid,
  cuts: readonly number[],
  crossings: readonly Crossings[],
  columnOf: (point: Point) => number,
): Columns {
  const extents = [...cuts, height].map((_, at) => ({ left: Infinity, right: -Infinity, top: [0, ...cuts][at] }));
  const note = (column: number, from: number, to: number): void => {
    extents[column].left = Math.min(extents[column].left, from);
    extents[column].right = Math.max(extents[column].right, to);
  };
  for (const node of nodes) note(columnOf(node), node.x, node.x + node.width);
  for (const points of edges) for (const point of points) note(columnOf(point), point.x, point.x);
  crossings.forEach(({ x }, cut) => {
    for (const at of x.values()) {
      note(cut, at, at);
      note(cut + 1, at, at);
    }
  });
  const most = crossings.reduce((count, { order }) => Math.max(count, order.length), 0);
  const head = lane.first + lane.next * most;
  let left = 0;
  const offsets = extents.map((extent, at) => {
    const offset = left - extent.left;
    left += extent.right - extent.left + 2 * gutter + lane.next * (crossings[at]?.order.length ?? 0);
    return offset;
  });
  return {
    move: ({ x, y }, column) => ({ x: x + offsets[column], y: y - extents[column].top + head }),
    passage: (column, place, count) => [
      head + cuts[column] - extents[column].top + lane.next * place,
      extents[column].right + offsets[column] + gutter + lane.next * place,
      head - lane.first - lane.next * (count - 1 - place),
    ],
  };
}

interface FoldContext {
  readonly cuts: readonly number[];
  readonly crossings: readonly Crossings[];
  readonly places: Columns;
  readonly columnOf: (point: Point) => number;
}

function foldEdge(
  points: readonly Point[],
  edge: number,
  { cuts, crossings, places, columnOf }: FoldContext,
): readonly Point[] {
  const folded: Point[] = [];
  let column = columnOf(points[0]);
  for (const point of points) {
    for (; column < columnOf(point); column++) {
      const { order, x } = crossings[column];
      const at = { x: x.get(edge) ?? point.x, y: cuts[column] };
      const [down, across, up] = places.passage(column, order.indexOf(edge), order.length);
      const [foot, top] = [places.move(at, column), places.move(at, column + 1)];
      folded.push({ x: foot.x, y: down }, { x: across, y: down }, { x: across, y: up }, { x: top.x, y: up }, top);
    }
    folded.push(places.move(point, column));
  }
  return folded;
}

/** Moves everything so that it begins at 0, and measures it. */
export function measured(nodes: readonly Rectangle[], edges: readonly (readonly Point[])[]): Laid {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const note = (x: number, y: number): void => {
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  };
  for (const { x, y, width, height } of nodes) {
    note(x, y);
    note(x + width, y + height);
  }
  for (const points of edges) for (const { x, y } of points) note(x, y);
  return {
    nodes: nodes.map((node) => ({ ...node, x: node.x - left, y: node.y - top })),
    edges: edges.map((points) => points.map(({ x, y }) => ({ x: x - left, y: y - top }))),
    width: right - left,
    height: bottom - top,
  };
}
