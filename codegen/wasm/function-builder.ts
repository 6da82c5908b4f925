/**
 * One WASM function under construction: typed locals, nested scopes of statements, and what every kernel function
 * begins with (sizes and addresses from the record, vector constants), each read once at the entry.
 *
 * A scope belongs to one loop (the outermost: to the function). What does not depend on the inner loop is appended to
 * an outer scope while the inner loop is still being built, and so ends up in front of it: that is how invariants are
 * hoisted and how induction pointers get their start.
 */
import { type Dim, equalDims, isStatic } from '../../base/dim.ts';
import type { DType } from '../../base/dtype.ts';
import type { Binaryen, Expression, Module, VectorScope } from './math/emitter.ts';
import { mulAdd, mulSubFrom } from './math/fused.ts';
import type { RecordLayout } from './record.ts';

export type WasmType = 'i32' | 'i64' | 'f32' | 'v128';

/** The statements of one loop body, and what the loop does at the end of each round. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly depth: number;
  readonly statements: Expression[] = [];
  readonly steps: Expression[] = [];
  /** Locals that hold addresses and other derived scalars, by a key that says what they are. */
  readonly derived = new Map<string, number>();

  constructor(parent?: Scope) {
    this.parent = parent;
    this.depth = parent ? parent.depth + 1 : 0;
  }
}

export interface LoopShape {
  /** The local that counts; set to `start` before the loop, unless it goes on from where it is. */
  readonly counter: number;
  readonly start?: Expression;
  /** What is added at the end of each round; 0 when the body advances the counter itself. */
  readonly step: number;
  /** The loop goes on while `counter < limit`. */
  readonly limit: () => Expression;
  /** At least one round is certain. */
  readonly nonEmpty?: boolean;
}

export class FunctionBuilder implements VectorScope {
  readonly binaryen: Binaryen;
  readonly module: Module;
  readonly layout: RecordLayout;
  scope = new Scope();
  readonly root = this.scope;
  readonly #parameters: readonly string[];
  readonly #names = new Map<number, string>();
  readonly #types: WasmType[] = [];
  readonly #constants = new Map<string, { local: number; value: () => Expression }>();
  readonly #sizes = new Map<string, { local: number; size: Dim }>();
  readonly #bases = new Map<string, number>();
  #labels = 0;

  /** @param parameters names of the parameters, all i32; the first is the record */
  constructor(binaryen: Binaryen, module: Module, layout: RecordLayout, parameters: readonly string[]) {
    this.binaryen = binaryen;
    this.module = module;
    this.layout = layout;
    this.#parameters = parameters;
  }

  /** Whether code may fuse multiplications with additions: `fast` on an engine that can. */
  get isFused(): boolean {
    return this.layout.mayFuse;
  }

  /** Whether code is for `fast` precision, which has shorter ways to some functions. */
  get isFast(): boolean {
    return this.layout.isFast;
  }

  /** `a * b + c`: fused in `fast` code on an engine that can, else the product is rounded first. */
  mulAdd(lanes: 'f32x4' | 'f64x2', a: Expression, b: Expression, c: Expression): Expression {
    return mulAdd(this, lanes, a, b, c);
  }

  /** `c - a * b`, likewise. */
  mulSubFrom(lanes: 'f32x4' | 'f64x2', a: Expression, b: Expression, c: Expression): Expression {
    return mulSubFrom(this, lanes, a, b, c);
  }

  /** A fresh local; the name is for the text form. */
  newLocal(type: WasmType | number, name?: string): number {
    const { v128, f32 } = this.binaryen;
    this.#types.push(typeof type === 'string' ? type : type === v128 ? 'v128' : type === f32 ? 'f32' : 'i32');
    const local = this.#parameters.length + this.#types.length - 1;
    if (name !== undefined) this.#names.set(local, name);
    return local;
  }

  get(local: number): Expression {
    const type = this.#types[local - this.#parameters.length] ?? 'i32';
    return this.module.local.get(local, this.binaryen[type]);
  }

  set(local: number, value: Expression): void {
    this.scope.statements.push(this.module.local.set(local, value));
  }

  /** Computes a value now, in a new local. */
  let(type: WasmType, value: Expression, name?: string): number {
    const local = this.newLocal(type, name);
    this.set(local, value);
    return local;
  }

  statement(expression: Expression): void {
    this.scope.statements.push(expression);
  }

  i32(value: number): Expression {
    return this.module.i32.const(value | 0);
  }

  /** The lesser of two signed integers. Each is built twice: a local, a size or the like. */
  least(a: () => Expression, b: () => Expression): Expression {
    return this.module.select(this.module.i32.lt_s(a(), b()), a(), b());
  }

  /** The greater of two signed integers, likewise. */
  greatest(a: () => Expression, b: () => Expression): Expression {
    return this.module.select(this.module.i32.gt_s(a(), b()), a(), b());
  }

  label(prefix: string): string {
    return `${prefix}${this.#labels++}`;
  }

  /** A vector constant, hoisted to the entry. */
  constant(bytes: Uint8Array): Expression {
    return this.get(this.#constantLocal(bytes));
  }

  #constantLocal(bytes: Uint8Array): number {
    const key = bytes.join();
    let known = this.#constants.get(key);
    if (!known) {
      const copy = bytes.slice();
      known = { local: this.newLocal('v128', 'constant'), value: () => this.module.v128.const(copy) };
      this.#constants.set(key, known);
    }
    return known.local;
  }

  /** The same number in four lanes; a bool is a mask. */
  splat(dtype: DType, value: number): Expression {
    return this.get(this.splatLocal(dtype, value));
  }

  /** The local of such a constant; it must not be set. */
  splatLocal(dtype: DType, value: number): number {
    if (dtype === 'float32') return this.#constantLocal(new Uint8Array(new Float32Array(4).fill(value).buffer));
    const word = dtype === 'bool' ? (value === 0 ? 0 : -1) : value | 0;
    return this.#constantLocal(new Uint8Array(new Int32Array(4).fill(word).buffer));
  }

  /** Four integers. */
  lanes(values: readonly [number, number, number, number]): Expression {
    return this.constant(new Uint8Array(new Int32Array(values).buffer));
  }

  /** A size: a constant, or a word of the record read at the entry. */
  size(size: Dim): Expression {
    if (isStatic(size)) return this.i32(size);
    const key = String(size);
    let known = this.#sizes.get(key);
    if (!known) {
      this.layout.sizeIndex(size);
      known = { local: this.newLocal('i32', `size_${key}`), size };
      this.#sizes.set(key, known);
    }
    return this.get(known.local);
  }

  /** The address of a buffer or scratch array, read at the entry. */
  base(memory: string): Expression {
    return this.get(this.baseLocal(memory));
  }

  baseLocal(memory: string): number {
    let local = this.#bases.get(memory);
    if (local === undefined) {
      const offset = this.layout.scratchOffset(memory);
      if (offset !== undefined && !equalDims(offset, 0)) this.size(offset);
      local = this.newLocal('i32', memory);
      this.#bases.set(memory, local);
    }
    return local;
  }

  /** Runs `build` in a new scope below the current one and gives the scope. */
  inScope(build: () => void): Scope {
    const outer = this.scope;
    const inner = new Scope(outer);
    this.scope = inner;
    build();
    this.scope = outer;
    return inner;
  }

  /** Appends statements to an outer scope: they run before the loops that are being built inside it. */
  at(scope: Scope, build: () => void): void {
    const current = this.scope;
    this.scope = scope;
    build();
    this.scope = current;
  }

  /** The enclosing scope of the given depth. */
  scopeAt(depth: number): Scope {
    let scope = this.scope;
    while (scope.depth > depth && scope.parent) scope = scope.parent;
    return scope;
  }

  block(statements: readonly Expression[]): Expression {
    return statements.length === 1 ? statements[0] : this.module.block(null, statements);
  }

  /** A counted loop. The body may leave through `done`. */
  loop(shape: LoopShape, body: (done: string) => void): void {
    const { module } = this;
    const { counter, step, limit } = shape;
    if (shape.start !== undefined) this.set(counter, shape.start);
    const again = this.label('again');
    const done = this.label('done');
    const scope = this.inScope(() => body(done));
    const advanced =
      step === 0
        ? this.get(counter)
        : module.local.tee(counter, module.i32.add(this.get(counter), this.i32(step)), this.binaryen.i32);
    const statements = [...scope.statements, ...scope.steps, module.br_if(again, module.i32.lt_s(advanced, limit()))];
    const loop = module.loop(again, module.block(null, statements));
    const guarded = shape.nonEmpty ? loop : module.if(module.i32.lt_s(this.get(counter), limit()), loop);
    this.statement(module.block(done, [guarded]));
  }

  /** `if (condition) { ... }`, each arm a scope of its own. */
  when(condition: Expression, build: () => void, otherwise?: () => void): void {
    const { module } = this;
    const yes = this.block(this.inScope(build).statements);
    if (!otherwise) this.statement(module.if(condition, yes));
    else this.statement(module.if(condition, yes, this.block(this.inScope(otherwise).statements)));
  }

  /** A scope of its own whose statements run once, in place. */
  group(build: () => void): void {
    this.scope.statements.push(...this.inScope(build).statements);
  }

  /** Adds the function to the module. Call it when the record's layout is final. */
  finish(name: string): void {
    const { binaryen, module, layout } = this;
    const record = (word: number): Expression => module.i32.load(4 * word, 4, module.local.get(0, binaryen.i32));
    const entry: Expression[] = [];
    for (const { local, size } of this.#sizes.values()) {
      entry.push(module.local.set(local, record(layout.sizeWord(size))));
    }
    for (const [memory, local] of this.#bases) {
      const offset = layout.scratchOffset(memory);
      const start = record(layout.addressWord(memory));
      const shifted = offset === undefined || equalDims(offset, 0) ? start : module.i32.add(start, this.size(offset));
      entry.push(module.local.set(local, shifted));
    }
    for (const { local, value } of this.#constants.values()) entry.push(module.local.set(local, value()));
    const parameters = binaryen.createType(this.#parameters.map(() => binaryen.i32));
    const types = this.#types.map((type) => binaryen[type]);
    const body = module.block(null, [...entry, ...this.root.statements]);
    const made = module.addFunction(name, parameters, binaryen.none, types, body);
    if (layout.named) this.#nameLocals(made);
  }

  /** Gives locals their names, made unique and fit for the text form. */
  #nameLocals(made: number): void {
    // Binaryen's declarations have `Function` on modules; it is on the library.
    const { Function: functions } = this.binaryen as unknown as Pick<Module, 'Function'>;
    const taken = new Set<string>();
    const all = [...this.#parameters.entries(), ...this.#names];
    for (const [local, name] of all) {
      const plain = name.replace(/[^A-Za-z0-9_.]/g, '_');
      let unique = plain;
      for (let i = 2; taken.has(unique); i++) unique = `${plain}.${i}`;
      taken.add(unique);
      functions.setLocalName(made, local, unique);
    }
  }
}
