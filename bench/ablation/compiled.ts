/**
 * A bench graph compiled with parts left out: its account, and a run of it on arguments that stay on the device. It
 * goes past `compile`, whose options are for users; the compiler is the same.
 */
import { clearKernels } from '../../codegen/wasm/program.ts';
import { type Tensor, tree } from '../../index.ts';
import { type Module, mainOf } from '../../ir/types.ts';
import type { BufferHandle } from '../../runtime/device.ts';
import { decodeElements } from '../../runtime/elements.ts';
import { currentDevice } from '../../runtime/session.ts';
import type { CompileReport } from '../../tracer/compile-report.ts';
import { compile } from '../../tracer/compiler.ts';

/** Compiles of one variant, of which the fastest counts. */
const compiles = 3;

export class CompiledVariant {
  readonly report: CompileReport;
  /** From the traced graph to finished code. */
  readonly compileMs: number;
  readonly #run: (inputs: readonly BufferHandle[]) => BufferHandle[];

  constructor(module: Module, name: string, without: ReadonlySet<string>) {
    const { parameters, results } = mainOf(module).graph;
    const donated = parameters.map(() => false);
    const request = { module, name, precision: 'fast', donated, without, tier: currentDevice().tier } as const;
    const times = Array.from({ length: compiles }, () => {
      clearKernels();
      return compile(request).milliseconds;
    });
    const { program, report } = compile({ ...request, report: { bindings: [] } });
    if (!report) throw new Error(`${name}: the compiler gave no report`);
    this.report = report;
    this.compileMs = Math.min(...times);
    const outputs = results.map(({ type: { dtype, shape } }) => ({ dtype, shape: shape as readonly number[] }));
    const source = { name, program, prepare: () => Promise.resolve(program), prepareSync: () => program };
    this.#run = (inputs) => currentDevice().run(source, inputs, outputs);
  }

  /** Whether the compiler made the same of the graph. */
  equals({ report }: CompiledVariant): boolean {
    return report.kernels === this.report.kernels && report.program === this.report.program;
  }

  /** One run, its results released again. */
  run(inputs: readonly BufferHandle[]): void {
    for (const handle of this.#run(inputs)) handle.dispose();
  }

  /** The elements of each result. */
  values(inputs: readonly BufferHandle[]): ArrayLike<number>[] {
    const device = currentDevice();
    return this.#run(inputs).map((handle) => {
      const values = decodeElements(handle.dtype, device.readSync(handle)) as ArrayLike<number>;
      handle.dispose();
      return values;
    });
  }
}

/** The arguments of a model on the device, in the order of a graph's parameters. */
export const handlesOf = (args: unknown): BufferHandle[] =>
  tree.leaves(args as Tensor[]).map(({ handle }) => {
    if (!handle) throw new Error('an argument of a bench graph is no array on the device');
    return handle;
  });
