/**
 * Run by determinism.test.ts in a process of its own: compiles some functions and prints, for each, the hash of its
 * program's bytes. With the argument `warm` other functions, of which some need the same kernels, are compiled first.
 */
import { createHash } from 'node:crypto';
import { batch, context, hidden, trainingStep, width } from '../../examples/language-model.ts';
import { compile, dim, layerNorm, random, softmax, spec, type Tensor } from '../../index.ts';
import type { Program } from '../../runtime/program.ts';
import { sourcesNamed } from '../../tracer/program-cache.ts';

/** A program as bytes: every field in the order in which it was written, byte arrays in hex. */
const serialized = (program: Program): string =>
  JSON.stringify(program, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  );

const vocabulary = 80;
const layer = (from: number, to: number) => ({ weight: spec([from, to]), bias: spec([to]) });
const parameters = {
  embedding: spec([vocabulary, width]),
  first: layer(context * width, hidden),
  second: layer(hidden, hidden),
  output: layer(hidden, vocabulary),
};
const state = { parameters, mean: parameters, variance: parameters, step: spec([]) };

const size = dim('B', { min: 1, max: 64 });

if (process.argv.includes('warm')) {
  await compile((x: Tensor) => layerNorm(softmax(x, -1).mul(3)), { name: 'other' }).warmup(spec([32, 48]));
  await compile((x: Tensor) => softmax(x, -1), { name: 'another' }).warmup(spec([size, 48]));
}

const compiled = {
  languageModel: compile(trainingStep, { name: 'languageModel', donate: [0] }).warmup(
    state,
    spec([batch, context], 'int32'),
    spec([batch], 'int32'),
  ),
  strict: compile((x: Tensor, w: Tensor) => softmax(x.matmul(w), -1), { name: 'strict', precision: 'strict' }).warmup(
    spec([64, 100]),
    spec([100, 33]),
  ),
  symbolic: compile((x: Tensor) => softmax(x, -1).sum(0), { name: 'symbolic' }).warmup(spec([size, 48])),
  random: compile((key: Tensor) => random.normal(key, [1000]), { name: 'random' }).warmup(spec([2], 'uint32')),
};

const hashes: Record<string, string> = {};
for (const [name, warmup] of Object.entries(compiled)) {
  await warmup;
  const [source] = sourcesNamed(name);
  const program = await source.prepare();
  for (const { hash, code, name: kernel } of program.kernels) {
    hashes[`${name} ${kernel} ${hash}`] = createHash('sha256').update(code).digest('hex');
  }
  hashes[name] = createHash('sha256').update(serialized(program)).digest('hex');
}
process.stdout.write(JSON.stringify(hashes));
