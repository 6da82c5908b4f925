/** Entries baked in processes of their own: what is baked again and what is not, and how failures come back. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { codeFrame, failuresOf } from '../../plugin/bake-failures.ts';
import { BakeError, Baker, bakerFor } from '../../plugin/baker.ts';
import { load } from '../../runtime/index.ts';
import { makeProject, scaleModule } from './project.ts';

const kiln = `'../../../index.ts'`;

/** Functions that can not be baked, each for a reason of its own. */
const faulty = `import { defineBake, spec, type Tensor } from ${kiln};

const product = (x: Tensor) => {
  return x.add(1).matmul(x);
};
const branch = (x: Tensor) => (x ? x : x.neg());
export default defineBake({
  product: { fn: product, args: [spec([3, 2])] },
  branch: { fn: branch, args: [spec([3])] },
});
`;

const project = makeProject({
  'src/faulty.bake.ts': faulty,
  'src/ends.bake.ts': 'process.exit(7);',
  'src/signed.bake.ts': `import { defineBake, spec } from ${kiln};
export default defineBake({ negated: { fn: (x) => x.neg(), args: [spec([3])] } });
`,
  'src/reads.bake.ts': `import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
const weights = readFileSync(new URL('weights.json', import.meta.url), 'utf8');
const shape = await readFile(new URL('shape.json', import.meta.url), 'utf8');
throw new Error([weights, shape].join(' '));
`,
  'src/nothing.bake.ts': 'export default { double: 2 };',
});
const baker = new Baker({ targets: ['wasm'] });
afterAll(() => project.remove());

const failure = async (name: string): Promise<BakeError> => {
  const error = await baker.bake(project.path(name)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BakeError);
  return error as BakeError;
};

describe('a bake of the plugin', () => {
  it('names the files that it was made from, and is made again when one of them changes', async () => {
    const entry = project.path('src/model.bake.ts');
    const first = await baker.bake(entry);
    expect(first.files).toEqual([entry, project.path('src/scale.ts')].sort());
    expect(first.hash).toMatch(/^[\da-f]{64}$/);
    expect(baker.entriesWith(project.path('src/scale.ts'))).toEqual([entry]);
    expect(baker.entriesWith(project.path('src/main.ts'))).toEqual([]);
    project.write('src/scale.ts', scaleModule(3));
    // Whoever asks meanwhile gets what the newest files bake to.
    const [second, third] = await Promise.all([baker.bake(entry), baker.bake(entry)]);
    expect(second.hash).not.toBe(first.hash);
    expect(third.hash).toBe(second.hash);
    const began = performance.now();
    expect(await baker.bake(entry)).toBe(third);
    // A process takes longer to start.
    expect(performance.now() - began).toBeLessThan(50);
  });

  it('fails with every reason and the line of each', async () => {
    const { failures, message } = await failure('src/faulty.bake.ts');
    expect(failures).toHaveLength(2);
    const [branch, product] = failures.toSorted((a, b) => (a.message < b.message ? -1 : 1));
    expect(product.place).toEqual({ file: project.path('src/faulty.bake.ts'), line: 4, column: 19 });
    expect(product.message).toMatch(/shape_mismatch/);
    expect(branch.message).toMatch(/traced_branch/);
    expect(message).toContain(`4 |   return x.add(1).matmul(x);\n  |                   ^`);
    for (const { stack } of failures) expect(stack).not.toMatch(/tracer\/bake|node:/);
  });

  it('points at what does not parse, and watches it', async () => {
    project.write('src/scale.ts', 'export const scale: number = ;\n');
    const { failures, files } = await failure('src/model.bake.ts');
    expect(failures.map(({ place }) => place)).toEqual([{ file: project.path('src/scale.ts'), line: 1, column: 30 }]);
    expect(files).toContain(project.path('src/scale.ts'));
  });

  it('counts files that the entry reads, however it reads them', async () => {
    project.write('src/weights.json', '[1]');
    project.write('src/shape.json', '[2]');
    const { files, failures } = await failure('src/reads.bake.ts');
    expect(failures.map(({ message }) => message)).toEqual(['[1] [2]']);
    expect(files).toEqual(['reads.bake.ts', 'shape.json', 'weights.json'].map((name) => project.path(`src/${name}`)));
    project.write('src/shape.json', '[3]');
    expect((await failure('src/reads.bake.ts')).failures[0].message).toBe('[1] [3]');
  });

  it('signs, and hands on the public key', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    project.write('private.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    const entry = project.path('src/signed.bake.ts');
    const signed = await bakerFor({ targets: ['wasm'], sign: project.path('private.pem') }).bake(entry);
    expect(signed.publicKey).toBe(publicKey.export({ type: 'spki', format: 'pem' }));
    const artefact = await load(signed.bytes, { publicKey: signed.publicKey });
    expect(artefact.target).toBe('wasm');
    artefact.dispose();
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    await expect(load(signed.bytes, { publicKey: other })).rejects.toThrow('invalid_signature');
  });

  it('says when an entry ends the process, or declares nothing', async () => {
    const [ended, nothing] = await Promise.all([failure('src/ends.bake.ts'), failure('src/nothing.bake.ts')]);
    expect(ended.message).toMatch(/ends\.bake\.ts ended too early \(exit code 7\)/);
    expect(nothing.message).toMatch(/bake_failed[\s\S]*export default defineBake/);
  });
});

describe('failures', () => {
  it('are what was thrown, whatever it was', () => {
    expect(failuresOf('no')).toEqual([{ message: 'the entry threw no' }]);
    const all = new AggregateError([new TypeError('a'), new AggregateError([new RangeError('b')])]);
    expect(failuresOf(all).map(({ message }) => message)).toEqual(['a', 'b']);
    expect(failuresOf(new Error('both', { cause: all })).map(({ message }) => message)).toEqual(['a', 'b']);
  });

  it('show no lines of a file that has none there', () => {
    const file = project.path('package.json');
    expect(codeFrame({ file, line: 1, column: 3 })).toBe(`1 | { "type": "module" }\n  |   ^`);
    expect(codeFrame({ file, line: 9, column: 1 })).toBeUndefined();
    expect(codeFrame({ file: `${file}.none`, line: 1, column: 1 })).toBeUndefined();
  });
});
