/**
 * Names of things on the page, by which its parts and its script refer to each other, and the user's lines.
 *
 *     opName('o', 0, 4)       // 'o0.4': op 4 of function 0, as optimised
 */
import type { ReportData } from './data.ts';

/** As optimised, or as traced. */
export type Stage = 'o' | 't';

export const opName = (stage: Stage, func: number, op: number): string => `${stage}${func}.${op}`;

/** A line of the user's source. */
export interface SourceLine {
  readonly id: string;
  /** `model.ts:12`. */
  readonly at: string;
  /** Empty where the file could not be read. */
  readonly text: string;
}

/** The user's lines, by the ops' places; ops of one line share it, whatever their columns. */
export class SourceLines {
  readonly all: SourceLine[] = [];
  readonly #byPlace: readonly SourceLine[];

  constructor({ places }: ReportData) {
    const known = new Map<string, SourceLine>();
    this.#byPlace = places.map(({ file, line, text = '' }) => {
      const at = `${file}:${line}`;
      const key = `${at} ${text}`;
      const found = known.get(key) ?? { id: `l${known.size}`, at, text };
      if (!known.has(key)) this.all.push(found);
      known.set(key, found);
      return found;
    });
  }

  of(place: number | undefined): SourceLine | undefined {
    return place === undefined ? undefined : this.#byPlace[place];
  }
}
