/** Where the report puts things: random graphs of boxes, tall ones, many; parts of a box that look alike. */
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../ir/ops/random.ts';
import type { Part } from '../../tracer/report/contents.ts';
import { contentsOf, indexOf } from '../../tracer/report/contents.ts';
import type { FunctionData, OpData } from '../../tracer/report/data.ts';
import type { Rectangle, Size } from '../../tracer/report/fold.ts';
import { escapeHtml, formatBytes, formatCount, scriptJson, truncate } from '../../tracer/report/html.ts';
import {
  type Drawing,
  type Link,
  layoutBox,
  layoutBoxes,
  loadLayout,
  mostLayeredBoxes,
} from '../../tracer/report/layout.ts';

beforeAll(loadLayout);

/** Boxes in the order of a program, each reading a few that come before. */
function randomBoxes(seed: number, count: number): { readonly boxes: Size[]; readonly links: Link[] } {
  const random = new Random(seed);
  const boxes = Array.from({ length: count }, () => ({
    width: random.integer(60, 500),
    height: random.integer(40, 700),
  }));
  const links = boxes.flatMap((_, to) => {
    const sources = Array.from({ length: to === 0 ? 0 : random.integer(0, 3) }, () =>
      Math.max(0, to - 1 - random.integer(0, random.integer(0, 3) === 0 ? 60 : 3)),
    );
    return [...new Set(sources)].map((from): Link => ({ from, to }));
  });
  return { boxes, links };
}

const placed = (boxes: readonly Size[], { boxes: corners }: Drawing): Rectangle[] =>
  boxes.map((size, at) => ({ ...size, ...corners[at] }));

const overlap = (a: Rectangle, b: Rectangle): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

function expectSound(boxes: readonly Size[], drawing: Drawing): void {
  const rectangles = placed(boxes, drawing);
  for (const [i, a] of rectangles.entries()) {
    expect(a.x >= 0 && a.y >= 0 && a.x + a.width <= drawing.width && a.y + a.height <= drawing.height).toBe(true);
    for (const b of rectangles.slice(0, i)) expect(overlap(a, b)).toBe(false);
  }
  for (const { points, from, to, far } of drawing.links) {
    for (const { x, y } of points) {
      expect(x >= 0 && y >= 0 && x <= drawing.width && y <= drawing.height).toBe(true);
    }
    if (far) continue;
    const touches = (box: Rectangle, { x, y }: { x: number; y: number }): boolean =>
      overlap({ x: x - 1, y: y - 1, width: 2, height: 2 }, box);
    expect(touches(rectangles[from], points[0])).toBe(true);
    expect(touches(rectangles[to], points[points.length - 1])).toBe(true);
  }
}

describe('boxes', () => {
  it('never overlap, and edges join them', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const { boxes, links } = randomBoxes(seed, 4 * seed);
      expectSound(boxes, layoutBoxes(boxes, links));
    }
  });

  it('fold into columns where they are many', () => {
    const { boxes, links } = randomBoxes(77, 90);
    const drawing = layoutBoxes(boxes, links);
    expectSound(boxes, drawing);
    expect(drawing.height).toBeLessThan(3 * drawing.width);
    const chain = boxes.slice(1).map((_, at): Link => ({ from: at, to: at + 1 }));
    const folded = layoutBoxes(boxes, chain);
    expectSound(boxes, folded);
    expect(folded.height / folded.width).toBeLessThan(1.5);
    expect(folded.height / folded.width).toBeGreaterThan(0.3);
  });

  it('stand in rows, in their order, where they are very many', () => {
    const { boxes, links } = randomBoxes(5, mostLayeredBoxes + 1);
    const drawing = layoutBoxes(boxes, links);
    const rectangles = placed(boxes, drawing);
    for (let i = 1; i < rectangles.length; i++) {
      const [before, after] = [rectangles[i - 1], rectangles[i]];
      expect(after.y > before.y || after.x >= before.x + before.width).toBe(true);
    }
    expect(drawing.links.every(({ far }) => far)).toBe(true);
  });

  it('are placed the same way each time', () => {
    const { boxes, links } = randomBoxes(3, 40);
    expect(layoutBoxes(boxes, links)).toEqual(layoutBoxes(boxes, links));
  });

  it('may be none', () => {
    expect(layoutBoxes([], [])).toMatchObject({ boxes: [], links: [] });
  });
});

/** Ops named by their results: `['2 = multiply 0 1']`, of which the values below `inputs` are parameters. */
function functionOf(inputs: number, lines: readonly string[], results: readonly number[]): FunctionData {
  const ops = lines.map((line): OpData => {
    const [result, , opcode, ...operands] = line.split(' ');
    return { opcode, text: line, operands: operands.map(Number), results: [Number(result)] };
  });
  const values = Array.from({ length: inputs + ops.length }, (_, at) => ({
    name: `%${at}`,
    type: 'f32[4]',
    bytes: 16,
  }));
  return { name: 'main', values, parameters: values.slice(0, inputs).map((_, at) => at), results, ops };
}

const wholeOf = (func: FunctionData): Part[] =>
  contentsOf(indexOf(func), { ops: func.ops.map((_, at) => at), reads: func.parameters, writes: func.results });

describe('the contents of a box', () => {
  it('are parts that share no op', () => {
    const parts = wholeOf(functionOf(2, ['2 = tanh 0', '3 = add 2 1', '4 = negate 0'], [3, 4]));
    expect(parts.map(({ nodes }) => nodes.filter(({ kind }) => kind === 'op').map(({ label }) => label))).toEqual([
      ['tanh', 'add'],
      ['negate'],
    ]);
  });

  it('show equal parts once, which stand for all their ops', () => {
    const lines = [0, 1, 2, 3].flatMap((i) => [`${4 + 2 * i} = tanh ${i}`, `${5 + 2 * i} = negate ${4 + 2 * i}`]);
    const parts = wholeOf(functionOf(4, lines, [5, 7, 9, 11]));
    expect(parts.map(({ copies }) => copies)).toEqual([4]);
    expect(parts[0].nodes.map(({ kind, ops }) => [kind, ops])).toEqual([
      ['op', [0, 2, 4, 6]],
      ['op', [1, 3, 5, 7]],
      ['read', []],
      ['result', []],
    ]);
  });

  it('name a value that many ops use instead of drawing an edge to each', () => {
    const lines = ['5 = sqrt 4', ...[0, 1, 2, 3].map((i) => `${6 + i} = multiply ${i} 5`)];
    const parts = wholeOf(functionOf(5, lines, [6, 7, 8, 9]));
    expect(parts.map(({ copies }) => copies)).toEqual([1, 4]);
    expect(parts[1].nodes.map(({ kind, label }) => `${kind} ${label}`)).toEqual([
      'op multiply',
      'read %0',
      'shared %5',
      'result result 0',
    ]);
  });

  it('name the operands and results of an op together where they are many', () => {
    const inputs = Array.from({ length: 9 }, (_, at) => at);
    const parts = wholeOf(functionOf(9, [`9 = concatenate ${inputs.join(' ')}`], [9]));
    expect(parts[0].nodes.map(({ label }) => label)).toEqual(['concatenate', '9 values', 'result 0']);
    expect(parts[0].nodes[1].title.split('\n')).toHaveLength(9);
  });

  it('fit into their box', () => {
    const parts = wholeOf(functionOf(2, ['2 = tanh 0', '3 = add 2 1', '4 = negate 0', '5 = add 3 4'], [5]));
    const box = layoutBox(parts, () => ({ width: 80, height: 30 }), { width: 300, height: 50 });
    for (const { nodes } of box.parts) {
      for (const { x, y, width, height } of nodes) {
        expect(x >= 0 && y >= 50 && x + width <= box.width && y + height <= box.height).toBe(true);
      }
    }
  });
});

describe('text on the page', () => {
  it('is escaped in HTML and in scripts', () => {
    expect(escapeHtml(`<a href="x">&'</a>\u0000`)).toBe('&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;\ufffd');
    const json = scriptJson({ text: '</script><!-- & \u2028' });
    expect(json).not.toMatch(/[<>&\u2028]/);
    expect(JSON.parse(json)).toEqual({ text: '</script><!-- & \u2028' });
  });

  it('is short', () => {
    expect(truncate('abcdef', 4)).toBe('abc…');
    expect(truncate('abcd', 4)).toBe('abcd');
    expect([0, 1023, 1536, 5 * 2 ** 20, 300 * 2 ** 20].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '5.0 MiB',
      '300 MiB',
    ]);
    expect([7, 999, 1500, 2.5e9].map(formatCount)).toEqual(['7', '999', '1.5 k', '2.5 G']);
  });
});
