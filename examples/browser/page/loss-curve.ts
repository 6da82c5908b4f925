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
    // The dashes of earlier runs go on top: where they agree with the line, both can be seen.
    const curves = [...(this.#current ? [this.#current] : []), ...this.#past];
    const losses = curves.flatMap(({ points }) => points.map(([, loss]) => loss));
    const scale = this.#scale(losses);
    this.#svg.setAttribute('viewBox', `0 0 ${this.#width} ${this.#height}`);
    this.#svg.replaceChildren(...this.#axes(scale), ...curves.flatMap((curve, at) => this.#curve(curve, at, scale)));
    const last = this.#current?.points.at(-1);
    this.#svg.setAttribute('aria-label', last ? `Loss ${last[1].toPrecision(3)} at step ${last[0]}` : 'No loss yet');
  }

  #scale(losses: readonly number[]): Scale {
    const [most, least] = [Math.max(1.2, ...losses), Math.min(0.4, ...losses.filter((loss) => loss > 0))];
    const low = ticks.find((tick) => tick <= least) ?? least;
    const part = (loss: number): number => Math.log(most / Math.max(loss, low)) / Math.log(most / low);
    return {
      ticks: ticks.filter((tick) => tick >= low && tick <= most),
      x: (step) => frame.left + (step / this.#steps) * (this.#width - frame.left - frame.right),
      y: (loss) => frame.top + part(loss) * (this.#height - frame.top - frame.bottom),
    };
  }

  #axes({ ticks, x, y }: Scale): SVGElement[] {
    // Over many decades the tenths are enough.
    const shown = ticks.length > 7 ? ticks.filter((tick) => Number.isInteger(Math.log10(tick))) : ticks;
    const losses = shown.flatMap((tick) => {
      const at = y(tick);
      return [
        element('line', { class: 'grid', x1: frame.left, x2: this.#width - frame.right, y1: at, y2: at }),
        element('text', { x: frame.left - 8, y: at + 4, 'text-anchor': 'end' }, String(tick)),
      ];
    });
    const steps = [0, 0.25, 0.5, 0.75, 1].map((part) => {
      const step = Math.round(part * this.#steps);
      const anchor = part === 1 ? 'end' : 'middle';
      return element('text', { x: x(step), y: this.#height - 6, 'text-anchor': anchor }, String(step));
    });
    return [...losses, ...steps];
  }

  /** The line, and its name in the corner that falling losses leave free. */
  #curve(curve: Curve, at: number, { x, y }: Scale): SVGElement[] {
    const isPast = curve !== this.#current;
    const points = curve.points.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`);
    const [start, line] = [frame.left + 10, this.#height - frame.bottom - 12 - 18 * at];
    const name = `${curve.device === 'wasm' ? 'WASM' : 'WebGPU'}${isPast ? ', before' : ''}`;
    const kind = `${curve.device}${isPast ? ' past' : ''}`;
    return [
      element('polyline', { class: kind, points: points.join(' ') }),
      element('polyline', { class: kind, points: `${start},${line - 4} ${start + 26},${line - 4}` }),
      element('text', { x: start + 34, y: line }, name),
    ];
  }
}

/** From a loss and a step to a place. */
interface Scale {
  /** Losses that have a line. */
  readonly ticks: readonly number[];
  readonly x: (step: number) => number;
  readonly y: (loss: number) => number;
}

/** Round numbers, falling: 50, 20, 10, 5, … */
const ticks = [1, 0, -1, -2, -3, -4, -5, -6, -7].flatMap((exponent) =>
  [5, 2, 1].map((digit) => Number(`${digit}e${exponent}`)),
);

function element(name: string, attributes: Readonly<Record<string, string | number>>, text = ''): SVGElement {
  const made = document.createElementNS(space, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}
