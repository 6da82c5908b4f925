/**
 * Run by session.test.ts with a program of two inputs on standard input: starts and shuts down 100 times, touching
 * 8 MB each time, and prints the resident bytes.
 */
import { readFileSync } from 'node:fs';
import { deserialize } from 'node:v8';
import { DeviceArray } from '../../runtime/array.ts';
import type { Program } from '../../runtime/program.ts';
import { currentDevice, memory, shutdown } from '../../runtime/session.ts';
import '../../runtime/complete.ts';

const program = deserialize(readFileSync(0)) as Program;
const source = { name: 'add', program, prepare: () => Promise.resolve(program), prepareSync: () => program };
const { dtype } = program.outputs[0];
const shape = program.outputs[0].shape.map(Number);
const kept: DeviceArray[] = [];
let after20 = 0;
for (let cycle = 1; cycle <= 100; cycle++) {
  const device = currentDevice();
  const x = new DeviceArray(dtype, shape, device.upload(dtype, shape, new Uint8Array(4 * shape[0])));
  kept.push(new DeviceArray(dtype, shape, device.run(source, [x.handle!, x.handle!], [{ dtype, shape }])[0]));
  shutdown();
  if (memory().reservedBytes !== 0) throw new Error('memory is left');
  if (cycle === 20) after20 = process.memoryUsage().rss;
}
console.log(JSON.stringify({ after20, after100: process.memoryUsage().rss, kept: kept.length }));
