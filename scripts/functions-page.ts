/** `docs/functions.md`: the user-level operations by family, each with the first paragraph of its docstring. */
import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('../tracer/operations/', import.meta.url);

/** Modules that operations share and that the public entry does not re-export. */
const internal = new Set(['index', 'primitives', 'random-bits', 'ranges', 'spatial', 'support', 'tensor-data']);

interface Documented {
  readonly name: string;
  readonly meaning: string;
}

/** Exported functions of a module, in order. One without a docstring of its own belongs to the one before. */
function documented(code: string): Documented[] {
  const found = code.matchAll(/(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?export (?:const|function) (\w+)/g);
  return [...found].map(([, comment = '', name]) => ({ name, meaning: firstParagraph(comment) }));
}

function firstParagraph(comment: string): string {
  const lines = comment.split('\n').map((line) => line.replace(/^\s*\* ?/, '').trim());
  const text = lines.join('\n').trim();
  return text
    .split(/\n\s*\n|\n@|^@/)[0]
    .replaceAll('\n', ' ')
    .replace(/\s*@throws.*$/, '')
    .trim();
}

function family(file: string): string[] {
  const name = file.replace(/\.ts$/, '');
  const prefix = name === 'random' ? 'random.' : '';
  const title = name.replaceAll('-', ' ');
  const rows = documented(readFileSync(new URL(file, folder), 'utf8')).map(
    ({ name: fn, meaning }) => `- \`${prefix}${fn}\`${meaning ? `: ${meaning}` : ''}`,
  );
  return [`## ${title[0].toUpperCase()}${title.slice(1)}`, '', ...rows, ''];
}

/** @param notice the line that says where the page comes from */
export function functionsPage(notice: string): string {
  const files = readdirSync(folder)
    .sort()
    .filter((file) => !internal.has(file.replace(/\.ts$/, '')));
  return [
    '# Functions',
    '',
    notice,
    '',
    'Every function below is exported by `kilnjs`; those whose first operand is a tensor are methods of `Tensor` too. Operands',
    'and `axis` are positional, the rest is one trailing object: `x.sum(-1, { keepdims: true })`. Semantics are those of',
    'NumPy, and of JAX with 64-bit types on where they differ. The docstrings say shapes, dtypes and errors.',
    '',
    ...files.flatMap(family),
  ].join('\n');
}
