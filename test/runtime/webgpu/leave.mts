/**
 * Run by session.test.ts: uses the webgpu device and leaves. The argument says how: `shutdown` as one should, `nothing`
 * without a word, `forget` with a read under way, `exit` at once with one under way.
 */
import { DeviceArray } from '../../../runtime/array.ts';
import { openDevice, shutdown } from '../../../runtime/session.ts';

const [, , how] = process.argv;
const device = await openDevice('webgpu');
const bytes = new Uint8Array(new Float32Array([1, 2, 3]).buffer);
const x = new DeviceArray('float32', [3], device.upload('float32', [3], bytes));
console.log([...(await x.data())].join());
process.on('exit', () => console.log('exit'));
if (how === 'shutdown') shutdown();
if (how === 'forget' || how === 'exit') void x.data();
if (how === 'exit') setImmediate(() => process.exit());
