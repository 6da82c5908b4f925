import { describe, expect, test } from 'vitest';
import { evaluateModule } from '../../ir/evaluate.ts';
import { literal } from '../../ir/literal.ts';
import { parseModule } from '../../ir/parser.ts';
import { printGraph, printModule } from '../../ir/printer.ts';
import { type Module, mainOf } from '../../ir/types.ts';
import { fuseGraph } from '../../passes/fuse/fuse-graph.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { writtenBy } from '../../passes/lower/group.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';
import { runLowered } from '../support/run-lowered.ts';

const optimize = (text: string, precision: 'fast' | 'strict' = 'strict'): Module =>
  runPasses(parseModule(text), optimizePipeline, { precision, verify: true, constantBudget: 1 << 12 });
const opcodesOf = (module: Module): string[] => mainOf(module).graph.ops.map(({ opcode }) => opcode);

const twice = `func @main(%x: f32[4], %c: f32[]) -> (f32[4]) {
  %0: f32[4] = tanh %x
  %1: f32[4] = optimization_barrier %x, %c
  %2: f32[4] = tanh %1
  %3: f32[4] = add %0, %2
  return %3
}
`;

describe('optimization_barrier', () => {
  test('is the identity and keeps what is behind it apart', () => {
    const module = optimize(twice);
    expect(opcodesOf(module)).toEqual(['tanh', 'optimization_barrier', 'tanh', 'add']);
    expect(printModule(parseModule(printModule(module)))).toBe(printModule(module));
    const [sum] = evaluateModule(module, [literal('float32', [4], [0, 1, -2, 3]), literal('float32', [], [0])], {
      mode: 'rounded',
    });
    expect([...(sum.data as Float32Array)]).toEqual([0, 1, -2, 3].map((x) => 2 * Math.fround(Math.tanh(x))));
  });

  test('two of one operand stay two', () => {
    const module = optimize(`func @main(%x: f32[4]) -> (f32[4], f32[4]) {
  %0: f32[4] = optimization_barrier %x
  %1: f32[4] = optimization_barrier %x
  return %0, %1
}
`);
    expect(opcodesOf(module)).toEqual(['optimization_barrier', 'optimization_barrier']);
  });

  test('is neither folded nor looked through, and dead ones go', () => {
    for (const precision of ['fast', 'strict'] as const) {
      const module = optimize(
        `func @main(%x: f32[4]) -> (f32[2,2], f32[4]) {
  %0: f32[] = constant {value=0}
  %1: f32[] = optimization_barrier %0
  %2: f32[4] = broadcast_in_dim %1 {shape=[4], axes=[]}
  %3: f32[4] = add %x, %2
  %4: f32[2,2] = reshape %3 {shape=[2,2]}
  %5: f32[2,2] = optimization_barrier %4
  %6: f32[4] = reshape %5 {shape=[4]}
  %7: f32[4] = optimization_barrier %x
  return %5, %6
}
`,
        precision,
      );
      const wanted = 'constant optimization_barrier broadcast_in_dim add reshape optimization_barrier reshape';
      expect(opcodesOf(module)).toEqual(wanted.split(' '));
    }
  });

  test('hides the cotangent likewise', () => {
    const { graph } = mainOf(
      parseModule(`func @main(%x: f32[4], %y: f32[]) -> (f32[4]) {
  %0: f32[4] = optimization_barrier %x, %y
  return %0
}
`),
    );
    const gradient = vjpGraph(graph, { wrt: [0, 1], outputs: [0] });
    expect(gradient.ops.map(({ opcode }) => opcode)).toEqual([
      'optimization_barrier',
      'optimization_barrier',
      'constant',
    ]);
  });

  test('costs no kernel and no copy', () => {
    const options = { name: 'twice', donated: [false, false], precision: 'strict' } as const;
    const lowered = lowerModule(optimize(twice), options);
    expect(lowered.launches).toHaveLength(1);
    expect(lowered.launches[0].buffers).toEqual([
      { kind: 'input', index: 0 },
      { kind: 'output', index: 0 },
    ]);
    const inputs = [literal('float32', [4], [0, 1, -2, 3]), literal('float32', [], [0])];
    const [sum] = runLowered(lowered, inputs);
    expect([...(sum.data as Float32Array)].map(Math.sign)).toEqual([0, 1, -1, 1]);
  });

  test('a result that is nothing but a barrier of an input is that input', () => {
    const lowered = lowerModule(
      optimize('func @main(%x: f32[4]) -> (f32[4]) {\n  %0: f32[4] = optimization_barrier %x\n  return %0\n}\n'),
      { name: 'same', donated: [false], precision: 'strict' },
    );
    expect(lowered.launches).toHaveLength(0);
    expect(lowered.outputs[0].source).toEqual({ kind: 'input', index: 0 });
  });

  test('what is computed from it comes after what it waits for', () => {
    const { graph } = mainOf(
      parseModule(`func @main(%x: f32[64,64], %y: f32[64,64]) -> (f32[64,64], f32[64]) {
  %late: f32[64,64] = dot_general %y, %y {contract=[[1],[0]], batch=[[],[]]}
  %c: f32[64,64] = tanh %late
  %0: f32[64,64] = optimization_barrier %x, %c
  %again: f32[64,64] = dot_general %0, %0 {contract=[[1],[0]], batch=[[],[]]}
  %sums: f32[64] = reduce %again {kind=sum, axes=[1]}
  %result: f32[64,64] = add %again, %c
  return %result, %sums
}
`),
    );
    const { groups } = fuseGraph(graph);
    const launchOf = (name: string): number =>
      groups.findIndex(({ nests }) => nests.flatMap(writtenBy).some((value) => value.name === name));
    const stored = groups.flatMap(({ nests }) => nests.flatMap(writtenBy)).map(({ name }) => name);
    const first = stored.includes('c') ? 'c' : 'late';
    expect(launchOf(first)).toBeGreaterThanOrEqual(0);
    expect(groups.findIndex(({ ops }) => ops.some(({ results }) => results[0].name === 'again'))).toBeGreaterThan(
      launchOf(first),
    );
  });
});

describe('the gradient of a checkpointed function', () => {
  const text = `func @block(%x: f32[4], %w: f32[4]) -> (f32[4], f32[4]) checkpoint {
  %0: f32[4] = multiply %x, %w
  %1: f32[4] = sine %0
  return %1, %0
}

func @main(%x: f32[4], %w: f32[4]) -> (f32[4]) {
  %0: f32[4], %1: f32[4] = call %x, %w {function=@block}
  %2: f32[4] = multiply %0, %x
  return %2
}
`;

  test('computes it again from its operands', () => {
    const module = parseModule(text);
    const functions = new Map(module.functions.map((func) => [func.name, func]));
    const gradient = vjpGraph(mainOf(module).graph, { wrt: [0], outputs: [0], functions });
    expect(printGraph(gradient)).toBe(`func @main(%x: f32[4], %w: f32[4], %0: f32[4]) -> (f32[4], f32[4]) {
  %1: f32[4], %2: f32[4] = call %x, %w {function=@block}
  %3: f32[4] = multiply %1, %x
  %4: f32[4] = multiply %0, %x
  %5: f32[4] = multiply %0, %1
  %6: f32[4] = optimization_barrier %x, %4
  %7: f32[4] = optimization_barrier %w, %4
  %8: f32[4] = multiply %6, %7
  %9: f32[4] = sine %8
  %10: f32[4] = cosine %8
  %11: f32[4] = multiply %4, %10
  %12: f32[4] = multiply %11, %7
  %13: f32[4] = add %5, %12
  return %3, %13
}
`);
  });

  test('adds cotangents in the order of the function written out', () => {
    const marked = parseModule(text);
    const plain = parseModule(text.replace(' checkpoint', ''));
    const inputs = ['x', 'w', 'c'].map((_, i) => literal('float32', [4], [0.1, -0.7, 3, i + 0.3]));
    const [expected, found] = [plain, marked].map((module) => {
      const functions = new Map(module.functions.map((func) => [func.name, func]));
      const graph = vjpGraph(mainOf(module).graph, { wrt: [0, 1], outputs: [0], functions });
      const whole = { functions: [...functions.values()].slice(0, 1).concat({ name: 'main', graph }), main: 'main' };
      const optimized = runPasses(whole, optimizePipeline, {
        precision: 'strict',
        verify: true,
        constantBudget: 0,
      });
      return [whole, optimized].map((candidate) => evaluateModule(candidate, inputs, { mode: 'rounded' }));
    });
    expect(found).toEqual(expected);
  });
});
