/**
 * What names and forms in a function's source mean to the check for truth tests: which properties and calls are plain,
 * which call back with elements, what compilers wrap around things.
 */
import type { AnyNode } from 'acorn';
import { isFunction } from './source-scope.ts';

export type AnyFunctionNode = AnyNode & {
  readonly type: 'FunctionDeclaration' | 'FunctionExpression' | 'ArrowFunctionExpression';
};

/** Properties of a tensor that are plain values. */
export const plainProperties = new Set(['shape', 'dtype', 'ndim', 'size', 'device', 'length', 'isDisposed', 'name']);

/** Functions and methods whose results are plain whatever they are given. */
export const plainCalls = new Set(
  ['isArray', 'keys', 'hasOwn', 'isInteger', 'isSafeInteger', 'isFinite', 'isNaN', 'Number', 'String', 'BigInt'].concat(
    ['some', 'every', 'includes', 'indexOf', 'findIndex', 'has', 'startsWith', 'endsWith', 'join', 'toString', 'is'],
  ),
);

/** Array methods that call back with (element, index, array), or with an accumulator before them. */
export const elementCallbacks = new Set(
  ['map', 'forEach', 'filter', 'some', 'every', 'find', 'findIndex', 'findLast', 'flatMap'].concat([
    'sort',
    'toSorted',
  ]),
);
export const reduceCallbacks = new Set(['reduce', 'reduceRight']);
export const mutators = new Set(['push', 'unshift', 'splice', 'set', 'add', 'fill', 'append']);

/** A callee without the wrapping that module transforms put around it: `(0, lib.f)`. */
export const bare = (callee: AnyNode): AnyNode => {
  if (callee.type === 'SequenceExpression') return bare(callee.expressions.at(-1)!);
  if (callee.type === 'ChainExpression' || callee.type === 'ParenthesizedExpression') return bare(callee.expression);
  return callee;
};

/** The function that an expression is, helpers of compilers seen through: `__name(() => ..., 'f')`. */
export function functionOf(node: AnyNode): AnyFunctionNode | undefined {
  if (isFunction(node)) return node;
  if (node.type !== 'CallExpression') return undefined;
  const isHelper = node.callee.type === 'Identifier' && node.callee.name === '__name';
  return isHelper && node.arguments[0] ? functionOf(node.arguments[0]) : undefined;
}

export const isStringLiteral = (node: AnyNode): boolean =>
  (node.type === 'Literal' && typeof node.value === 'string') || node.type === 'TemplateLiteral';

/** What a comparison by identity may be made with: null, undefined, text, typeof. */
export const isHarmless = (node: AnyNode): boolean =>
  isStringLiteral(node) ||
  (node.type === 'Literal' && node.value === null && !('regex' in node && node.regex)) ||
  (node.type === 'Identifier' && node.name === 'undefined') ||
  (node.type === 'UnaryExpression' && (node.operator === 'typeof' || node.operator === 'void'));

export const isCallOf = (node: AnyNode, method: string): boolean =>
  node.type === 'CallExpression' &&
  node.callee.type === 'MemberExpression' &&
  node.callee.property.type === 'Identifier' &&
  node.callee.property.name === method;

/** Whether a known value is an object of the user's with a field of that name, so that the field means what it says. */
export const isPlainHolder = (value: unknown, name: string): boolean =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name) && !Array.isArray(value);

export const isExpression = (node: AnyNode): boolean => /(?:Expression|Literal|Identifier)$/.test(node.type);
