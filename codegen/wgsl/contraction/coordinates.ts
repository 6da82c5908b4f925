/**
 * Several axes as one long axis, and back.
 *
 *     axes n < 2, h < 7, w < 9, flat number p      →      n = p / 63, h = p / 9 % 7, w = p % 9
 */
import { type Dim, dimBounds, equalDims, modDims } from '../../../base/dim.ts';
import type { Axis } from '../../../ir/kernel.ts';
import type { Body } from '../body.ts';
import { nameOfAxis } from '../names.ts';

/**
 * Writes what takes a flat number, or four of them, apart. Texts of the counters, in the order of the axes.
 * @param flat a name
 */
export function writeCounters(body: Body, axes: readonly Axis[], flat: string, prefix = ''): readonly string[] {
  if (axes.length <= 1) return axes.map(() => flat);
  const counters: string[] = [];
  let rest = flat;
  for (let at = axes.length - 1; at > 0; at--) {
    const size = body.shader.size(axes[at].extent);
    counters.unshift(define(`${prefix}${nameOfAxis(axes[at].name)}`, `${rest} % ${size}`));
    rest = define(at > 1 ? 'rest' : `${prefix}${nameOfAxis(axes[0].name)}`, `${rest} / ${size}`);
  }
  return [rest, ...counters];

  function define(wanted: string, text: string): string {
    const name = body.unique(wanted);
    body.line(`let ${name} = ${text};`);
    return name;
  }
}

/** Gives the axes their counters. */
export function bindCounters(body: Body, axes: readonly Axis[], counters: readonly string[]): void {
  axes.forEach(({ name }, i) => {
    body.axes.set(name, counters[i]);
  });
}

/** Whether a size is certainly a multiple of a number. */
export const isDivisible = (size: Dim, by: number): boolean => equalDims(modDims(size, by), 0);

/** Whether a size may be 0. */
export const mayBeZero = (size: Dim): boolean => dimBounds(size)[0] <= 0;
