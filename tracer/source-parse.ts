/**
 * The source of a function as a syntax tree, read with acorn from `fn.toString()`. Methods, accessors and arrow
 * functions come back as a function node with its text; what has no readable source (bound and native functions)
 * comes back as `undefined`. Each function is parsed once.
 */
import {
  type AnyNode,
  type ArrowFunctionExpression,
  type Expression,
  type FunctionExpression,
  type Node,
  parseExpressionAt,
} from 'acorn';
import { full } from 'acorn-walk';
import { mayUseThis, plainParameters, sourceOf } from './source-text.ts';

type AnyFunction = (...args: never[]) => unknown;

export type FunctionNode = ArrowFunctionExpression | FunctionExpression;

export interface ParsedFunction {
  readonly node: FunctionNode;
  /** What was parsed: the function's own text within a wrapper that makes it an expression. */
  readonly text: string;
  /** Length of the wrapper before the function's own text. */
  readonly offset: number;
  /** Whether there is any test or comparison in it. */
  readonly hasTests: boolean;
  /** Keys of arguments for which its tests have been found harmless. */
  readonly harmless: Set<string>;
}

/** By source text, since a function made anew on each call has the same one. */
const bySource = new Map<string, ParsedFunction | undefined>();
const mostSources = 1000;

/** The function's syntax tree, or `undefined` when its source can not be read. */
export function parseFunction(fn: AnyFunction): ParsedFunction | undefined {
  const source = sourceOf(fn);
  if (source === undefined) return undefined;
  if (bySource.has(source)) return bySource.get(source);
  const parsed = parse(source);
  if (bySource.size >= mostSources) bySource.clear();
  bySource.set(source, parsed);
  return parsed;
}

/** A function expression stands alone, a method in an object or (with private names) a class. */
const wrappers: readonly (readonly [string, string])[] = [
  ['(', ')'],
  ['({', '})'],
  ['(class extends Object {', '})'],
];

function parse(source: string): ParsedFunction | undefined {
  for (const [before, after] of wrappers) {
    const text = before + source + after;
    const node = functionIn(tryParse(text));
    if (node) return { node, text, offset: before.length, hasTests: hasTestsIn(node), harmless: new Set() };
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

const testing = new Set(
  ['IfStatement', 'WhileStatement', 'DoWhileStatement', 'ForStatement', 'SwitchStatement'].concat([
    'ConditionalExpression',
    'LogicalExpression',
    'BinaryExpression',
    'UnaryExpression',
    'AssignmentExpression',
  ]),
);

/** Whether anything in a function could be a truth test or read a private field; most have nothing of the kind. */
function hasTestsIn(root: FunctionNode): boolean {
  let found = false;
  full(root, (visited: Node) => {
    const node = visited as AnyNode;
    found ||= testing.has(node.type);
    if (node.type === 'Identifier') found ||= node.name === 'Boolean' || node.name === '__privateGet';
    if (node.type === 'MemberExpression') found ||= node.property.type === 'PrivateIdentifier';
  });
  return found;
}

/** Names of the parameters; `undefined` where one is a pattern, or when the source can not be read. */
export function parameterNames(fn: AnyFunction): readonly (string | undefined)[] {
  const source = sourceOf(fn);
  const plain = source === undefined ? [] : plainParameters(source);
  if (plain) return plain;
  return (parseFunction(fn)?.node.params ?? []).map((parameter) => {
    const target = parameter.type === 'AssignmentPattern' ? parameter.left : parameter;
    return target.type === 'Identifier' ? target.name : undefined;
  });
}

/** Whether a function reads `this` as its own receiver. */
export function usesThis(fn: AnyFunction): boolean {
  if (!mayUseThis(sourceOf(fn) ?? '')) return false;
  const node = parseFunction(fn)?.node;
  if (!node || node.type === 'ArrowFunctionExpression') return false;
  let found = false;
  full(node, (inner: Node) => {
    if (inner.type === 'ThisExpression' || inner.type === 'Super') found = true;
  });
  return found;
}
