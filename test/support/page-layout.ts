/**
 * What is wrong with the layout of a report page. The code runs in the page and stands here as text, since this
 * project's types know no DOM.
 *
 *     const { faults } = await page.evaluate<DrawnLayout>(drawnLayout);      // ['o0c3 multiply overlaps o0c4 reduce']
 */

export interface DrawnLayout {
  readonly ops: number;
  readonly boxes: number;
  readonly faults: readonly string[];
}

/** Of the drawing that is shown, at the size it was drawn at: what overlaps or sticks out. */
export const drawnLayout = `(() => {
  const slack = 0.75;
  const svg = document.querySelector('figure:not([hidden]) svg.graph');
  svg.setAttribute('width', svg.viewBox.baseVal.width);
  svg.setAttribute('height', svg.viewBox.baseVal.height);
  const faults = [];
  const nameOf = (element) => element.id + ' ' + (element.querySelector('text')?.textContent ?? '');
  const rectOf = (group) => group.querySelector(':scope > rect').getBoundingClientRect();
  const sticksOut = (inner, outer) =>
    inner.left < outer.left - slack || inner.right > outer.right + slack ||
    inner.top < outer.top - slack || inner.bottom > outer.bottom + slack;
  const findOverlaps = (elements) => {
    const rects = elements.map(rectOf);
    for (let i = 0; i < rects.length; i++) {
      for (let j = 0; j < i; j++) {
        const wide = Math.min(rects[i].right, rects[j].right) - Math.max(rects[i].left, rects[j].left);
        const high = Math.min(rects[i].bottom, rects[j].bottom) - Math.max(rects[i].top, rects[j].top);
        if (wide > slack && high > slack) faults.push(nameOf(elements[i]) + ' overlaps ' + nameOf(elements[j]));
      }
    }
  };
  const whole = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll('.box')];
  findOverlaps(boxes);
  for (const edge of svg.querySelectorAll('.edge, .link:not(.far)')) {
    if (sticksOut(edge.getBoundingClientRect(), whole)) faults.push('an edge leaves the drawing');
  }
  for (const box of boxes) {
    const outer = rectOf(box);
    if (sticksOut(outer, whole)) faults.push(nameOf(box) + ' leaves the drawing');
    const nodes = [...box.querySelectorAll('.op, .read, .shared, .result')];
    findOverlaps(nodes);
    for (const node of nodes) if (sticksOut(rectOf(node), outer)) faults.push(nameOf(node) + ' leaves its box');
    for (const text of box.querySelectorAll('text')) {
      const frame = text.parentElement === box ? outer : rectOf(text.parentElement);
      if (sticksOut(text.getBoundingClientRect(), frame)) faults.push('the text ' + text.textContent + ' overflows');
    }
  }
  return { ops: svg.querySelectorAll('.op').length, boxes: boxes.length, faults };
})()`;

/** Pairs of blocks of the memory chart that cover each other, and blocks outside of the chart. */
export const memoryFaults = `(() => {
  const blocks = [...document.querySelectorAll('.memory .block')].map((element) => ({
    title: element.querySelector('title').textContent,
    rect: element.querySelector('rect').getBoundingClientRect(),
    chart: element.closest('svg').getBoundingClientRect(),
  }));
  const faults = [];
  blocks.forEach(({ title, rect, chart }, i) => {
    const isInside = rect.left >= chart.left && rect.right <= chart.right && rect.top >= chart.top && rect.bottom <= chart.bottom;
    if (!isInside) faults.push(title + ' leaves the chart');
    for (const other of blocks.slice(0, i)) {
      const wide = Math.min(rect.right, other.rect.right) - Math.max(rect.left, other.rect.left);
      const high = Math.min(rect.bottom, other.rect.bottom) - Math.max(rect.top, other.rect.top);
      // A thin block is drawn a pixel high.
      if (wide > 1 && high > 1.5) faults.push(title + ' overlaps ' + other.title);
    }
  });
  return faults;
})()`;

/** Pixels by which the page is wider than its window. */
export const pageOverflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
