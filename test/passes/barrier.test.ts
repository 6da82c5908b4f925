import { describe, expect, test } from 'vitest';
import { evaluateModule } from '../../ir/evaluate.ts';
import { literal } from '../../ir/literal.ts';
import { parseModule } from '../../ir/parser.ts';
import { printModule } from '../../ir/printer.ts';
import { type Module, mainOf } from '../../ir/types.ts';
import { vjpGraph } from '../../passes/grad/index.ts';
import { lowerModule } from '../../passes/lower-module.ts';
import { runPasses } from '../../passes/manager.ts';
import { optimizePipeline } from '../../passes/optimize/index.ts';
import { runLowered } from '../support/run-lowered.ts';

const optimize = (text: string, precision: 'fast' | 'strict' = 'strict'): Module =>
  runPasses(parseModule(text), optimizePipeline(precision), { precision, verify: true, constantBudget: 1 << 12 });
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
});
