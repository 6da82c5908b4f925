import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dim } from '../../base/dim.ts';
import { SourceLocation } from '../../base/location.ts';
import { full, GraphBuilder, scalar } from '../../ir/builder.ts';
import { canonicalModule } from '../../ir/canonical.ts';
import { evaluateModule } from '../../ir/evaluate.ts';
import { literal } from '../../ir/literal.ts';
import { printGraph, printModule } from '../../ir/printer.ts';
import { type Graph, type Module, mainOf, type Op, type OpOf } from '../../ir/types.ts';
import { verifyModule } from '../../ir/verifier.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { type PassContext, runPasses } from '../../passes/manager.ts';
import {
  canonicalRules,
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  foldConstants,
  inlineCalls,
  optimizePipeline,
} from '../../passes/optimize/index.ts';
import { rewriteGraph, rule, ruleTable } from '../../passes/rewrite.ts';
import { randomModule } from '../support/random-graph.ts';
import { expectSame } from './optimize-compare.ts';

const isFull = process.env.KILN_TEST === 'full';
const runs = { numRuns: isFull ? 3000 : 100 };

const contextOf = (precision: 'fast' | 'strict'): PassContext => ({ precision, verify: true, constantBudget: 1 << 12 });
const optimize = (module: Module, precision: 'fast' | 'strict'): Module =>
  runPasses(module, optimizePipeline, contextOf(precision));
const moduleOf = (graph: Graph): Module => ({ functions: [{ name: 'main', graph }], main: 'main' });
const opcodesOf = (module: Module): string[] => mainOf(module).graph.ops.map(({ opcode }) => opcode);
const f32 = (...shape: number[]) => ({ dtype: 'float32', shape }) as const;

const seeds = fc.integer({ min: 1, max: 1 << 30 });
/** None; one that is at least 1; one that may be 0, and is. */
const symbolicSizes = fc.constantFrom(false, true, 0);

describe('the whole pipeline on random graphs', () => {
  it('keeps every bit in strict mode, NaN, infinities and -0 included', () => {
    fc.assert(
      fc.property(seeds, symbolicSizes, (seed, symbolic) => {
        const { module, inputs } = randomModule(seed, { ops: 25, special: true, symbolic });
        const expected = evaluateModule(module, inputs, { mode: 'rounded' });
        expectSame(evaluateModule(optimize(module, 'strict'), inputs, { mode: 'rounded' }), expected, 0);
      }),
      runs,
    );
  });

  it('keeps values within 1e-4 of the greatest element in fast mode', () => {
    fc.assert(
      fc.property(seeds, symbolicSizes, (seed, symbolic) => {
        const { module, inputs } = randomModule(seed, { ops: 25, smooth: true, symbolic });
        const expected = evaluateModule(module, inputs, { mode: 'rounded' });
        expectSame(evaluateModule(optimize(module, 'fast'), inputs, { mode: 'rounded' }), expected, 1e-4);
      }),
      runs,
    );
  });

  it.each(['fast', 'strict'] as const)('changes nothing the second time, in %s mode', (precision) => {
    fc.assert(
      fc.property(seeds, symbolicSizes, (seed, symbolic) => {
        const { module } = randomModule(seed, { ops: 30, special: true, symbolic });
        const once = optimize(module, precision);
        expect(optimize(once, precision)).toBe(once);
      }),
      runs,
    );
  });

  it('never makes graphs of more costly ops', () => {
    const costly = new Set(['dot_general', 'convolution', 'reduce', 'gather', 'scatter', 'reduce_window']);
    const count = (module: Module): number => opcodesOf(module).filter((opcode) => costly.has(opcode)).length;
    fc.assert(
      fc.property(seeds, (seed) => {
        const { module } = randomModule(seed, { ops: 30 });
        expect(count(optimize(module, 'fast'))).toBeLessThanOrEqual(count(module));
      }),
      runs,
    );
  });

  it('keeps gradients of random graphs, optimised before or after', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const { module, inputs } = randomModule(seed, {
          ops: 15,
          smooth: true,
          allow: (opcode) => !['scatter', 'reduce_window', 'power', 'atan2', 'rsqrt', 'log'].includes(opcode),
        });
        const { graph } = mainOf(module);
        const wrt = graph.parameters.flatMap(({ type }, i) => (type.dtype === 'float32' ? [i] : []));
        const outputs = graph.results.flatMap(({ type }, i) => (type.dtype === 'float32' ? [i] : []));
        const gradient = moduleOf(vjpGraph(graph, { wrt, outputs }));
        const primal = evaluateModule(module, inputs, { mode: 'rounded' });
        const all = [...inputs, ...outputs.map((i) => ({ ...primal[i], data: [1] }))];
        const expected = evaluateModule(gradient, all, { mode: 'rounded' });
        expectSame(evaluateModule(optimize(gradient, 'strict'), all, { mode: 'rounded' }), expected, 0);
      }),
      runs,
    );
  });
});

describe('single passes', () => {
  it('inlineCalls leaves one function, with locations and result values', () => {
    const callee = new GraphBuilder();
    const p = callee.parameter(f32(2), 'p');
    const location = SourceLocation.of('layer.ts', 3, 1);
    const layer = { name: 'layer', graph: callee.build([callee.op('tanh', [p], {}, { location, name: 'h' }), p]) };
    const functions = new Map([['layer', layer]]);
    const b = new GraphBuilder({ functions });
    const x = b.parameter(f32(2), 'x');
    const [h, same] = b.results('call', [x], { function: 'layer' });
    const [again] = b.results('call', [b.op('add', [h, same])], { function: 'layer' });
    const module = { functions: [layer, { name: 'main', graph: b.build([again, h]) }], main: 'main' };
    const inlined = inlineCalls.run(module, contextOf('strict'));
    verifyModule(inlined);
    const { graph } = mainOf(inlined);
    expect(inlined.functions).toHaveLength(1);
    expect(opcodesOf(inlined)).toEqual(['tanh', 'add', 'tanh']);
    expect(graph.results).toEqual([again, h]);
    expect(graph.ops[0].location).toBe(location);
    const inputs = [literal('float32', [2], [0.5, -1])];
    expect(evaluateModule(inlined, inputs, { mode: 'double' })).toEqual(
      evaluateModule(module, inputs, { mode: 'double' }),
    );
  });

  it('eliminateCommonSubexpressions respects attributes, constants and the order of what does not commute', () => {
    const b = new GraphBuilder();
    const [x, y] = [b.parameter(f32(4)), b.parameter(f32(4))];
    const sums = [b.op('add', [x, y]), b.op('add', [y, x])];
    const differences = [b.op('subtract', [x, y]), b.op('subtract', [y, x])];
    const zeros = [scalar(b, 'float32', 0), scalar(b, 'float32', -0), scalar(b, 'float32', 0)];
    const nans = [scalar(b, 'float32', Number.NaN), scalar(b, 'float32', Number.NaN)];
    const slices = [1, 2, 1].map((start) => b.op('slice', [x], { start: [start], limit: [4], strides: [1] }));
    const module = moduleOf(b.build([...sums, ...differences, ...zeros, ...nans, ...slices]));
    const { results } = mainOf(eliminateCommonSubexpressions.run(module, contextOf('strict'))).graph;
    const classes = results.map((value) => results.indexOf(value));
    expect(classes).toEqual([0, 0, 2, 3, 4, 5, 4, 7, 7, 9, 10, 9]);
  });

  it('eliminateDeadCode drops ops and functions that nobody needs, and says when there are none', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32(4));
    const kept = b.op('sine', [x]);
    b.op('cosine', [b.op('tanh', [x])]);
    const unused = { name: 'unused', graph: new GraphBuilder().build([]) };
    const module = { functions: [unused, { name: 'main', graph: b.build([kept]) }], main: 'main' };
    const after = eliminateDeadCode.run(module, contextOf('strict'));
    expect(after.functions.map(({ name }) => name)).toEqual(['main']);
    expect(opcodesOf(after)).toEqual(['sine']);
    expect(eliminateDeadCode.run(after, contextOf('strict'))).toBe(after);
  });

  it('foldConstants computes what is exact everywhere, within its budget, and nothing else', () => {
    const b = new GraphBuilder();
    const c = b.op('constant', [], { value: literal('float32', [2], [0.1, 0.2]) });
    const sum = b.op('add', [c, c]);
    const root = b.op('sqrt', [c]);
    const exponential = b.op('exponential', [c]);
    const total = b.op('reduce', [c], { kind: 'sum', axes: [0] });
    const big = b.op('pad', [c, scalar(b, 'float32', 0)], { low: [0], high: [2000], interior: [0] });
    const T = dim('T', { min: 2, max: 9 });
    const symbolic = b.op('pad', [c, scalar(b, 'float32', 0)], { low: [0], high: [T], interior: [0] });
    const module = moduleOf(b.build([sum, root, exponential, total, big, symbolic]));
    const after = mainOf(foldConstants.run(module, contextOf('strict'))).graph;
    const opcodes = after.results.map((result) => after.ops.find((op) => op.results.includes(result))?.opcode);
    expect(opcodes).toEqual(['constant', 'constant', 'exponential', 'reduce', 'pad', 'pad']);
    const folded = after.ops.find((op) => op.results[0] === root) as OpOf<'constant'>;
    expect(Array.from(folded.attributes.value.data)).toEqual(
      [0.1, 0.2].map((x) => Math.fround(Math.sqrt(Math.fround(x)))),
    );
  });

  it('foldConstants computes from numbers of the dtype, whatever digits they were written with', () => {
    const b = new GraphBuilder();
    const module = moduleOf(b.build([b.op('subtract', [scalar(b, 'float32', 1), scalar(b, 'float32', 0.93)])]));
    const after = optimize(module, 'strict');
    expect(opcodesOf(after)).toEqual(['constant']);
    expect(evaluateModule(after, [], { mode: 'double' })[0].data[0]).toBe(Math.fround(1 - Math.fround(0.93)));
  });

  it('a size that is known becomes what the op gives: integers wrap, floats are rounded', () => {
    const folded = (size: number, dtype: 'int32' | 'uint32' | 'float32') => {
      const b = new GraphBuilder();
      const module = moduleOf(b.build([b.op('dimension_size', [], { size, dtype })]));
      const after = optimize(module, 'strict');
      expect(opcodesOf(after)).toEqual(['constant']);
      const [given] = evaluateModule(after, [], { mode: 'double' });
      expectSame([given], evaluateModule(module, [], { mode: 'rounded' }), 0);
      return given.data[0];
    };
    expect(folded(2 ** 31, 'int32')).toBe(-(2 ** 31));
    expect(folded(2 ** 32 + 5, 'uint32')).toBe(5);
    expect(folded(2 ** 24 + 1, 'float32')).toBe(2 ** 24);
  });

  it('a division by a constant and by a changed constant differ in their keys', () => {
    const graphOf = (value: number): Module => {
      const b = new GraphBuilder();
      const x = b.parameter(f32(3));
      return moduleOf(b.build([b.op('divide', [x, full(b, x.type, value)])]));
    };
    expect(canonicalModule(optimize(graphOf(4), 'strict'))).not.toBe(canonicalModule(optimize(graphOf(3), 'strict')));
    expect(opcodesOf(optimize(graphOf(4), 'strict'))).toContain('multiply');
    expect(opcodesOf(optimize(graphOf(3), 'strict'))).toContain('divide');
  });
});

describe('rewriting', () => {
  it('keeps the location of the op that was replaced, and its name', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32(2), 'x');
    const location = SourceLocation.of('model.ts', 7, 3);
    const y = b.op('divide', [x, full(b, x.type, 2)], {}, { location, name: 'half' });
    const { graph } = mainOf(optimize(moduleOf(b.build([y])), 'strict'));
    expect(printGraph(graph, { locations: true })).toContain('%half: f32[2] = multiply');
    expect(graph.ops.at(-1)?.location).toBe(location);
  });

  it('tells about each rewrite', () => {
    const b = new GraphBuilder();
    const x = b.parameter(f32(2));
    const module = moduleOf(b.build([b.op('negate', [b.op('negate', [b.op('multiply', [full(b, x.type, 1), x])])])]));
    const seen: string[] = [];
    const watch = (name: string, { opcode }: Op) => seen.push(`${name} on ${opcode}`);
    const after = runPasses(module, optimizePipeline, { ...contextOf('strict'), watch });
    expect(seen).toEqual(['constant_right on multiply', 'times_one on multiply', 'involution on negate']);
    expect(mainOf(after).graph.results).toEqual([x]);
  });

  it('runs reassociating rules in fast mode only, and finite-only rules never', () => {
    const named = (precision: 'fast' | 'strict') => [...ruleTable(canonicalRules, precision).values()].flat();
    expect(named('strict').every(({ floatClass }) => floatClass === 'exact')).toBe(true);
    expect(named('fast').some(({ floatClass }) => floatClass === 'reassociating')).toBe(true);
    const finite = rule({ name: 'x', opcodes: ['multiply'], floatClass: 'finite-only', apply: () => undefined });
    expect(ruleTable([finite], 'fast').size).toBe(0);
  });

  it('stops rules that go on for ever, and says which', () => {
    const swap = rule({
      name: 'swap_for_ever',
      opcodes: ['add'],
      floatClass: 'exact',
      apply: (op, rewriter) => rewriter.op('add', [op.operands[1], op.operands[0]]),
    });
    const b = new GraphBuilder();
    const [x, y] = [b.parameter(f32(2)), b.parameter(f32(2))];
    const graph = b.build([b.op('add', [x, y])]);
    expect(() => rewriteGraph(graph, ruleTable([swap], 'strict'), { verify: true })).toThrow('swap_for_ever');
    verifyModule(moduleOf(rewriteGraph(graph, ruleTable([swap], 'strict'), { verify: false })));
  });

  it('takes a question about sizes that has no answer for no match', () => {
    const T = dim('T', { min: 1, max: 9 });
    const cut = rule({
      name: 'cut',
      opcodes: ['negate'],
      floatClass: 'exact',
      apply: ({ operands }, rewriter) => rewriter.op('slice', operands, { start: [2], limit: [T], strides: [1] }),
    });
    const b = new GraphBuilder();
    const graph = b.build([b.op('negate', [b.parameter({ dtype: 'float32', shape: [T] })])]);
    expect(rewriteGraph(graph, ruleTable([cut], 'strict'), { verify: true })).toBe(graph);
  });

  it('refuses a rule that changes a type', () => {
    const wrong = rule({
      name: 'wrong_type',
      opcodes: ['reshape'],
      floatClass: 'exact',
      apply: (op) => op.operands[0],
    });
    const b = new GraphBuilder();
    const graph = b.build([b.op('reshape', [b.parameter(f32(4))], { shape: [2, 2] })]);
    expect(() => rewriteGraph(graph, ruleTable([wrong], 'strict'), { verify: true })).toThrow('wrong_type');
  });

  it('turns a training step into canonical form', () => {
    const b = new GraphBuilder();
    const B = dim('B', { min: 1, max: 512 });
    const x = b.parameter({ dtype: 'float32', shape: [B, 3] }, 'x');
    const w = b.parameter(f32(3, 2), 'w');
    const y = b.parameter({ dtype: 'float32', shape: [B, 2] }, 'y');
    const error = b.op('subtract', [b.op('dot_general', [x, w], { contract: [[1], [0]], batch: [[], []] }), y]);
    const loss = b.op('reduce', [b.op('multiply', [error, error])], { kind: 'sum', axes: [0, 1] });
    const gradient = vjpGraph(b.build([loss]), { wrt: [1], outputs: [0] });
    // The product for the gradient of w reads x as it lies: nothing is transposed.
    expect(opcodesOf(optimize(moduleOf(gradient), 'fast'))).toEqual([
      'dot_general',
      'subtract',
      'multiply',
      'reduce',
      'broadcast_in_dim',
      'multiply',
      'constant',
      'broadcast_in_dim',
      'multiply',
      'dot_general',
    ]);
  });
});

describe('long graphs', () => {
  const chain = (length: number): Module => {
    const b = new GraphBuilder();
    const x = b.parameter(f32(8));
    const two = full(b, x.type, 2);
    let value = x;
    for (let i = 0; i < length / 5; i++) {
      const turned = b.op('reshape', [b.op('reshape', [value], { shape: [2, 4] })], { shape: [8] });
      value = b.op('tanh', [b.op('negate', [b.op('negate', [b.op('divide', [turned, two])])])]);
    }
    return moduleOf(b.build([value]));
  };

  it('optimises 50,000 ops in about linear time', () => {
    const time = (length: number): number => {
      const module = chain(length);
      const before = process.cpuUsage();
      const after = runPasses(module, optimizePipeline, { ...contextOf('fast'), verify: false });
      const { user } = process.cpuUsage(before);
      // Of five ops two are left: a product and tanh.
      expect(mainOf(after).graph.ops.length).toBeLessThan(length / 2);
      return user / 1000;
    };
    const [small, large] = [time(5_000), time(50_000)];
    expect(large).toBeLessThan(6_000);
    expect(large / Math.max(small, 5)).toBeLessThan(40);
  });

  it('takes long rows of merging rules, which meet in one op', () => {
    const b = new GraphBuilder();
    const x = b.parameter({ dtype: 'int32', shape: [4] });
    let value = x;
    for (let i = 0; i < 5_000; i++) value = b.op('add', [value, full(b, x.type, i)]);
    const after = optimize(moduleOf(b.build([value])), 'strict');
    expect(printModule(after)).toContain(`constant {value=${(4_999 * 5_000) / 2}}`);
    expect(opcodesOf(after)).toEqual(['constant', 'broadcast_in_dim', 'add']);
  });
});
