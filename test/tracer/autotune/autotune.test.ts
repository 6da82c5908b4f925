/** `compile(fn, { autotune })` from end to end: what is measured, when, and that no bit depends on it. */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { candidateSchedules } from '../../../codegen/wasm/contraction/candidates.ts';
import { scheduleKey } from '../../../codegen/wasm/contraction/schedule.ts';
import { plainContraction } from '../../../codegen/wasm/kernel.ts';
import { loadBinaryen } from '../../../codegen/wasm/load.ts';
import { nestCandidates, nestScheduleKey } from '../../../codegen/wasm/nest-schedule.ts';
import { generateProgram } from '../../../codegen/wasm/program.ts';
import { parseSchedule } from '../../../codegen/wasm/schedules.ts';
import { compile, dim, init, relu, shutdown, spec, type Tensor, tensor } from '../../../index.ts';
import { GraphBuilder } from '../../../ir/builder.ts';
import type { Literal } from '../../../ir/types.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import type { WasmTier } from '../../../runtime/program.ts';
import { currentDevice } from '../../../runtime/session.ts';
import { WasmDevice } from '../../../runtime/wasm/device.ts';
import { clearSchedules } from '../../../tracer/autotune/store.ts';
import { clearPrograms } from '../../../tracer/program-cache.ts';
import { bitDifference, runProgram } from '../../support/device-run.ts';
import { f32, moduleOf } from '../../support/models.ts';

const counted = (...shape: number[]): Tensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(
    Float32Array.from({ length: count }, (_, i) => ((i * 37) % 101) / 101 - 0.5),
    { shape },
  );
};

const layer = (x: Tensor, w: Tensor): Tensor => relu(x.matmul(w));
const tuned = { precision: 'strict', autotune: { budgetMs: 400 } } as const;

const trial = vi.spyOn(WasmDevice.prototype, 'trial');

beforeEach(async () => {
  await shutdown();
  await init();
  clearPrograms();
  clearSchedules();
});

afterEach(() => {
  trial.mockClear();
});

afterAll(async () => {
  trial.mockRestore();
  await shutdown();
});

describe('autotune', () => {
  it('measures once, reports, and changes no bit', async () => {
    const [x, w] = [counted(70, 90), counted(90, 65)];
    const expected = await compile(layer, { precision: 'strict' })(x, w).data();
    expect(trial).not.toHaveBeenCalled();
    const first = compile(layer, tuned);
    expect(await first(x, w).data()).toEqual(expected);
    expect(await first(x, w).data()).toEqual(expected);
    expect(trial).toHaveBeenCalledOnce();
    const { autotune } = first.explain(x, w);
    expect(autotune).toMatchObject([{ kernel: 'dot_general_maximum', from: 'measured' }]);
    expect(autotune[0].tried.length).toBeGreaterThan(1);
    expect(String(first.explain(x, w))).toMatch(/autotune: dot_general_maximum takes 4x8|takes \d+x\d+/);
    clearPrograms();
    expect(await compile((a: Tensor, b: Tensor) => layer(a, b), tuned)(x, w).data()).toEqual(expected);
    expect(trial).toHaveBeenCalledOnce();
  });

  it('works where a value is read synchronously, and for packed weights', () => {
    const [x, w] = [counted(64, 128), counted(128, 100)];
    const kept = compile((a: Tensor) => layer(a, w), tuned);
    expect(kept(x).dataSync()).toEqual(compile(layer, { precision: 'strict' })(x, w).dataSync());
    expect(trial).toHaveBeenCalledOnce();
    expect(kept.explain(x).autotune).toMatchObject([{ kernel: 'dot_general_maximum.packed' }]);
  });

  it('takes symbolic sizes as they come first', async () => {
    const rows = dim('B', { min: 1, max: 4096 });
    const compiled = compile(layer, { ...tuned, dynamic: [spec([rows, 128]), undefined] });
    const w = counted(128, 64);
    const plain = compile(layer, { precision: 'strict' });
    for (const count of [96, 3, 200]) {
      const x = counted(count, 128);
      expect(await compiled(x, w).data()).toEqual(await plain(x, w).data());
    }
    expect(trial).toHaveBeenCalledOnce();
    expect([...trial.mock.calls[0][1]]).toEqual([['B', 96]]);
  });

  it('leaves small work alone, and explain measures nothing', async () => {
    const compiled = compile(layer, tuned);
    compiled.explain(spec([128, 128]), spec([128, 128]));
    await compiled(counted(4, 4), counted(4, 4)).ready();
    expect(trial).not.toHaveBeenCalled();
  });

  it('is checked', () => {
    for (const autotune of [0, 'yes', null, [], { budget: 3 }, { budgetMs: 0 }, { budgetMs: Number.NaN }]) {
      expect(() => compile(layer, { autotune: autotune as never }), String(autotune)).toThrow(/autotune/);
    }
  });
});

describe('candidates', () => {
  it('give the same bits, whichever wins, and are known by their keys', async () => {
    const b = new GraphBuilder();
    const [x, w] = [b.parameter(f32(61, 700)), b.parameter(f32(700, 83))];
    const product = b.op('dot_general', [x, w], { contract: [[1], [0]], batch: [[], []] });
    const graph = b.build([b.op('tanh', [product])]);
    const module = moduleOf(graph);
    const lowered = lowerModule(module, { name: 'tuned', donated: [], precision: 'strict' });
    const contraction = plainContraction(lowered.kernels[0])!;
    const binaryen = await loadBinaryen();
    const device = currentDevice();
    const inputs = [f32(61, 700), f32(700, 83)].map(({ shape }, at): Literal => {
      const sizes = shape.map(Number);
      const data = Float32Array.from({ length: sizes[0] * sizes[1] }, (_, i) => Math.sin(i * (at + 1)));
      return { dtype: 'float32', shape: sizes, data };
    });
    const running = candidateSchedules(contraction).map((schedule) => {
      expect(parseSchedule(scheduleKey(schedule))).toEqual({ contraction: schedule });
      const options = { precision: 'strict', tier: device.tier as WasmTier, contraction: schedule } as const;
      return runProgram(generateProgram(binaryen, lowered, options).program, graph, inputs);
    });
    const results = await Promise.all(running);
    expect(results.length).toBeGreaterThan(8);
    for (const result of results) expect(bitDifference(results[0], result)).toBeUndefined();
  });

  it('of reductions too', async () => {
    const binaryen = await loadBinaryen();
    const { tier } = currentDevice();
    const shape = [67, 1301];
    const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(i));
    for (const axis of [0, 1]) {
      const b = new GraphBuilder();
      const x = b.parameter(f32(67, 1301));
      const graph = b.build([b.op('reduce', [b.op('exponential', [x])], { kind: 'sum', axes: [axis] })]);
      const lowered = lowerModule(moduleOf(graph), { name: 'tuned', donated: [], precision: 'strict' });
      const running = [undefined, ...nestCandidates].map((nest) => {
        if (nest) expect(parseSchedule(nestScheduleKey(nest))).toEqual({ nest });
        const options = { precision: 'strict', tier: tier as WasmTier, ...(nest && { nest }) } as const;
        return runProgram(generateProgram(binaryen, lowered, options).program, graph, [
          { dtype: 'float32', shape, data },
        ]);
      });
      const results = await Promise.all(running);
      for (const result of results) expect(bitDifference(results[0], result)).toBeUndefined();
    }
  });

  it('of reductions are measured', async () => {
    const rows = compile((x: Tensor) => x.exp().sum(1), tuned);
    const x = counted(500, 1000);
    expect(await rows(x).data()).toEqual(
      await compile((y: Tensor) => y.exp().sum(1), { precision: 'strict' })(x).data(),
    );
    expect(trial).toHaveBeenCalledOnce();
    expect(rows.explain(x).autotune[0].tried[0].schedule).toBe('usual');
  });
});
