/**
 * Several axes as one long axis, and back.
 *
 *     axes n < 2, h < 7, w < 9, flat number p      →      n = p / 63, h = p / 9 % 7, w = p % 9
 */
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
  for (let at = axes.length - 1; at >= 0; at--) {
    const { name, extent } = axes[at];
    const size = body.shader.size(extent);
    const counter = body.unique(`${prefix}${nameOfAxis(name)}`);
    body.line(`let ${counter} = ${at === 0 ? rest : `${rest} % ${size}`};`);
    counters.unshift(counter);
    if (at === 0) break;
    const next = body.unique('rest');
    body.line(`let ${next} = ${rest} / ${size};`);
    rest = next;
  }
  return counters;
}

/** Gives the axes their counters. */
export function bindCounters(body: Body, axes: readonly Axis[], counters: readonly string[]): void {
  axes.forEach(({ name }, i) => {
    body.axes.set(name, counters[i]);
  });
}
