/**
 * The source of a function as a syntax tree, read with acorn from `fn.toString()`. Methods, accessors and arrow
 * functions come back as a function node with its text; what has no readable source (bound and native functions)
 * comes back as `undefined`. Each function is parsed once.
 */
import {
  type ArrowFunctionExpression,
  type Expression,
  type FunctionExpression,
  type Node,
  parseExpressionAt,
} from 'acorn';
import { full } from 'acorn-walk';

type AnyFunction = (...args: never[]) => unknown;

export type FunctionNode = ArrowFunctionExpression | FunctionExpression;

export interface ParsedFunction {
  readonly node: FunctionNode;
  /** What was parsed: the function's own text within a wrapper that makes it an expression. */
  readonly text: string;
  /** Length of the wrapper before the function's own text. */
  readonly offset: number;
}

const cache = new WeakMap<AnyFunction, { readonly parsed: ParsedFunction | undefined }>();

/** The function's syntax tree, or `undefined` when its source can not be read. */
export function parseFunction(fn: AnyFunction): ParsedFunction | undefined {
  let known = cache.get(fn);
  if (!known) {
    known = { parsed: parse(Function.prototype.toString.call(fn)) };
    cache.set(fn, known);
  }
  return known.parsed;
}

/** A function expression stands alone, a method in an object or (with private names) a class. */
const wrappers: readonly (readonly [string, string])[] = [
  ['(', ')'],
  ['({', '})'],
  ['(class extends Object {', '})'],
];

function parse(source: string): ParsedFunction | undefined {
  if (/\{\s*\[native code\]\s*\}\s*$/.test(source)) return undefined;
  for (const [before, after] of wrappers) {
    const text = before + source + after;
    const node = functionIn(tryParse(text));
    if (node) return { node, text, offset: before.length };
  }
  return undefined;
}

function tryParse(text: string): Expression | undefined {
  try {
    return parseExpressionAt(text, 0, {
      ecmaVersion: 'latest',
      locations: true,
      allowAwaitOutsideFunction: true,
      checkPrivateFields: false,
    });
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function functionIn(expression: Expression | undefined): FunctionNode | undefined {
  switch (expression?.type) {
    case 'ArrowFunctionExpression':
    case 'FunctionExpression':
      return expression;
    case 'ObjectExpression': {
      const [property] = expression.properties;
      if (expression.properties.length !== 1 || property.type !== 'Property') return undefined;
      return functionIn(property.value);
    }
    case 'ClassExpression': {
      const [member] = expression.body.body;
      return member?.type === 'MethodDefinition' ? member.value : undefined;
    }
    default:
      return undefined;
  }
}

/** Names of the parameters; `undefined` where one is a pattern, or when the source can not be read. */
export function parameterNames(fn: AnyFunction): (string | undefined)[] {
  return (parseFunction(fn)?.node.params ?? []).map((parameter) => {
    const target = parameter.type === 'AssignmentPattern' ? parameter.left : parameter;
    return target.type === 'Identifier' ? target.name : undefined;
  });
}

/** Whether a function reads `this` as its own receiver. */
export function usesThis(fn: AnyFunction): boolean {
  const node = parseFunction(fn)?.node;
  if (!node || node.type === 'ArrowFunctionExpression') return false;
  let found = false;
  full(node, (inner: Node) => {
    if (inner.type === 'ThisExpression' || inner.type === 'Super') found = true;
  });
  return found;
}
