/**
 * What may flow where in a function's source: which variables may hold tensors, found by going over the source until
 * nothing changes, and then the truth tests on what may be one.
 *
 *     (p, x) => { const h = p.bias ? x.add(p.bias) : x; return h; }      p = { bias: f32[4] }
 *       tests: [{ construct: '?:', at p.bias }]
 */
import type {
  AnyNode,
  AssignmentExpression,
  BinaryExpression,
  CallExpression,
  Expression,
  ForOfStatement,
  MemberExpression,
  Pattern,
  SpreadElement,
  Super,
} from 'acorn';
import type { Place } from './source-check.ts';
import type { FunctionNode } from './source-parse.ts';
import { type Binding, childrenOf, isFunction, type Scope, type Scopes, scopesOf } from './source-scope.ts';
import {
  type AnyFunctionNode,
  bare,
  elementCallbacks,
  functionOf,
  isCallOf,
  isExpression,
  isHarmless,
  isPlainHolder,
  isStringLiteral,
  mutators,
  plainCalls,
  plainProperties,
  reduceCallbacks,
} from './source-syntax.ts';
import {
  either,
  field,
  holding,
  inside,
  known,
  maybeContainer,
  maybeTensor,
  none,
  nothing,
  type Possible,
  tensor,
} from './source-values.ts';

/** A truth test on what may be a traced tensor. */
export interface TruthTest extends Place {
  /** As the user wrote it: `if`, `?:`, `&&`. */
  readonly construct: string;
}

export interface Flow {
  readonly tests: readonly TruthTest[];
  /** Private fields that are read, method calls aside. */
  readonly privateFields: readonly Place[];
}

/**
 * @param node the function
 * @param args what its parameters are in the call at hand; those beyond are undefined
 * @param receiver what `this` is, in a method
 */
export function analyseFlow(node: FunctionNode, args: readonly Possible[], receiver: Possible | undefined): Flow {
  const flow = new FlowAnalysis(node, receiver ?? nothing);
  node.params.forEach((parameter, i) => {
    if (parameter.type === 'RestElement') flow.bind(parameter.argument, rest(args.slice(i)), node);
    else flow.bind(parameter, args[i] ?? known(undefined), node);
  });
  flow.run();
  return flow;
}

const rest = (args: readonly Possible[]): Possible =>
  args.every(({ values }) => values?.length === 1) ? known(args.map(({ values }) => values![0])) : holding(args);

/** More rounds than any real source needs; the levels can only rise. */
const mostRounds = 20;

class FlowAnalysis implements Flow {
  readonly tests: TruthTest[] = [];
  readonly privateFields: Place[] = [];
  readonly #root: FunctionNode;
  readonly #receiver: Possible;
  readonly #scopes: Scopes;
  readonly #variables = new Map<Binding, Possible>();
  /** Functions that variables hold, to follow calls of them. */
  readonly #functions = new Map<Binding, AnyFunctionNode>();
  readonly #returned = new Map<AnyNode, Possible>();
  #changed = true;
  #isReporting = false;
  #scope: Scope;
  #function: AnyNode;

  constructor(root: FunctionNode, receiver: Possible) {
    this.#root = root;
    this.#receiver = receiver;
    this.#scopes = scopesOf(root);
    this.#scope = this.#scopes.get(root)!;
    this.#function = root;
  }

  run(): void {
    for (let round = 0; this.#changed && round < mostRounds; round++) {
      this.#changed = false;
      this.#body(this.#root);
    }
    this.#isReporting = true;
    this.#body(this.#root);
    this.tests.sort((a, b) => a.start - b.start);
  }

  /** A pattern of a function's parameters or a declaration takes a value. */
  bind(pattern: Pattern, value: Possible, scopeOf?: AnyNode): void {
    const before = this.#scope;
    if (scopeOf) this.#scope = this.#scopes.get(scopeOf)!;
    this.#assign(pattern, value);
    this.#scope = before;
  }

  #join(binding: Binding, value: Possible): void {
    const before = this.#variables.get(binding);
    const after = before ? either(before, value) : value;
    const isSame =
      before &&
      before.level === after.level &&
      before.values?.length === after.values?.length &&
      (before.values === undefined) === (after.values === undefined);
    if (isSame) return;
    this.#variables.set(binding, after);
    this.#changed = true;
  }

  #assign(pattern: Pattern, value: Possible): void {
    switch (pattern.type) {
      case 'Identifier': {
        const binding = this.#scope.find(pattern.name);
        if (binding) this.#join(binding, value);
        return;
      }
      case 'AssignmentPattern':
        this.#assign(pattern.left, either(value, this.#value(pattern.right)));
        return;
      case 'ArrayPattern':
        pattern.elements.forEach((element, i) => {
          if (!element) return;
          if (element.type === 'RestElement')
            this.#assign(element.argument, value.level === none ? nothing : maybeContainer);
          else this.#assign(element, field(value, String(i)));
        });
        return;
      case 'ObjectPattern':
        for (const property of pattern.properties) {
          if (property.type === 'RestElement') {
            this.#assign(property.argument, value.level === none ? nothing : maybeContainer);
          } else this.#assign(property.value, this.#property(value, property.key, property.computed));
        }
        return;
      case 'RestElement':
        this.#assign(pattern.argument, value);
        return;
      default:
        this.#taintBase(pattern, value);
    }
  }

  /** `object.field = value`: the object holds it from now on. */
  #taintBase(target: AnyNode, value: Possible): void {
    if (value.level === none) return;
    let base: AnyNode = target;
    while (base.type === 'MemberExpression') base = base.object;
    if (base.type !== 'Identifier') return;
    const binding = this.#scope.find(base.name);
    if (binding) this.#join(binding, maybeContainer);
  }

  #body(node: AnyFunctionNode): void {
    const before = [this.#scope, this.#function] as const;
    this.#scope = this.#scopes.get(node) ?? this.#scope;
    this.#function = node;
    if (node.body.type === 'BlockStatement') this.#statement(node.body);
    else this.#return(this.#value(node.body));
    for (const parameter of node.params) this.#defaults(parameter);
    [this.#scope, this.#function] = before;
  }

  /** Default values of parameters are part of the source too. */
  #defaults(parameter: Pattern): void {
    if (parameter.type === 'AssignmentPattern') this.#assign(parameter, nothing);
  }

  #return(value: Possible): void {
    const before = this.#returned.get(this.#function);
    const after = before ? either(before, value) : value;
    if (before && before.level === after.level) return;
    this.#returned.set(this.#function, after);
    this.#changed = true;
  }

  /** Goes through a statement, or anything else whose value does not matter. */
  #statement(node: AnyNode): void {
    const before = this.#scope;
    if (!isFunction(node)) this.#scope = this.#scopes.get(node) ?? before;
    switch (node.type) {
      case 'FunctionDeclaration': {
        const binding = node.id ? this.#scope.find(node.id.name) : undefined;
        if (binding) this.#functions.set(binding, node);
        this.#body(node);
        break;
      }
      case 'VariableDeclaration':
        for (const { id, init } of node.declarations) {
          if (!init) continue;
          this.#rememberFunction(id, init);
          this.#assign(id, this.#value(init));
        }
        break;
      case 'ReturnStatement':
        this.#return(node.argument ? this.#value(node.argument) : nothing);
        break;
      case 'IfStatement':
        this.#test(node.test, 'if');
        this.#statement(node.consequent);
        if (node.alternate) this.#statement(node.alternate);
        break;
      case 'WhileStatement':
        this.#test(node.test, 'while');
        this.#statement(node.body);
        break;
      case 'DoWhileStatement':
        this.#test(node.test, 'do while');
        this.#statement(node.body);
        break;
      case 'ForStatement':
        if (node.init) this.#statement(node.init);
        if (node.test) this.#test(node.test, 'for');
        if (node.update) this.#value(node.update);
        this.#statement(node.body);
        break;
      case 'ForOfStatement':
        this.#forOf(node);
        break;
      case 'ForInStatement':
        this.#value(node.right);
        this.#statement(node.body);
        break;
      case 'SwitchStatement': {
        const tested = this.#value(node.discriminant);
        const isText = node.cases.every(({ test }) => !test || isStringLiteral(test));
        if (!isText) this.#report(tested, node.discriminant, 'switch');
        for (const { test, consequent } of node.cases) {
          if (test) this.#value(test);
          for (const statement of consequent) this.#statement(statement);
        }
        break;
      }
      default:
        if (isExpression(node)) this.#value(node);
        else for (const child of childrenOf(node)) this.#statement(child);
    }
    this.#scope = before;
  }

  #rememberFunction(id: Pattern, init: Expression): void {
    const fn = functionOf(init);
    const binding = id.type === 'Identifier' && fn ? this.#scope.find(id.name) : undefined;
    if (binding && fn) this.#functions.set(binding, fn);
  }

  #forOf(node: ForOfStatement): void {
    const source = this.#value(node.right);
    const target = node.left.type === 'VariableDeclaration' ? node.left.declarations[0].id : node.left;
    const pairs = isCallOf(node.right, 'entries');
    if (pairs && target.type === 'ArrayPattern') {
      const [index, element] = target.elements;
      if (index) this.#assign(index, nothing);
      if (element) this.#assign(element, source.level === none ? nothing : maybeTensor);
    } else this.#assign(target, inside(source));
    this.#statement(node.body);
  }

  #test(node: Expression, construct: string): void {
    this.#report(this.#value(node), node, construct);
  }

  #report(value: Possible, at: AnyNode, construct: string): void {
    if (this.#isReporting && value.level === tensor) this.tests.push({ construct, start: at.start, end: at.end });
  }

  #value(node: Expression | Super | SpreadElement | AnyNode): Possible {
    switch (node.type) {
      case 'Identifier': {
        const binding = this.#scope.find(node.name);
        return (binding && this.#variables.get(binding)) ?? nothing;
      }
      case 'ThisExpression':
        return this.#receiver;
      case 'Literal':
        return 'regex' in node && node.regex ? nothing : known(node.value);
      case 'TemplateLiteral':
        for (const part of node.expressions) this.#value(part);
        return nothing;
      case 'ParenthesizedExpression':
      case 'ChainExpression':
        return this.#value(node.expression);
      case 'SpreadElement':
        return inside(this.#value(node.argument));
      case 'MemberExpression':
        return this.#member(node);
      case 'CallExpression':
        return this.#call(node);
      case 'NewExpression':
        return holding(node.arguments.map((argument) => this.#value(argument)));
      case 'TaggedTemplateExpression':
        return holding(node.quasi.expressions.map((part) => this.#value(part))).level === none ? nothing : maybeTensor;
      case 'UnaryExpression': {
        const value = this.#value(node.argument);
        if (node.operator === '!') this.#report(value, node.argument, '!');
        return nothing;
      }
      case 'UpdateExpression':
        this.#value(node.argument);
        return nothing;
      case 'BinaryExpression':
        return this.#binary(node);
      case 'LogicalExpression': {
        const left = this.#value(node.left);
        if (node.operator !== '??') this.#report(left, node.left, node.operator);
        return either(left, this.#value(node.right));
      }
      case 'ConditionalExpression':
        this.#test(node.test, '?:');
        return either(this.#value(node.consequent), this.#value(node.alternate));
      case 'AssignmentExpression':
        return this.#assignment(node);
      case 'SequenceExpression':
        return node.expressions.map((part) => this.#value(part)).at(-1) ?? nothing;
      case 'ArrayExpression':
        return holding(node.elements.map((element) => (element ? this.#value(element) : nothing)));
      case 'ObjectExpression':
        return holding(
          node.properties.map((property) =>
            property.type === 'SpreadElement' ? this.#value(property) : this.#value(property.value),
          ),
        );
      case 'FunctionExpression':
      case 'ArrowFunctionExpression':
        this.#body(node);
        return nothing;
      case 'AwaitExpression':
      case 'YieldExpression':
        return node.argument ? this.#value(node.argument) : nothing;
      default:
        for (const child of childrenOf(node)) this.#statement(child);
        return nothing;
    }
  }

  #property(whole: Possible, key: AnyNode, computed: boolean): Possible {
    if (computed && key.type !== 'Literal') {
      this.#value(key);
      return inside(whole);
    }
    if (key.type === 'PrivateIdentifier') return whole.level === none ? nothing : maybeTensor;
    const name = key.type === 'Identifier' ? key.name : key.type === 'Literal' ? String(key.value) : '';
    const isPlain = plainProperties.has(name) && !whole.values?.every((value) => isPlainHolder(value, name));
    return isPlain ? nothing : field(whole, name);
  }

  #member(node: MemberExpression): Possible {
    const isPrivate = node.property.type === 'PrivateIdentifier';
    if (isPrivate && this.#isReporting) this.privateFields.push({ start: node.start, end: node.end });
    return this.#property(this.#value(node.object), node.property, node.computed);
  }

  #binary({ operator, left, right }: BinaryExpression): Possible {
    const isIdentity = operator === '===' || operator === '!==' || operator === '==' || operator === '!=';
    const sides = [left, right].map((side) => (side.type === 'PrivateIdentifier' ? nothing : this.#value(side)));
    if (!isIdentity || isHarmless(left) || isHarmless(right)) return nothing;
    if (sides[0].level === tensor) this.#report(sides[0], left, operator);
    else this.#report(sides[1], right, operator);
    return nothing;
  }

  #assignment(node: AssignmentExpression): Possible {
    const { operator, left, right } = node;
    const value = this.#value(right);
    if (operator === '=') {
      if (left.type === 'Identifier') this.#rememberFunction(left, right);
      this.#assign(left, value);
      return value;
    }
    if (operator !== '&&=' && operator !== '||=' && operator !== '??=') return nothing; // arithmetic traps
    const before = this.#value(left);
    if (operator !== '??=') this.#report(before, left, operator);
    this.#assign(left, value);
    return either(before, value);
  }

  #call(node: CallExpression): Possible {
    const callee = bare(node.callee);
    const method = callee.type === 'MemberExpression' && callee.property.type === 'Identifier' ? callee : undefined;
    const name = method ? (method.property as { name: string }).name : callee.type === 'Identifier' ? callee.name : '';
    const receiver = callee.type === 'MemberExpression' ? this.#value(callee.object) : nothing;
    if (callee.type !== 'MemberExpression' && callee.type !== 'Super') this.#value(callee);
    if (name === '__privateGet' && this.#isReporting) this.privateFields.push({ start: node.start, end: node.end });
    const args = node.arguments.map((argument) => this.#value(argument));
    if (name === '__name' && node.arguments[0]) return args[0];
    if (name === 'Boolean' && args[0]) this.#report(args[0], node.arguments[0], 'Boolean()');
    const given = Math.max(none, receiver.level, ...args.map(({ level }) => level));
    this.#callbacks(node, name, receiver, given > none);
    if (method && mutators.has(name)) for (const arg of args) this.#taintBase(method, arg);
    const local = this.#localFunction(callee);
    if (local) return this.#callLocal(local, node, args);
    if (plainCalls.has(name) || given === none) return nothing;
    if (name === 'entries' || name === 'values' || name === 'leaves') return maybeContainer;
    return maybeTensor;
  }

  /** Parameters of functions that are passed to a call with tensors. */
  #callbacks(node: CallExpression, name: string, receiver: Possible, isTainted: boolean): void {
    if (!isTainted) return;
    for (const argument of node.arguments) {
      const fn =
        argument.type === 'SpreadElement' ? undefined : (functionOf(argument) ?? this.#localFunction(argument));
      if (!fn) continue;
      const isOverArray = receiver.level !== none;
      const skipsIndex = !isOverArray ? -1 : elementCallbacks.has(name) ? 1 : reduceCallbacks.has(name) ? 2 : -1;
      fn.params.forEach((parameter, i) => {
        if (i === skipsIndex) return;
        const value = isOverArray && elementCallbacks.has(name) && i === 0 ? inside(receiver) : maybeTensor;
        this.bind(parameter.type === 'RestElement' ? parameter.argument : parameter, value, fn);
      });
    }
  }

  #localFunction(callee: AnyNode): AnyFunctionNode | undefined {
    if (callee.type !== 'Identifier') return functionOf(callee);
    const binding = this.#scope.find(callee.name);
    return binding && this.#functions.get(binding);
  }

  #callLocal(fn: AnyFunctionNode, node: CallExpression, args: readonly Possible[]): Possible {
    const hasSpread = node.arguments.some((argument) => argument.type === 'SpreadElement');
    fn.params.forEach((parameter, i) => {
      const value = hasSpread ? args.reduce(either, nothing) : (args[i] ?? known(undefined));
      const isRest = parameter.type === 'RestElement';
      this.bind(isRest ? parameter.argument : parameter, isRest ? holding(args.slice(i)) : value, fn);
    });
    return this.#returned.get(fn) ?? nothing;
  }
}
