/**
 * The schedule of a row kernel with contractions. A tile is a block of rows; the right factors of all contractions are
 * packed once for all tiles in a row that share them.
 *
 *     tile:  pack the right factors (unless the tile before did)
 *            contraction   register tiles of q·kᵀ for the rows of the block, epilogue → scratch rows
 *            rows          for each row: its sweeps over scratch rows
 *            contraction   register tiles of p·v, with scratch rows as the left factor in place → results
 */
import { ceilDivDims, type Dim, dimProduct, mulDims } from '../../../base/dim.ts';
import type { Axis, KernelNode } from '../../../ir/kernel.ts';
import { axesOfIndex } from '../../common/linear-index.ts';
import type { KernelFacts } from '../../common/walk.ts';
import { ContractionBlock, type NamedHelper } from '../contraction/block.ts';
import { digitsOf } from '../contraction/emit.ts';
import type { Contraction } from '../contraction/match.ts';
import { chunkOf, defaultSchedule } from '../contraction/schedule.ts';
import { Environment } from '../environment.ts';
import { FunctionBuilder } from '../function-builder.ts';
import type { TilePhase } from '../kernel.ts';
import type { Expression } from '../math/emitter.ts';
import { NestEmitter } from '../nest.ts';
import { planNodes } from '../plan.ts';
import { loopsOverScratch } from '../wide-scratch.ts';
import { firstAxis, type Phase, type RowKernel, slotAxis } from './match.ts';

interface BuiltRows {
  readonly builder: FunctionBuilder;
  readonly phases: readonly TilePhase[];
  readonly helpers: readonly NamedHelper[];
}

/** Builds the functions of a row kernel; `prefix` makes their names unique in the module. */
export function buildRows(builder: FunctionBuilder, facts: KernelFacts, kernel: RowKernel, prefix: string): BuiltRows {
  return new RowSchedule(builder, facts, kernel, prefix).build();
}

/** A phase: what it does before the first tile of a group that shares right factors, and for a block of rows. */
interface PhaseCode {
  pack(): void;
  run(rows: number): void;
}

/** Whether a phase selects among the elements of a row, or loads something for each, as masks do. */
function hasMask(phase: Phase): boolean {
  if (phase.kind === 'rows') return false;
  const { column, epilogue } = phase.contraction;
  return epilogue.some((node) => {
    if (node.kind !== 'let') return false;
    const { expression } = node;
    if (expression.kind !== 'load') return expression.kind === 'apply' && expression.opcode === 'select';
    const axes = axesOfIndex(expression.index);
    return axes.has(column.name) && axes.has(firstAxis);
  });
}

class RowSchedule {
  readonly f: FunctionBuilder;
  readonly facts: KernelFacts;
  readonly kernel: RowKernel;
  readonly prefix: string;
  readonly env: Environment;
  readonly helpers: NamedHelper[] = [];
  readonly blocks: ContractionBlock[] = [];

  constructor(f: FunctionBuilder, facts: KernelFacts, kernel: RowKernel, prefix: string) {
    const { row, rows, arrays } = kernel;
    this.f = f;
    this.facts = {
      ...facts,
      extents: new Map([...facts.extents, [firstAxis, row.extent], [slotAxis, row.extent]]),
      written: new Set([...facts.written, ...arrays.map(({ name }) => name)]),
    };
    this.kernel = kernel;
    this.prefix = prefix;
    this.env = new Environment(f, this.facts);
    for (const { name, dtype, size } of arrays) f.layout.addScratch(name, dtype, mulDims(size, rows));
  }

  get rowBlocks(): Dim {
    return ceilDivDims(this.kernel.row.extent, this.kernel.rows);
  }

  build(): BuiltRows {
    const { f, kernel } = this;
    const packed = f.let('i32', f.i32(-1), 'packed');
    const tile = f.newLocal('i32', 'tile');
    f.loop({ counter: tile, start: f.get(1), step: 1, limit: () => f.get(2) }, () => this.#tile(tile, packed));
    const tiles = dimProduct([...kernel.outer.map((axis) => axis.extent), this.rowBlocks]);
    const helpers = [...this.helpers, ...this.blocks.flatMap((block) => block.helpers)];
    return { builder: f, phases: [{ tiles, group: this.rowBlocks }], helpers };
  }

  #tile(tile: number, packed: number): void {
    const { f, kernel, env } = this;
    const { i32 } = f.module;
    const digits = digitsOf(f, tile);
    const block = digits.next(this.rowBlocks);
    const bind = (axes: readonly Axis[]): void => {
      for (const axis of [...axes].reverse()) {
        env.axes.set(axis.name, { local: digits.next(axis.extent), delta: 0, scope: f.scope });
      }
    };
    const isShared = ({ name }: Axis): boolean =>
      kernel.phases.some(
        (phase) => phase.kind === 'contraction' && phase.contraction.sums.some(({ right }) => right.axes.has(name)),
      );
    bind(kernel.outer.filter((axis) => !isShared(axis)));
    const key = f.let('i32', f.get(digits.rest), 'key');
    bind(kernel.outer.filter(isShared));
    const first = f.let('i32', i32.mul(f.get(block), f.i32(kernel.rows)), 'first');
    env.axes.set(firstAxis, { local: first, delta: 0, scope: f.scope });
    const left = f.let('i32', i32.sub(f.size(kernel.row.extent), f.get(first)));
    const fewest = f.least(
      () => f.get(left),
      () => f.i32(kernel.rows),
    );
    const rows = f.let('i32', fewest, 'rows');
    const phases = kernel.phases.map((_, i) => this.#phase(i));
    f.when(i32.ne(f.get(key), f.get(packed)), () => {
      f.set(packed, f.get(key));
      for (const phase of phases) phase.pack();
    });
    for (const phase of phases) phase.run(rows);
  }

  #phase(position: number): PhaseCode {
    const phase = this.kernel.phases[position];
    const prefix = `${this.prefix}phase${position}_`;
    return phase.kind === 'rows' ? this.#rows(phase.nodes, prefix) : this.#contraction(phase.contraction, prefix);
  }

  #contraction(contraction: Contraction, prefix: string): PhaseCode {
    const { f, env, facts } = this;
    const { i32 } = f.module;
    const skipsZeros = this.kernel.phases.some(hasMask);
    const schedule = defaultSchedule(contraction);
    const block = new ContractionBlock(env, facts, contraction, {
      isKept: false,
      prefix,
      schedule,
      packing: 'all',
      blockRows: this.kernel.rows,
      chunk: chunkOf(contraction.column, schedule),
      skipsZeros,
    });
    this.blocks.push(block);
    const { extent } = contraction.column;
    return {
      pack: () => {
        const [from, to] = [f.let('i32', f.i32(0)), f.let('i32', f.size(extent))];
        block.packRight(from, to);
      },
      run: (rows) => {
        const from = f.newLocal('i32', 'from');
        f.loop({ counter: from, start: f.i32(0), step: block.chunk, limit: () => f.size(extent) }, () => {
          const to = block.atMost(i32.add(f.get(from), f.i32(block.chunk)), extent);
          block.rows(f.let('i32', f.i32(0)), rows, from, to);
        });
      },
    };
  }

  /** A function `rows(record, ...outer, first, rows)` that runs the nodes for each row of the block. */
  #rows(nodes: readonly KernelNode[], prefix: string): PhaseCode {
    const { f, kernel, env } = this;
    const axes = [...kernel.outer.map(({ name }) => name), firstAxis];
    const own = new FunctionBuilder(f.binaryen, f.module, f.layout, ['record', ...axes, 'rows']);
    const inner = new Environment(own, this.facts);
    axes.forEach((axis, i) => {
      inner.axes.set(axis, { local: 1 + i, delta: 0, scope: own.root });
    });
    const emitter = new NestEmitter(inner, planNodes(nodes, loopsOverScratch(nodes, kernel.arrays)));
    const slot = own.newLocal('i32', 'slot');
    const limit = (): Expression => own.get(1 + axes.length);
    own.loop({ counter: slot, start: own.i32(0), step: 1, limit, nonEmpty: true }, () => {
      const binding = { local: slot, delta: 0, scope: own.scope, step: 1, fromZero: true };
      inner.withAxis(slotAxis, binding, () => emitter.emit(nodes));
    });
    const name = `${prefix}rows`;
    this.helpers.push([name, own]);
    return {
      pack: () => {},
      run: (rows) => {
        const values = axes.map((axis) => f.get(env.axis(axis).local!));
        f.statement(f.module.call(name, [f.get(0), ...values, f.get(rows)], f.binaryen.none));
      },
    };
  }
}
