/** The order of ops in a graph is any in which operands come before their uses. */
import { expect, test } from 'vitest';
import { Random } from '../../../ir/ops/random.ts';
import { type Graph, mainOf, type Op, type Value } from '../../../ir/types.ts';
import { dependsOn, FusionGroup } from '../../../passes/fuse/fusion-group.ts';
import { lowerModule } from '../../../passes/lower-module.ts';
import { gptLoss, moduleOf, optimized, sgdStep } from '../../support/models.ts';

/** The ops in another order. */
function shuffled({ parameters, ops, results }: Graph, seed: number): Graph {
  const random = new Random(seed);
  const makers = new Map<Value, Op>(ops.flatMap((op) => op.results.map((result) => [result, op] as const)));
  const open = new Map(ops.map((op) => [op, new Set(op.operands.filter((operand) => makers.has(operand))).size]));
  const users = new Map<Value, Op[]>();
  for (const op of ops) {
    for (const operand of new Set(op.operands)) users.set(operand, [...(users.get(operand) ?? []), op]);
  }
  const ready = ops.filter((op) => open.get(op) === 0);
  const order: Op[] = [];
  while (ready.length > 0) {
    // Now and then something from anywhere, else what has become possible last: depth and breadth mixed.
    const at = random.boolean(0.3) ? random.integer(0, ready.length - 1) : ready.length - 1;
    const [op] = ready.splice(at, 1);
    order.push(op);
    for (const result of op.results) {
      for (const user of users.get(result) ?? []) {
        const left = (open.get(user) ?? 0) - 1;
        open.set(user, left);
        if (left === 0) ready.push(user);
      }
    }
  }
  return { parameters, ops: order, results };
}

test('kernels never wait for each other in a circle, and read what was written before', () => {
  const options = { layers: 2, width: 32, heads: 2, vocabulary: 32, time: 16, batch: 2 };
  const { graph } = mainOf(optimized(sgdStep(gptLoss(options))));
  for (let seed = 0; seed < 6; seed++) {
    const module = moduleOf(shuffled(graph, seed));
    const { launches } = lowerModule(module, { name: `order ${seed}`, donated: [], precision: 'strict' });
    expect(launches.length).toBeGreaterThan(0);
  }
});

test('a way through a group that stores something far ahead is found', () => {
  const [early, middle, reader, from] = [20, 50, 40, 45].map((position, id) => new FusionGroup(id, [], position));
  const value: Value = { type: { dtype: 'float32', shape: [] } };
  reader.precede(middle);
  from.precede(reader);
  middle.addOutput(value, [], 10);
  middle.precede(early);
  expect(dependsOn(early, from)).toBe(true);
  expect(dependsOn(from, early)).toBe(false);
});
