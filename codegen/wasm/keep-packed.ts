/**
 * Weights are packed once. A contraction packs its right factor before it multiplies; where that follows from what is
 * the same at every call alone, packing becomes a launch of its own among those that are run only once, and what is
 * packed stays.
 *
 *     launches   [dot_general(x, w -> y)]                          w is a captured tensor
 *     becomes    [dot_general.pack(w -> packed 0)] once,  [dot_general.packed(x, packed 0 -> y)]
 *
 * Where many rows are multiplied by a factor its packing costs next to nothing, and what is kept is bounded, so that is
 * left as it is.
 */
import { type Dim, dimBounds, isStatic } from '../../base/dim.ts';
import { byteSize } from '../../base/dtype.ts';
import type { Kernel } from '../../ir/kernel.ts';
import type { FusionGroupReport, Launch, LaunchBuffer, Lowered, LoweredPrepared } from '../../ir/lowered.ts';
import type { Size } from '../../runtime/program.ts';
import type { RightFactors } from './kernel.ts';

/** Rows up to which packing takes more than a few hundredths of the time. */
const mostRows = 512;
/** Bytes kept for each byte of the captured tensors, in all and for each factor. */
const mostGrowth = 2;

export interface Packer {
  /** What a kernel packs, if it is a contraction that can. */
  rightFactors(kernel: Kernel): RightFactors | undefined;
  /** Bytes of the buffer that a kernel with the mark `packed` keeps its factors in; 0 where it reads them in place. */
  packedBytes(kernel: Kernel): Size;
}

/** The same program with packing done once where that pays; the same object where there is nothing to do. */
export function keepPacked(lowered: Lowered, packer: Packer): Lowered {
  if (!lowered.inputs.some(({ held }) => held)) return lowered;
  return new PackedLowering(lowered, packer).run();
}

interface PackedKernel {
  readonly make: Kernel;
  readonly use: Kernel;
  readonly reads: readonly number[];
  readonly rows: number;
  readonly bytes: number;
}

interface NumberedLaunch {
  readonly kernel: Kernel;
  readonly buffers: readonly LaunchBuffer[];
  readonly group: FusionGroupReport;
}

class PackedLowering {
  readonly #lowered: Lowered;
  readonly #packer: Packer;
  readonly #variants = new Map<Kernel, PackedKernel | undefined>();
  readonly #prepared: LoweredPrepared[];
  /** Numbers of packed factors by kernel and buffers: calls of one function with one weight share what is packed. */
  readonly #known = new Map<string, number>();
  readonly #packs: NumberedLaunch[] = [];
  /** Bytes that may still be kept. */
  #room: number;

  constructor(lowered: Lowered, packer: Packer) {
    this.#lowered = lowered;
    this.#packer = packer;
    this.#prepared = [...lowered.prepared];
    const held = lowered.inputs.filter((input) => input.held).map(({ type }) => type);
    this.#room = mostGrowth * bytesOf(held) - bytesOf(lowered.prepared.map(({ type }) => type));
  }

  run(): Lowered {
    const { kernels, launches, prepareLaunches, report, temporaries } = this.#lowered;
    const all = launches.map(
      ({ kernel, buffers }, at): NumberedLaunch => ({ kernel: kernels[kernel], buffers, group: report.groups[at] }),
    );
    const work = all.slice(prepareLaunches).map((launch) => this.#packed(launch) ?? launch);
    if (this.#packs.length === 0) return this.#lowered;
    const numbered = [...all.slice(0, prepareLaunches), ...this.#packs, ...work];
    const used = [...new Set(numbered.map(({ kernel }) => kernel))];
    const numbers = new Map(used.map((kernel, number) => [kernel, number]));
    const shift = (launch: number): number => (launch < prepareLaunches ? launch : launch + this.#packs.length);
    return {
      ...this.#lowered,
      prepared: this.#prepared,
      temporaries: temporaries.map((each) => ({ ...each, first: shift(each.first), last: shift(each.last) })),
      kernels: used,
      launches: numbered.map(({ kernel, buffers }): Launch => ({ kernel: numbers.get(kernel)!, buffers })),
      prepareLaunches: prepareLaunches + this.#packs.length,
      report: {
        ...report,
        groups: numbered.map(({ kernel, group }, launch) => ({ ...group, kernel: numbers.get(kernel)!, launch })),
      },
    };
  }

  #packed({ kernel, buffers, group }: NumberedLaunch): NumberedLaunch | undefined {
    const variant = this.#variantOf(kernel);
    if (!variant?.reads.every((at) => this.#isFixed(buffers[at]))) return undefined;
    // A factor that was turned for one row is nearly as good as a packed one.
    if (variant.rows === 1 && variant.reads.some((at) => buffers[at].kind === 'prepared')) return undefined;
    const key = `${kernel.name} ${variant.reads.map((at) => `${buffers[at].kind}${buffers[at].index}`)}`;
    let number = this.#known.get(key);
    if (number === undefined) {
      if (variant.bytes > this.#room) return undefined;
      this.#room -= variant.bytes;
      number = this.#prepared.push({ type: { dtype: 'float32', shape: [variant.bytes / 4] } }) - 1;
      this.#known.set(key, number);
      this.#packs.push(packLaunch(variant, buffers, group, number));
    }
    return { kernel: variant.use, buffers: [...buffers, { kind: 'prepared', index: number }], group };
  }

  #isFixed({ kind, index }: LaunchBuffer): boolean {
    return kind === 'constant' || kind === 'prepared' || (kind === 'input' && this.#lowered.inputs[index].held);
  }

  #variantOf(kernel: Kernel): PackedKernel | undefined {
    if (!this.#variants.has(kernel)) this.#variants.set(kernel, this.#newVariant(kernel));
    return this.#variants.get(kernel);
  }

  #newVariant(kernel: Kernel): PackedKernel | undefined {
    const factors = this.#packer.rightFactors(kernel);
    if (!factors || factors.rows > mostRows) return undefined;
    const { reads } = factors;
    const use: Kernel = { ...kernel, name: `${kernel.name}.packed`, packed: 'use' };
    const isWanted = this.#lowered.launches.some(
      ({ kernel: number, buffers }) =>
        this.#lowered.kernels[number] === kernel && reads.every((at) => this.#isFixed(buffers[at])),
    );
    const bytes = isWanted ? this.#packer.packedBytes(use) : 0;
    const sources = reads.reduce((sum, at) => {
      const { size, dtype } = kernel.buffers[at];
      return sum + (isStatic(size) ? size * byteSize(dtype) : 0);
    }, 0);
    if (typeof bytes !== 'number' || bytes === 0 || bytes > mostGrowth * sources) return undefined;
    return { make: { ...kernel, name: `${kernel.name}.pack`, packed: 'make' }, use, reads, rows: factors.rows, bytes };
  }
}

/** The launch that packs. It touches no other buffers than those it reads; what it packs stands in for them. */
function packLaunch(
  { make, reads, bytes }: PackedKernel,
  buffers: readonly LaunchBuffer[],
  group: FusionGroupReport,
  number: number,
): NumberedLaunch {
  const packed: LaunchBuffer = { kind: 'prepared', index: number };
  const bound = buffers.map((buffer, at) => (reads.includes(at) ? buffer : packed));
  const readValues = reads.map((at) => group.reads[at]);
  const moved = bytesOf(readValues.map(({ type }) => type)) + bytes;
  const { block, ops } = group;
  return {
    kernel: make,
    buffers: [...bound, packed],
    group: {
      kernel: 0,
      launch: 0,
      ...(block && { block }),
      prepares: true,
      ops: [...ops],
      reads: readValues,
      writes: [],
      bytesBefore: moved,
      bytesAfter: moved,
      flopsBefore: 0,
      flopsAfter: 0,
    },
  };
}

/** Bytes of arrays; symbolic sizes count at their lower bound. */
function bytesOf(
  types: readonly { readonly dtype: LoweredPrepared['type']['dtype']; readonly shape: readonly Dim[] }[],
) {
  return types.reduce((sum, { dtype, shape }) => {
    return sum + shape.reduce<number>((bytes, size) => bytes * leastOf(size), byteSize(dtype));
  }, 0);
}

const leastOf = (size: Dim): number => (isStatic(size) ? size : dimBounds(size)[0]);
