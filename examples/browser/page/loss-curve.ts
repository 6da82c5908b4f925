/**
 * The loss over the steps, as SVG: steps from the left, the loss on a logarithmic scale. Curves of earlier runs stay,
 * faint, so that one sees whether two devices agree.
 */
import type { DeviceName } from '../protocol.ts';

const frame = { left: 44, right: 12, top: 10, bottom: 26 };
const space = 'http://www.w3.org/2000/svg';

interface Curve {
  readonly device: DeviceName;
  readonly points: (readonly [step: number, loss: number])[];
}

export class LossCurve {
  readonly #svg: SVGSVGElement;
  /** In pixels: those of the element, so that text keeps its size. */
  #width = 520;
  #height = 270;
  #past: Curve[] = [];
  #current: Curve | undefined;
  #steps = 1;

  constructor(parent: HTMLElement) {
    this.#svg = document.createElementNS(space, 'svg');
    this.#svg.setAttribute('role', 'img');
    parent.append(this.#svg);
    new ResizeObserver(([{ contentRect }]) => {
      [this.#width, this.#height] = [contentRect.width, contentRect.height];
      this.#draw();
    }).observe(parent);
  }

  /** Begins a curve of so many steps. */
  start(device: DeviceName, steps: number): void {
    // One of each device is enough to compare with.
    if (this.#current)
      this.#past = [...this.#past.filter((curve) => curve.device !== this.#current?.device), this.#current];
    if (steps !== this.#steps) this.#past = [];
    this.#steps = steps;
    this.#current = { device, points: [] };
    this.#draw();
  }

  add(losses: Curve['points']): void {
    this.#current?.points.push(...losses);
    this.#draw();
  }

  #draw(): void {
    const [width, height] = [this.#width, this.#height];
    const curves = [...this.#past, ...(this.#current ? [this.#current] : [])];
    const losses = curves.flatMap(({ points }) => points.map(([, loss]) => loss)).filter((loss) => loss > 0);
    const low = Math.floor(Math.log10(Math.min(0.1, ...losses)));
    const high = Math.log10(Math.max(1.2, ...losses));
    const x = (step: number): number => frame.left + (step / this.#steps) * (width - frame.left - frame.right);
    const y = (loss: number): number =>
      frame.top + ((high - Math.log10(loss)) / (high - low)) * (height - frame.top - frame.bottom);
    const parts: SVGElement[] = [];
    for (let exponent = low; exponent <= Math.floor(high); exponent++) {
      const at = y(10 ** exponent);
      parts.push(element('line', { class: 'grid', x1: frame.left, x2: width - frame.right, y1: at, y2: at }));
      parts.push(element('text', { x: frame.left - 8, y: at + 4, 'text-anchor': 'end' }, String(10 ** exponent)));
    }
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const step = Math.round(part * this.#steps);
      parts.push(
        element('text', { x: x(step), y: height - 6, 'text-anchor': part === 1 ? 'end' : 'middle' }, String(step)),
      );
    }
    for (const curve of curves) {
      const points = curve.points
        .filter(([, loss]) => loss > 0)
        .map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`);
      const past = curve === this.#current ? '' : ' past';
      parts.push(element('polyline', { class: curve.device + past, points: points.join(' ') }));
    }
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.#svg.replaceChildren(...parts);
    const last = this.#current?.points.at(-1);
    this.#svg.setAttribute('aria-label', last ? `Loss ${last[1].toPrecision(3)} at step ${last[0]}` : 'No loss yet');
  }
}

function element(name: string, attributes: Readonly<Record<string, string | number>>, text = ''): SVGElement {
  const made = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}
