/**
 * How loops that are no contraction are cut up, where that was measured: reductions, and elementwise work beside them.
 * Every schedule gives the same bits; the order of a sum is not its business.
 *
 *     { copies: 2, tileCost: 65536 }
 *
 *     copies     vectors that one round of a vector loop handles
 *     tileCost   instructions of a tile of the launch, about
 */
export interface NestSchedule {
  readonly copies: number;
  readonly tileCost: number;
}

/** A schedule as text: `nest2x65536`. */
export const nestScheduleKey = ({ copies, tileCost }: NestSchedule): string => `nest${copies}x${tileCost}`;

/** A schedule from its key; `undefined` for text that is none, whoever wrote it. */
export function parseNestSchedule(key: string): NestSchedule | undefined {
  const match = /^nest([1-8])x(\d{4,7})$/.exec(key);
  if (!match) return undefined;
  const tileCost = Number(match[2]);
  return tileCost >= 1 << 12 && tileCost <= 1 << 20 ? { copies: Number(match[1]), tileCost } : undefined;
}

/** What is worth measuring, beside what is chosen by the sizes. */
export const nestCandidates: readonly NestSchedule[] = [1, 2, 4, 6].flatMap((copies) =>
  [1 << 16, 1 << 18].map((tileCost) => ({ copies, tileCost })),
);
