/** A cold compile: prints the milliseconds from the first trace to the loaded program, by the clock and of CPU time. */
import { compile } from '../../index.ts';
import { coldModel } from './graphs.ts';

const compiled = compile(coldModel.fn, { name: coldModel.name, cache: false });
const [start, before] = [performance.now(), process.cpuUsage()];
await compiled.warmup(...coldModel.specs());
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ milliseconds: performance.now() - start, cpu: (user + system) / 1000 }));
