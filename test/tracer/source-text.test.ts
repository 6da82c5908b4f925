/** What is read off the text of a function, held against the parser. */
import { full } from 'acorn-walk';
import { describe, expect, test } from 'vitest';
import * as dims from '../../base/dim.ts';
import * as spirals from '../../examples/spirals.ts';
import * as sizes from '../../runtime/sizes.ts';
import * as pytree from '../../tracer/pytree.ts';
import { parseFunction } from '../../tracer/source-parse.ts';
import { mayTest, mayUseThis, plainParameters, sourceOf } from '../../tracer/source-text.ts';

type AnyFunction = (...args: never[]) => unknown;

const isFunction = (value: unknown): value is AnyFunction =>
  typeof value === 'function' && !/^class\b/.test(String(value));

const unbound = function (this: unknown, a: number): number {
  return a;
};

// biome-ignore format: one case a line
const lists: readonly (readonly [AnyFunction, readonly (string | undefined)[] | undefined])[] = [
  [(a: number, b: number) => a + b, ['a', 'b']],
  [(only: number) => only, ['only']],
  [() => 1, []],
  [function named(a: number) { return a; }, ['a']],
  [unbound, ['a']],
  [{ method(a: number, $b: number) { return a + $b; } }.method, ['a', '$b']],
  [{ if(a: number) { return a; } }.if, ['a']],
  [({ a }: { a: number }) => a, undefined],
  [(a: number, b = 2) => a + b, undefined],
  [(a: number, ...all: number[]) => [a, all], ['a', undefined]],
  [{ ['com' + 'puted'](a: number) { return a; } }.computed, undefined],
];

describe('the text of a function', () => {
  test.each(lists)('parameters of %s', (fn, expected) => {
    expect(plainParameters(sourceOf(fn)!)).toEqual(expected);
    const parsed = parseFunction(fn)!.node.params.map((p) => (p.type === 'Identifier' ? p.name : undefined));
    if (expected) expect(parsed).toEqual(expected);
  });

  test('bound and native functions have none', () => {
    expect(sourceOf(unbound.bind(undefined))).toBeUndefined();
    expect(sourceOf(Math.sin)).toBeUndefined();
  });

  // biome-ignore format: one case a line
  test.each([
    ['an escaped name', '(x) => \\u0042oolean(x)', true],
    ['a class', 'class A { constructor(x) {} }', true],
    ['a private field', 'f(x) { return this.#w.matmul(x); }', true],
    ['a comparison with a type', '(x) => x.dtype == 1', true],
    ['arithmetic, which traps', '(x, y) => x + y < x * y', false],
    ['a word within a word', '(format, x) => x.switched(format.forward)', false],
    ['arrows and spread', '(p, ...rest) => rest.map((x) => x.matmul(p.w))', false],
  ])('%s', (_, source, expected) => {
    expect(mayTest(source)).toBe(expected);
  });

  test('says no where the parser says no, and never where the parser says yes', () => {
    const found = [dims, pytree, sizes, spirals].flatMap((module) => Object.values<unknown>(module)).filter(isFunction);
    expect(found.length).toBeGreaterThan(30);
    for (const fn of found) {
      const [source, parsed] = [sourceOf(fn)!, parseFunction(fn)!];
      let hasTest = false;
      let hasThis = false;
      full(parsed.node, ({ type }) => {
        hasTest ||= /^(If|While|DoWhile|For|Switch)Statement$|^(Conditional|Logical)Expression$/.test(type);
        hasThis ||= type === 'ThisExpression';
      });
      if (!mayTest(source)) expect(hasTest, source).toBe(false);
      if (!mayUseThis(source)) expect(hasThis, source).toBe(false);
      const names = plainParameters(source);
      if (names) expect(parsed.node.params.map((p) => ('name' in p ? p.name : undefined))).toEqual(names);
    }
  });
});
