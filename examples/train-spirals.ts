/**
 * Trains the spirals on one device and prints the result as JSON, for who starts it as a process of its own:
 *
 *     node --import tsx examples/train-spirals.ts webgpu 100     # {"loss":0.438427,"accuracy":0.91,"milliseconds":210}
 */
import { init, shutdown } from '../index.ts';
import { trainSpirals } from './spirals.ts';

const [device, steps] = process.argv.slice(2);
await init({ device });
const result = await trainSpirals({ steps: Number(steps) });
await shutdown();
console.log(JSON.stringify(result));
