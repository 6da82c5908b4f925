/** The text that the language model learns from: the project's own documentation, or a file. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Paths of the README and of every page of docs, from the project's folder, in an order that is the same everywhere.
 */
export function documentationPages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  const pages = docs.filter((page) => page.endsWith('.md')).sort();
  return ['README.md', ...pages.map((page) => join('docs', page))];
}

/** All pages, one after the other; characters beyond printable ASCII become blanks, to keep the vocabulary small. */
export const documentation = (): string =>
  plain(
    documentationPages()
      .map((page) => readFileSync(join(root, page), 'utf8'))
      .join('\n'),
  );

export const textOf = (file: string): string => plain(readFileSync(file, 'utf8'));

const plain = (text: string): string => text.replace(/\r\n/g, '\n').replace(/[^\x20-\x7e\n]/g, ' ');
