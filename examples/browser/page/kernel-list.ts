/**
 * The kernels of one step: what each computes, how often it is launched, the time it takes, and, unfolded, its code.
 */
import type { KernelRow } from '../protocol.ts';

/** Lines of code that are shown; a kernel unrolled for speed has thousands. */
const mostLines = 400;

export class KernelList {
  readonly #parent: HTMLElement;
  readonly #summary: HTMLElement;
  readonly #askForCode: () => void;
  #code: ReadonlyMap<string, string> | undefined;

  /** @param askForCode is called when a kernel is unfolded whose code is not known */
  constructor(parent: HTMLElement, summary: HTMLElement, askForCode: () => void) {
    this.#parent = parent;
    this.#summary = summary;
    this.#askForCode = askForCode;
  }

  /** @param isNew whether these are another program's kernels than before */
  show(rows: readonly KernelRow[], isNew: boolean): void {
    if (isNew) this.#code = undefined;
    const open = new Set(
      [...this.#parent.querySelectorAll<HTMLElement>('details[open]')].map((row) => row.dataset.kernel),
    );
    const total = rows.reduce((sum, { milliseconds = 0 }) => sum + milliseconds, 0);
    const longest = Math.max(...rows.map(({ milliseconds = 0 }) => milliseconds));
    const launches = rows.reduce((sum, row) => sum + row.launches, 0);
    this.#summary.textContent =
      total > 0 ? `${launches} launches, ${total.toFixed(2)} ms in all` : `${launches} launches`;
    this.#parent.replaceChildren(
      make(
        'div',
        { class: 'kernel-head' },
        ['Kernel', 'Launches', 'Time', ''].map((text, i) =>
          make('span', i === 1 || i === 2 ? { class: 'number' } : {}, [text]),
        ),
      ),
      ...rows.map((row) => this.#row(row, longest, !isNew && open.has(row.name))),
    );
  }

  /** Fills in the code, kernel by kernel. */
  showCode(code: readonly (readonly [kernel: string, text: string])[]): void {
    this.#code = new Map(code);
    for (const row of this.#parent.querySelectorAll<HTMLDetailsElement>('details[open]')) this.#fill(row);
  }

  #row({ name, ops, launches, milliseconds }: KernelRow, longest: number, isOpen: boolean): HTMLElement {
    const bar = make('i', {});
    bar.style.width = `${milliseconds === undefined || longest === 0 ? 0 : (100 * milliseconds) / longest}%`;
    const row = make('details', { class: 'kernel', 'data-kernel': name }, [
      make('summary', {}, [
        make('span', {}, [make('code', { title: name }, [name]), make('span', { class: 'ops' }, [ops.join(', ')])]),
        make('span', { class: 'number' }, [`${launches}×`]),
        make('span', { class: 'number' }, [milliseconds === undefined ? '–' : timeText(milliseconds)]),
        make('span', { class: 'bar', 'aria-hidden': 'true' }, [bar]),
      ]),
    ]) as HTMLDetailsElement;
    row.addEventListener('toggle', () => {
      if (row.open) this.#fill(row);
    });
    row.open = isOpen;
    return row;
  }

  #fill(row: HTMLDetailsElement): void {
    row.querySelector('pre')?.remove();
    const name = row.dataset.kernel ?? '';
    const lines = this.#code?.get(name)?.split('\n');
    const shown = lines?.slice(0, mostLines) ?? ['…'];
    const rest = (lines?.length ?? 0) - shown.length;
    const text = rest > 0 ? [...shown, `… and ${rest} more lines`] : shown;
    row.append(make('pre', { tabindex: '0', 'aria-label': `Code of ${name}` }, [text.join('\n')]));
    if (!this.#code) this.#askForCode();
  }
}

/** Milliseconds, or microseconds below a tenth of one. */
export const timeText = (milliseconds: number): string =>
  milliseconds < 0.1
    ? `${(1000 * milliseconds).toFixed(0)} µs`
    : `${milliseconds.toFixed(milliseconds < 10 ? 2 : 0)} ms`;

function make(
  name: string,
  attributes: Readonly<Record<string, string>>,
  children: readonly (Node | string)[] = [],
): HTMLElement {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
