/** Arenas of temporaries: what lives at the same time lies apart, and no launch reads and writes one GPUBuffer. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BufferRef, Temporary, WebgpuProgram } from '../../../runtime/program.ts';
import { placeTemporaries, planArenas } from '../../../runtime/webgpu/arenas.ts';
import { temporary } from '../support.ts';
import { chainProgram, kernelOf, programOf } from './support.ts';

/** A program that writes and reads temporaries at random. */
function programFrom(sizes: readonly number[], picks: readonly (readonly [number, number, number])[]): WebgpuProgram {
  const access = ['read', 'read', 'read_write'] as const;
  const kernel = kernelOf('mix', 'fn nothing() {}', { buffers: 3, access });
  const steps = picks.map((pick) => {
    const buffers = pick.map((at): BufferRef => temporary(at % sizes.length));
    return { kind: 'launch', kernel: 0, buffers } as const;
  });
  const legal = steps.filter(({ buffers: [a, b, c] }) => a.index !== c.index && b.index !== c.index);
  const temporaries = sizes.map((bytes, at): Temporary => {
    const used = legal.flatMap(({ buffers }, step) => (buffers.some(({ index }) => index === at) ? [step] : []));
    return { bytes, first: used[0] ?? 0, last: used[used.length - 1] ?? 0 };
  });
  return programOf({ temporaries, kernels: [kernel], steps: legal });
}

const programs = fc
  .tuple(
    fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 3, maxLength: 12 }),
    fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 30 }),
  )
  .map(([sizes, picks]) => programFrom(sizes, picks));

describe('arenas', () => {
  it('keep apart what lives together, and what a launch reads from what it writes', () => {
    fc.assert(
      fc.property(programs, fc.constantFrom(Number.POSITIVE_INFINITY, 8192), (program, most) => {
        const { places, arenas } = planArenas(program, Number, most);
        program.temporaries.forEach((one, at) => {
          const { arena, offset } = places[at];
          const end = offset + Number(one.bytes);
          expect(offset % 256).toBe(0);
          expect(Math.max(end, offset + 16)).toBeLessThanOrEqual(arenas[arena]);
          program.temporaries.forEach((other, otherAt) => {
            const meet = one.first <= other.last && other.first <= one.last;
            if (otherAt <= at || !meet || places[otherAt].arena !== arena) return;
            const otherOffset = places[otherAt].offset;
            expect(end <= otherOffset || otherOffset + Number(other.bytes) <= offset).toBe(true);
          });
        });
        for (const { buffers } of program.steps) {
          const [a, b, written] = buffers.map(({ index }) => places[index].arena);
          expect([a, b]).not.toContain(written);
        }
        for (const bytes of arenas) expect(bytes).toBeLessThanOrEqual(most);
        expect(arenas).toEqual([...arenas].sort((a, b) => b - a));
      }),
      { seed: 6 },
    );
  });

  it('of a chain are two, as large as one temporary each', () => {
    expect(planArenas(chainProgram(1000, 20), Number)).toMatchObject({ arenas: [4096, 4096], scratch: 0 });
  });

  it('grow as little as can be: what is small and long-lived has no arena to itself', () => {
    const temporaries = [
      { bytes: 256, first: 0, last: 3 },
      { bytes: 4096, first: 1, last: 1 },
      { bytes: 4096, first: 2, last: 2 },
    ];
    const launches = [
      { reads: [], writes: [0] },
      { reads: [0], writes: [1] },
      { reads: [], writes: [2] },
      { reads: [0], writes: [] },
    ];
    expect(placeTemporaries({ temporaries, launches }).arenas).toEqual([4096, 256]);
  });

  it('hold the scratch memory of the hungriest launch apart', () => {
    const scratch = (name: string, scratchBytes: number) => kernelOf(name, '', { scratchBytes });
    const program = programOf({ kernels: [scratch('a', 100), scratch('b', 1000), scratch('c', 0)] });
    expect(planArenas(program, Number)).toEqual({ places: [], arenas: [], scratch: 1008 });
  });
});
