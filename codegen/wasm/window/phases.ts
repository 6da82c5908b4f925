/** What the schedules of contractions over windows have in common: the image, packed weights, places of outer axes. */
import type { KernelFacts } from '../../common/walk.ts';
import { digitsOf } from '../contraction/emit.ts';
import { Environment } from '../environment.ts';
import type { FunctionBuilder } from '../function-builder.ts';
import type { Expression } from '../math/emitter.ts';
import type { CountedAxis } from './directions.ts';
import type { Image } from './image.ts';
import type { WindowContraction } from './match.ts';

/** Rows of a register tile. */
export const tileRows = 4;

export type NamedHelper = readonly [string, FunctionBuilder];

export class WindowPhases {
  readonly f: FunctionBuilder;
  readonly facts: KernelFacts;
  readonly env: Environment;
  readonly window: WindowContraction;
  readonly image: Image;
  readonly prefix: string;
  readonly helpers: NamedHelper[] = [];

  constructor(f: FunctionBuilder, facts: KernelFacts, window: WindowContraction, image: Image, prefix: string) {
    this.f = f;
    this.facts = facts;
    this.env = new Environment(f, facts);
    this.window = window;
    this.image = image;
    this.prefix = prefix;
  }

  get leftAxes(): readonly CountedAxis[] {
    return this.window.outer.filter(({ name }) => this.window.sum.left.axes.has(name));
  }

  get rowGroups(): number {
    return Math.ceil(this.window.row.extent / tileRows);
  }

  call(name: string, ...operands: readonly Expression[]): void {
    const { f } = this;
    f.statement(f.module.call(name, [f.get(0), ...operands], f.binaryen.none));
  }

  /** Computes a part of the image. */
  stage(part: number): void {
    const { f, image } = this;
    const digits = digitsOf(f, part);
    const locals = [...image.source.axes].reverse().map(({ extent }) => digits.next(extent));
    const place = f.module.i32.mul(f.get(part), f.i32(image.part));
    this.call(`${this.prefix}stage`, ...locals.reverse().map((local) => f.get(local)), place, f.i32(0));
  }

  /** Packs four rows of the left factor: part `part`, to element `place`. */
  packLeft(part: number, place: Expression): void {
    const { f, window } = this;
    const { i32 } = f.module;
    const digits = digitsOf(f, part);
    const group = digits.next(this.rowGroups);
    const locals = [...this.leftAxes].reverse().map(({ extent }) => digits.next(extent));
    const first = f.let('i32', i32.mul(f.get(group), f.i32(tileRows)));
    const count = this.least(i32.sub(f.i32(window.row.extent), f.get(first)), f.i32(tileRows));
    const outer = locals.reverse().map((local) => f.get(local));
    this.call(`${this.prefix}pack`, ...outer, f.get(first), place, f.get(count));
  }

  least(value: Expression, most: Expression): number {
    const { f } = this;
    const [a, b] = [f.let('i32', value), f.let('i32', most)];
    return f.let(
      'i32',
      f.least(
        () => f.get(a),
        () => f.get(b),
      ),
    );
  }

  /** The number of an element of some axes. */
  linear(axes: readonly CountedAxis[]): Expression {
    const { f, env } = this;
    const { i32 } = f.module;
    return axes.reduce(
      (at, { name, extent }) => i32.add(i32.mul(at, f.i32(extent)), f.get(env.axis(name).local!)),
      f.i32(0),
    );
  }
}
