/**
 * The script of the page: tabs, zoom, selection, search, colours of code. It runs in the reader's browser and stands
 * here as text, since the page is one file; without it, the page shows everything one below the other.
 *
 *     data { ops: { 'o0.4': { text, line: 'l2', groups: [1] } }, lines: { l2: ['model.ts:12', '...'] }, groups, functions }
 */
export const script = String.raw`
'use strict';
const root = document.documentElement;
root.classList.add('js');
const data = JSON.parse(document.getElementById('data').textContent);
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const action = (label, act) => make('button', { type: 'button', textContent: label, onclick: act });

// Theme
one('#theme').onclick = () => {
  const shown = root.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  root.dataset.theme = shown === 'dark' ? 'light' : 'dark';
};

// Tabs
const tabs = all('[role="tab"]');
function showTab(name) {
  for (const tab of tabs) {
    const isShown = tab.dataset.tab === name;
    tab.setAttribute('aria-selected', String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    document.getElementById(tab.dataset.tab).hidden = !isShown;
  }
  if (name === 'graph') current().update();
}
tabs.forEach((tab, at) => {
  tab.onclick = () => showTab(tab.dataset.tab);
  tab.onkeydown = ({ key }) => {
    const step = key === 'ArrowRight' ? 1 : key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    const next = tabs[(at + step + tabs.length) % tabs.length];
    next.focus();
    showTab(next.dataset.tab);
  };
});

// Drawings: the pane scrolls, zooming changes the size of the picture in it.
class View {
  constructor(figure) {
    this.figure = figure;
    this.pane = one('.pane', figure);
    this.svg = one('svg.graph', figure);
    this.map = one('svg.map', figure);
    this.window = one('.window', this.map);
    [, , this.width, this.height] = this.svg.getAttribute('viewBox').split(' ').map(Number);
    this.zoom = 0;
    this.pane.addEventListener('scroll', () => this.update(), { passive: true });
    this.pane.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = this.pane.getBoundingClientRect();
      this.setZoom(this.zoom * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    this.pane.onkeydown = ({ key, ctrlKey, metaKey }) => {
      if (ctrlKey || metaKey) return;
      if (key === '+' || key === '=') this.setZoom(this.zoom * 1.25);
      if (key === '-') this.setZoom(this.zoom / 1.25);
      if (key === '0') this.fit();
    };
    this.drag();
    this.followMap();
  }
  /** The pane ends where the window does. */
  grow() {
    const top = this.pane.getBoundingClientRect().top + scrollY;
    if (this.pane.clientWidth > 0) root.style.setProperty('--pane', Math.round(innerHeight - top - 14) + 'px');
  }
  start() {
    if (this.zoom > 0 || this.pane.clientWidth === 0) return;
    this.setZoom(Math.min(1, Math.max(this.pane.clientWidth / this.width, 0.8)), 0, 0);
    this.pane.scrollTo(0, 0);
  }
  setZoom(zoom, x = this.pane.clientWidth / 2, y = this.pane.clientHeight / 2) {
    const next = Math.min(4, Math.max(0.03, zoom));
    const before = this.zoom || next;
    const margin = Math.max(0, (this.pane.clientWidth - this.width * before) / 2);
    const [left, top] = [(this.pane.scrollLeft + x - margin) / before, (this.pane.scrollTop + y) / before];
    this.zoom = next;
    this.svg.setAttribute('width', this.width * next);
    this.svg.setAttribute('height', this.height * next);
    this.svg.classList.toggle('tiny', next < 0.3);
    const after = Math.max(0, (this.pane.clientWidth - this.width * next) / 2);
    this.pane.scrollLeft = left * next + after - x;
    this.pane.scrollTop = top * next - y;
    this.update();
  }
  fit() {
    const zoom = Math.min(this.pane.clientWidth / this.width, this.pane.clientHeight / this.height);
    this.setZoom(Math.min(1.5, zoom * 0.99));
  }
  centre(element) {
    if (this.zoom < 0.55) this.setZoom(0.9);
    const box = element.getBoundingClientRect();
    const pane = this.pane.getBoundingClientRect();
    this.pane.scrollBy({
      left: box.left - pane.left - (pane.width - Math.min(box.width, pane.width)) / 2,
      top: box.top - pane.top - (pane.height - Math.min(box.height, pane.height)) / 2,
    });
  }
  update() {
    this.grow();
    this.start();
    if (!(this.zoom > 0)) return;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.pane;
    const set = (name, value) => this.window.setAttribute(name, String(value));
    set('x', scrollLeft / this.zoom);
    set('y', scrollTop / this.zoom);
    set('width', Math.min(this.width, clientWidth / this.zoom));
    set('height', Math.min(this.height, clientHeight / this.zoom));
    const isWhole = clientWidth >= this.width * this.zoom && clientHeight >= this.height * this.zoom;
    this.map.style.display = isWhole ? 'none' : '';
  }
  drag() {
    let from;
    this.pane.addEventListener('pointerdown', ({ clientX, clientY, button, pointerType }) => {
      if (button !== 0 || pointerType === 'touch') return;
      from = { x: clientX, y: clientY, left: this.pane.scrollLeft, top: this.pane.scrollTop };
      this.moved = false;
    });
    addEventListener('pointermove', ({ clientX, clientY }) => {
      if (!from) return;
      const [x, y] = [clientX - from.x, clientY - from.y];
      if (!this.moved && Math.hypot(x, y) < 5) return;
      this.moved = true;
      this.pane.classList.add('dragging');
      this.pane.scrollTo(from.left - x, from.top - y);
    });
    addEventListener('pointerup', () => {
      from = undefined;
      this.pane.classList.remove('dragging');
    });
  }
  followMap() {
    const go = (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.map.getScreenCTM().inverse());
      this.pane.scrollTo(point.x * this.zoom - this.pane.clientWidth / 2, point.y * this.zoom - this.pane.clientHeight / 2);
    };
    this.map.onpointerdown = (event) => {
      this.map.setPointerCapture(event.pointerId);
      go(event);
    };
    this.map.onpointermove = (event) => event.buttons && go(event);
  }
}
const views = new Map(all('figure[data-drawing]').map((figure) => [figure.dataset.drawing, new View(figure)]));
const chooser = one('#drawing');
const current = () => views.get(chooser.value);
function showDrawing(name) {
  chooser.value = name;
  for (const [key, view] of views) view.figure.hidden = key !== name;
  current().update();
}
chooser.onchange = () => {
  showDrawing(chooser.value);
  search();
};
one('#zoom-in').onclick = () => current().setZoom(current().zoom * 1.25);
one('#zoom-out').onclick = () => current().setZoom(current().zoom / 1.25);
one('#zoom-fit').onclick = () => current().fit();
one('#all-links').onchange = ({ target }) => {
  for (const { svg } of views.values()) svg.classList.toggle('all-links', target.checked);
};
addEventListener('resize', () => current().update());

// Selection
const marks = ['selected', 'lit', 'same-line'];
const details = one('#details');
const nothing = [...details.childNodes];
const withOp = (id) => all('[data-op~="' + id + '"]');

function clearSelection() {
  for (const mark of marks) for (const element of all('.' + mark)) element.classList.remove(mark);
}
function light(element) {
  const box = element.closest('.box');
  const ids = [element.id, box?.id].filter(Boolean);
  for (const id of ids) for (const edge of all('[data-ends~="' + id + '"]', element.ownerSVGElement)) edge.classList.add('lit');
}
function markOps(ids) {
  clearSelection();
  for (const id of ids) {
    for (const element of withOp(id)) {
      element.classList.add('selected');
      if (element.ownerSVGElement?.classList.contains('graph')) light(element);
    }
  }
  const lines = new Set(ids.map((id) => data.ops[id].line).filter(Boolean));
  for (const line of lines) for (const element of all('[data-line~="' + line + '"]')) element.classList.add('same-line');
}
const stageOf = (id) => id[0];
function selectOps(ids) {
  markOps(ids);
  const [id] = ids;
  const op = data.ops[id];
  const shown = [make('h3', {}, op.text.replace(/^.* = /, '').split(' ')[0])];
  if (ids.length > 1) shown.push(make('p', { className: 'at' }, 'one of ' + ids.length + ' that look alike'));
  shown.push(make('pre', {}, make('code', {}, op.text)));
  if (op.line) shown.push(...sourceLines(op, id));
  for (const number of op.groups ?? []) {
    const group = data.groups[number];
    shown.push(make('p', { className: 'at' }, 'computed in ' + group.launches), make('div', { className: 'actions' },
      action(group.name, () => openKernel(group.kernel, id)), action('its group', () => showGroup(number))));
  }
  const actions = make('div', { className: 'actions' });
  if (op.callee !== undefined) actions.append(action('open ' + data.functions[stageOf(id)][op.callee], () => showDrawing(stageOf(id) + op.callee)));
  if (withOp(id).some((element) => element.closest('.memory'))) actions.append(action('memory', () => openMemory(id)));
  if (one('tr[data-rule] [data-op="' + id + '"]')) actions.append(action('not fused', () => openRefusals(id)));
  details.replaceChildren(...shown, actions);
}
function sourceLines(op, id) {
  const [at, text] = data.lines[op.line];
  const parts = [make('p', { className: 'at' }, at)];
  if (text) parts.push(make('pre', {}, make('code', {}, text)));
  const others = Object.keys(data.ops).filter((other) => data.ops[other].line === op.line && stageOf(other) !== stageOf(id));
  const drawn = others.filter((other) => elementOf(other));
  if (drawn.length > 0) {
    const stage = stageOf(id) === 'o' ? 'as traced' : 'optimised';
    parts.push(make('p', {}, action('this line ' + stage + ': ' + drawn.length + (drawn.length === 1 ? ' op' : ' ops'), () => goTo(drawn))));
  }
  return parts;
}
function opList(ids) {
  return make('ul', {}, ...ids.map((id) => make('li', {}, make('button', {
    type: 'button', title: data.ops[id].text, onclick: () => goTo([id]),
  }, make('code', {}, data.ops[id].text.replace(/: \S+ = /, ' = '))))));
}
function selectGroup(number) {
  const group = data.groups[number];
  clearSelection();
  for (const element of all('.graph [data-group="g' + number + '"]')) {
    element.classList.add('selected');
    light(element);
  }
  details.replaceChildren(
    make('h3', {}, group.name),
    make('p', {}, group.launches + ', ' + group.bytes),
    make('div', { className: 'actions' }, action('kernel', () => openKernel(group.kernel))),
    opList(group.ops),
  );
}
function showGroup(number) {
  selectGroup(number);
  const box = one('.graph [data-group="g' + number + '"]');
  showDrawing(box.closest('figure').dataset.drawing);
  current().centre(box);
}
function deselect() {
  clearSelection();
  details.replaceChildren(...nothing);
}
const elementOf = (id) => one('.graph .op[data-op~="' + id + '"]') ?? one('.graph .box[data-op~="' + id + '"]');
/** Shows ops in their drawing and selects them. */
function goTo(ids) {
  const element = elementOf(ids[0]);
  if (!element) return;
  showTab('graph');
  showDrawing(element.closest('figure').dataset.drawing);
  selectOps(ids);
  current().centre(element);
}
function openKernel(number, id) {
  showTab('kernels');
  const card = document.getElementById('k' + number);
  card.hidden = false;
  card.open = true;
  (id === undefined ? card : one('[data-op="' + id + '"]', card) ?? card).scrollIntoView({ block: 'center' });
}
function openMemory(id) {
  showTab('memory');
  one('.memory [data-op~="' + id + '"]').scrollIntoView({ block: 'center', inline: 'center' });
}
function openRefusals(id) {
  showTab('refusals');
  one('tr[data-rule] [data-op="' + id + '"]').scrollIntoView({ block: 'center' });
}
document.addEventListener('click', ({ target }) => {
  if (!(target instanceof Element)) return;
  const button = target.closest('[data-goto]');
  if (button) return goTo([button.dataset.goto]);
  const launch = target.closest('.memory .launch');
  if (launch) return openKernel(launch.dataset.kernel.slice(1));
  const drawing = target.closest('.graph, .memory');
  if (!drawing || (drawing.classList.contains('graph') && current().moved)) return;
  const read = target.closest('.graph [data-source]');
  const op = target.closest('.op, .block');
  const box = target.closest('.box');
  if (read) {
    const ids = read.dataset.source.split(' ').filter((id) => elementOf(id));
    if (ids.length > 0) goTo(ids);
  } else if (op?.dataset.op) selectOps(op.dataset.op.split(' '));
  else if (box?.dataset.group) selectGroup(Number(box.dataset.group.slice(1)));
  else if (box?.dataset.callee) selectOps([one('[data-op]', box)?.dataset.op ?? box.dataset.op]);
  else deselect();
});

document.addEventListener('dblclick', ({ target }) => {
  const box = target instanceof Element && target.closest('.box[data-callee]');
  if (box) showDrawing(stageOf(chooser.value) + box.dataset.callee);
});

// Search
const field = one('#search');
const texts = new Map(Object.entries(data.ops).map(([id, { text, line }]) =>
  [id, (text + ' ' + (data.lines[line] ?? []).join(' ')).toLowerCase()]));
const rule = one('#rule');
let hits = [];
let atHit = -1;
function search() {
  const wanted = field.value.trim().toLowerCase();
  root.classList.toggle('searching', wanted !== '');
  for (const element of all('.hit')) element.classList.remove('hit');
  const found = new Set(wanted === '' ? [] : [...texts].filter(([, text]) => text.includes(wanted)).map(([id]) => id));
  const isHit = (element) => (element.dataset.op ?? '').split(' ').some((id) => found.has(id));
  if (wanted !== '') {
    for (const element of all('.graph .op, .graph .box[data-op], .memory .block, table.ops tr[data-op]')) {
      if (isHit(element)) element.classList.add('hit');
    }
  }
  hits = all('.graph .hit', current().figure);
  atHit = -1;
  let kernels = 0;
  for (const card of all('.kernel')) {
    card.hidden = wanted !== '' && !card.querySelector('.hit') && !one('.kernel-name', card).textContent.toLowerCase().includes(wanted);
    if (!card.hidden) kernels++;
  }
  let rows = 0;
  for (const row of all('tr[data-rule]')) {
    const named = all('[data-op]', row).some(isHit) || row.textContent.toLowerCase().includes(wanted);
    row.hidden = !named || (rule.value !== '' && row.dataset.rule !== rule.value);
    if (!row.hidden) rows++;
  }
  for (const meaning of all('.rules [data-rule]')) meaning.hidden = rule.value !== '' && meaning.dataset.rule !== rule.value;
  const count = one('#refusal-count');
  if (count) count.textContent = rows + ' shown';
  one('#hits').textContent = wanted === '' ? '' : hits.length + ' in this graph, ' + kernels + (kernels === 1 ? ' kernel' : ' kernels');
}
function nextHit(step) {
  if (hits.length === 0) return;
  atHit = (atHit + step + hits.length) % hits.length;
  const element = hits[atHit];
  goTo(element.dataset.op.split(' '));
  one('#hits').textContent = atHit + 1 + ' of ' + hits.length;
  current().centre(element);
}
field.oninput = search;
field.onkeydown = (event) => {
  if (event.key === 'Enter') nextHit(event.shiftKey ? -1 : 1);
  if (event.key === 'Escape') {
    field.value = '';
    search();
  }
};
if (rule) rule.onchange = search;
addEventListener('keydown', (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '');
  if (event.key === '/' && !isTyping) {
    event.preventDefault();
    field.focus();
  }
  if (event.key === 'Escape' && !isTyping) deselect();
});

// Order of kernels
const order = one('#order');
order.onchange = () => {
  const key = (card) => Number(card.dataset[order.value]);
  const cards = all('.kernel').sort((a, b) => key(a) - key(b) || Number(a.dataset.launch) - Number(b.dataset.launch));
  one('#cards').append(...cards);
};

// Code
const tokens = /((?:;;|\/\/).*)|("[^"\n]*")|([%$@][\w.$]+)|\b((?:[fiuv]\d+(?:x\d+)?|bf16|bool)(?:\.\w+)*)\b|\b(kernel|independent|scratch|parallel|sequential|carrying|then|reduce|lanes|blocks|load|store|when|else|tuple|from|by|yielding|read_write|read|write|over|module|func|param|result|local|global|loop|block|br_if|br|if|then|memory|import|export|call|return|drop|get|set|tee|fn|var|let|const|struct|for|while|switch|case|default|storage|workgroup|uniform|function|enable|array|vec[234]|atomic|ptr)\b|(\b(?:0x[\da-f]+|\d[\d.]*(?:e[+-]?\d+)?|nan|inf)\b)/gi;
const kinds = ['c', 'c', 'n', 't', 'w', 'd'];
function colour(code) {
  const text = code.textContent;
  const pieces = document.createDocumentFragment();
  let end = 0;
  for (const match of text.matchAll(tokens)) {
    const kind = kinds[match.slice(1).findIndex((group) => group !== undefined)];
    pieces.append(text.slice(end, match.index), make('span', { className: kind, textContent: match[0] }));
    end = match.index + match[0].length;
  }
  pieces.append(text.slice(end));
  code.replaceChildren(pieces);
}
for (const block of all('details.code')) {
  block.addEventListener('toggle', () => {
    const code = one('code[data-language]', block);
    if (!block.open || code.dataset.coloured) return;
    code.dataset.coloured = 'yes';
    colour(code);
  });
}

showDrawing(chooser.value);
showTab('graph');
search();
root.dataset.ready = 'yes';
`;
