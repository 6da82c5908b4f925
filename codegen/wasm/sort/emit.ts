/**
 * A sort node becomes a call of a function that sorts one row. Functions are shared by the sorts of a kernel part that
 * have rows of the same kind; each sort has work memory of its own.
 */
import { addDims, type Dim, equalDims, isAtMostDim, mulDims } from '../../../base/dim.ts';
import type { Sort } from '../../../ir/kernel.ts';
import { FunctionBuilder } from '../function-builder.ts';
import { buildRadixSort, countsBytes, keyEntries, pairEntries, radixParameters } from './radix.ts';
import { buildRowSort, type EntrySorts, type RowSort, rowParameters, selectRatio, spareEntries } from './row.ts';

/** Functions that a part of a kernel calls, by name. */
export class Helpers {
  readonly all: (readonly [string, FunctionBuilder])[] = [];
  readonly #prefix: string;

  /** @param prefix makes the names unique in the module */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The name of a function, which is built when it is wanted for the first time. */
  named(
    own: string,
    { binaryen, module, layout }: FunctionBuilder,
    parameters: readonly string[],
    build: (f: FunctionBuilder) => void,
  ): string {
    const name = this.#prefix + own;
    if (this.all.some(([known]) => known === name)) return name;
    const f = new FunctionBuilder(binaryen, module, layout, parameters);
    this.all.push([name, f]);
    build(f);
    return name;
  }
}

export function emitSort(f: FunctionBuilder, node: Sort, helpers: Helpers): void {
  const { keys, values, positions, length, count, direction } = node;
  const { module } = f;
  const sort: RowSort = {
    dtype: f.layout.dtypeOf(keys),
    direction,
    values: values !== undefined,
    positions: positions !== undefined,
    selects: selects(length, count),
  };
  const entries = sort.selects === 'always' ? addDims(mulDims(count, 2), spareEntries) : addDims(length, spareEntries);
  const work = `${keys}_work`;
  f.layout.addScratch(work, 'uint8', addDims(mulDims(entries, 2 * pairEntries.bytes), countsBytes));
  const name = rowFunction(f, sort, helpers);
  const address = (memory: string | undefined) => (memory === undefined ? f.i32(0) : f.base(memory));
  const operands = [address(keys), address(values), address(positions), address(work), f.size(length), f.size(count)];
  f.statement(module.call(name, operands, f.binaryen.none));
}

/** Whether selecting beats sorting, as far as the sizes tell. */
function selects(length: Dim, count: Dim): RowSort['selects'] {
  if (equalDims(length, count)) return 'never';
  const isFew = isAtMostDim(mulDims(count, selectRatio), length);
  const isMany = isAtMostDim(4 * spareEntries, length);
  if (isFew === 'always' && isMany === 'always') return 'always';
  return isFew === 'never' || isMany === 'never' ? 'never' : 'perhaps';
}

function rowFunction(f: FunctionBuilder, sort: RowSort, helpers: Helpers): string {
  const { dtype, direction, values, positions } = sort;
  const sorts: EntrySorts = {
    pairs: helpers.named('sort_pairs', f, radixParameters, (helper) => buildRadixSort(helper, pairEntries)),
    keys: helpers.named('sort_keys', f, radixParameters, (helper) => buildRadixSort(helper, keyEntries)),
  };
  const name = ['sort', dtype, direction, values && 'values', positions && 'positions', sort.selects];
  return helpers.named(name.filter((part) => part).join('_'), f, rowParameters, (helper) =>
    buildRowSort(helper, sort, sorts),
  );
}
