/** Lengths beyond an int32, for which nothing is allocated here. */
import { expect, it } from 'vitest';
import { Commands } from '../../../runtime/webgpu/commands.ts';
import { newCounters } from '../../../runtime/webgpu/counters.ts';
import { Faults } from '../../../runtime/webgpu/faults.ts';
import { GpuMemory } from '../../../runtime/webgpu/memory.ts';

it('more than 2 GiB are written whole, the last bytes as a word', () => {
  const written: (readonly [offset: number, bytes: number])[] = [];
  const device = {
    limits: { maxBufferSize: 2 ** 33, maxStorageBufferBindingSize: 2 ** 33 },
    queue: {
      writeBuffer: (_: unknown, offset: number, data: Uint8Array, __?: number, size = data.length) =>
        written.push([offset, size]),
    },
    pushErrorScope: () => undefined,
    popErrorScope: async () => null,
    createBuffer: () => ({}),
  } as unknown as GPUDevice;
  const counters = newCounters();
  const faults = new Faults(() => 0);
  const commands = new Commands(device, counters, faults);
  const memory = new GpuMemory(device, { commands, faults, counters }, { relieve: () => false });
  const bytes = 2 ** 31 + 5;
  const data = Object.defineProperty(new Uint8Array(4), 'length', { value: bytes });
  memory.write(memory.allocate(bytes, 'tensor'), data);
  expect(written).toEqual([
    [0, 2 ** 31 + 4],
    [2 ** 31 + 4, 4],
  ]);
});
