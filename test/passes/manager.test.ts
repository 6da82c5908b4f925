import { describe, expect, it } from 'vitest';
import { KilnError } from '../../base/error.ts';
import { GraphBuilder } from '../../ir/builder.ts';
import type { Module } from '../../ir/types.ts';
import { mapGraphs, type Pass, type PassContext, type PassRecord, runPasses } from '../../passes/manager.ts';

const context: PassContext = { precision: 'strict', verify: true, constantBudget: 0 };

function sample(): Module {
  const b = new GraphBuilder();
  const x = b.parameter({ dtype: 'float32', shape: [2] });
  return { functions: [{ name: 'main', graph: b.build([b.op('tanh', [b.op('sine', [x])])]) }], main: 'main' };
}

/** Drops the last op and returns its operand instead. */
const dropLast: Pass = {
  name: 'dropLast',
  run: (module) =>
    mapGraphs(module, (graph) => {
      const last = graph.ops.at(-1);
      return last ? { ...graph, ops: graph.ops.slice(0, -1), results: [last.operands[0]] } : graph;
    }),
};

const lengthOf = ({ functions }: Module): number => functions[0].graph.ops.length;

function failure(run: () => unknown): KilnError {
  try {
    run();
  } catch (error) {
    if (error instanceof KilnError) return error;
  }
  throw new Error('expected a KilnError');
}

describe('runPasses', () => {
  it('runs passes in order and tells about each', () => {
    const records: PassRecord[] = [];
    const module = sample();
    const after = runPasses(module, [dropLast, dropLast, dropLast], { ...context, trace: (r) => records.push(r) });
    expect(lengthOf(after)).toBe(0);
    expect(records.map(({ pass, changed }) => [pass, changed])).toEqual([
      ['dropLast', true],
      ['dropLast', true],
      ['dropLast', false],
    ]);
    expect(records[0].before).toBe(module);
    expect(records[2].after).toBe(records[2].before);
    expect(records.every(({ milliseconds }) => milliseconds >= 0)).toBe(true);
  });

  it('repeats until nothing changes, or as often as it may', () => {
    const records: string[] = [];
    const trace = ({ pass }: PassRecord) => records.push(pass);
    const step = (rounds: number) => ({ name: 'shrink', repeat: [dropLast], rounds });
    expect(lengthOf(runPasses(sample(), [step(9)], { ...context, trace }))).toBe(0);
    expect(records).toEqual(['shrink/dropLast', 'shrink/dropLast', 'shrink/dropLast']);
    expect(lengthOf(runPasses(sample(), [step(1)], context))).toBe(1);
  });

  it('names the pass whose result does not verify, when asked to verify', () => {
    const breakIt: Pass = {
      name: 'breakIt',
      run: (module) => mapGraphs(module, (graph) => ({ ...graph, ops: graph.ops.slice(1) })),
    };
    const error = failure(() => runPasses(sample(), [breakIt], context));
    expect(error.code).toBe('internal');
    expect(error.message).toContain('breakIt');
    expect(lengthOf(runPasses(sample(), [breakIt], { ...context, verify: false }))).toBe(1);
  });

  it('names the pass that throws, but leaves errors for the user as they are', () => {
    const throwing = (error: Error): Pass => ({
      name: 'throwing',
      run: () => {
        throw error;
      },
    });
    const broken = failure(() => runPasses(sample(), [throwing(new TypeError('oops'))], context));
    expect(broken.message).toContain('pass throwing failed: oops');
    expect(broken.cause).toBeInstanceOf(TypeError);
    const users = new KilnError('not_differentiable', 'no');
    expect(failure(() => runPasses(sample(), [throwing(users)], context))).toBe(users);
  });
});

describe('mapGraphs', () => {
  it('gives back the same module when every graph stays', () => {
    const module = sample();
    expect(mapGraphs(module, (graph) => graph)).toBe(module);
  });
});
