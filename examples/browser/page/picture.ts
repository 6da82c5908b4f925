/**
 * The picture: each place in the colour of the classes that the network gives it, mixed by their odds, and the training
 * points on top. Colours are those of the style sheet, so that it is right in the dark too.
 */
import type { Points } from '../protocol.ts';

type Colour = readonly [red: number, green: number, blue: number];

export class Picture {
  readonly #canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  #data: Points | undefined;
  #latest: { readonly odds: Float32Array; readonly grid: number } | undefined;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    const pen = canvas.getContext('2d');
    if (!pen) throw new Error('this browser draws on no canvas');
    this.#pen = pen;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  /** The points of a new run. */
  start(data: Points): void {
    this.#data = data;
    this.#latest = undefined;
  }

  /** @param odds float32[grid, grid, classes], rows from the top */
  show(odds: Float32Array, grid: number, accuracy: number): void {
    this.#latest = { odds, grid };
    this.#canvas.setAttribute(
      'aria-label',
      `A square in three colours, with ${(100 * accuracy).toFixed(1)} % of the points on their own`,
    );
    this.#draw();
  }

  #draw(): void {
    if (!this.#data || !this.#latest) return;
    const { points, labels, classes } = this.#data;
    const { odds, grid } = this.#latest;
    const { width, height } = this.#canvas;
    const pen = this.#pen;
    const paper = this.#colour('--card');
    const colours = Array.from({ length: classes }, (_, i) => this.#colour(`--class-${i}`));
    const field = new OffscreenCanvas(grid, grid);
    field.getContext('2d')?.putImageData(fieldOf(odds, grid, colours, paper), 0, 0);
    pen.imageSmoothingQuality = 'high';
    pen.drawImage(field, 0, 0, width, height);
    // A small picture has larger points, in its own pixels.
    const pixel = width / Math.max(this.#canvas.clientWidth, 1);
    pen.lineWidth = pixel;
    pen.strokeStyle = `rgb(${paper.join(' ')})`;
    for (let i = 0; i < labels.length; i++) {
      pen.beginPath();
      pen.arc(((points[2 * i] + 1) / 2) * width, ((1 - points[2 * i + 1]) / 2) * height, 3.2 * pixel, 0, 2 * Math.PI);
      pen.fillStyle = `rgb(${colours[labels[i]].join(' ')})`;
      pen.fill();
      pen.stroke();
    }
  }

  /** A colour of the style sheet, for the scheme that holds now. */
  #colour(name: string): Colour {
    const probe = document.createElement('span');
    probe.style.color = `var(${name})`;
    this.#canvas.after(probe);
    const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? []).map(Number);
    probe.remove();
    return [red, green, blue];
  }
}

/** Pixels for the odds: the surer the network, the further from the colour of the paper. */
function fieldOf(odds: Float32Array, grid: number, colours: readonly Colour[], paper: Colour): ImageData {
  const image = new ImageData(grid, grid);
  const classes = colours.length;
  for (let i = 0; i < grid * grid; i++) {
    for (let channel = 0; channel < 3; channel++) {
      let mixed = 0;
      for (let c = 0; c < classes; c++) mixed += odds[classes * i + c] * colours[c][channel];
      let most = 0;
      for (let c = 0; c < classes; c++) most = Math.max(most, odds[classes * i + c]);
      const strength = 0.12 + 0.45 * ((most - 1 / classes) / (1 - 1 / classes));
      image.data[4 * i + channel] = paper[channel] + (mixed - paper[channel]) * strength;
    }
    image.data[4 * i + 3] = 255;
  }
  return image;
}
