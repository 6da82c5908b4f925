/**
 * Which variable a name in a function's source means: scopes and bindings by the rules of JavaScript, as far as the
 * check for truth tests needs them. `var` is taken to be of its function, everything else of its block.
 *
 *     (x, n) => { const h = f(x); return [1].map((x) => x + n); }
 *       scope of the function: x, n;  of its block: h;  of the inner arrow: another x
 */
import type { AnyNode, Pattern } from 'acorn';

/** A variable. Identity is the object. */
export interface Binding {
  readonly name: string;
}

export class Scope {
  readonly outer: Scope | undefined;
  readonly #bindings = new Map<string, Binding>();

  constructor(outer?: Scope) {
    this.outer = outer;
  }

  declare(name: string): Binding {
    let binding = this.#bindings.get(name);
    if (!binding) {
      binding = { name };
      this.#bindings.set(name, binding);
    }
    return binding;
  }

  /** The variable of that name, or `undefined` for one from outside the function. */
  find(name: string): Binding | undefined {
    return this.#bindings.get(name) ?? this.outer?.find(name);
  }
}

/** The scope that each function, block, loop, switch and catch clause opens. */
export type Scopes = ReadonlyMap<AnyNode, Scope>;

/** The nodes directly inside a node, in order. */
export function childrenOf(node: AnyNode): AnyNode[] {
  const found: AnyNode[] = [];
  for (const [key, value] of Object.entries(node)) {
    if (key === 'loc' || key === 'type') continue;
    if (Array.isArray(value)) found.push(...value.filter(isNode));
    else if (isNode(value)) found.push(value);
  }
  return found;
}

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string' && 'start' in value;

export const isFunction = (
  node: AnyNode,
): node is AnyNode & { type: 'FunctionDeclaration' | 'FunctionExpression' | 'ArrowFunctionExpression' } =>
  node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression' || node.type === 'ArrowFunctionExpression';

const opensScope = (node: AnyNode): boolean =>
  isFunction(node) ||
  node.type === 'BlockStatement' ||
  node.type === 'ForStatement' ||
  node.type === 'ForOfStatement' ||
  node.type === 'ForInStatement' ||
  node.type === 'SwitchStatement' ||
  node.type === 'CatchClause' ||
  node.type === 'ClassExpression' ||
  node.type === 'ClassDeclaration';

/** Names that a pattern declares or assigns. */
function namesIn(pattern: Pattern): string[] {
  switch (pattern.type) {
    case 'Identifier':
      return [pattern.name];
    case 'ObjectPattern':
      return pattern.properties.flatMap((p) => namesIn(p.type === 'RestElement' ? p.argument : p.value));
    case 'ArrayPattern':
      return pattern.elements.flatMap((element) => (element ? namesIn(element) : []));
    case 'RestElement':
      return namesIn(pattern.argument);
    case 'AssignmentPattern':
      return namesIn(pattern.left);
    default:
      return [];
  }
}

/** The scopes of a function's source. */
export function scopesOf(root: AnyNode): Scopes {
  const scopes = new Map<AnyNode, Scope>();
  const visit = (node: AnyNode, outer: Scope, functionScope: Scope): void => {
    let scope = outer;
    let owner = functionScope;
    if (node.type === 'FunctionDeclaration' && node.id) outer.declare(node.id.name);
    if (node.type === 'ClassDeclaration' && node.id) outer.declare(node.id.name);
    if (opensScope(node)) {
      scope = new Scope(outer);
      scopes.set(node, scope);
    }
    if (isFunction(node)) {
      owner = scope;
      if (node.type === 'FunctionExpression' && node.id) scope.declare(node.id.name);
      for (const parameter of node.params) for (const name of namesIn(parameter)) scope.declare(name);
    }
    if (node.type === 'CatchClause' && node.param) for (const name of namesIn(node.param)) scope.declare(name);
    if (node.type === 'VariableDeclaration') {
      const target = node.kind === 'var' ? owner : scope;
      for (const { id } of node.declarations) for (const name of namesIn(id)) target.declare(name);
    }
    for (const child of childrenOf(node)) visit(child, scope, owner);
  };
  const top = new Scope();
  visit(root, top, top);
  return scopes;
}
