/** `npm run example:browser`: builds the example page into `dist/example` and serves it until it is interrupted. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bakeExample, buildExample } from './browser-example.ts';
import { exampleHeaders, serveFolder } from './serve.ts';

const folder = fileURLToPath(new URL('../dist/example', import.meta.url));
const { values } = parseArgs({ options: { port: { type: 'string', default: '8080' } } });
await buildExample(folder);
await bakeExample(folder);
const { origin } = await serveFolder(folder, { headers: exampleHeaders, port: Number(values.port) });
console.log(`The example page is at ${origin}`);
