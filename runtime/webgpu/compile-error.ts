/** Why an adapter does not take a kernel; loaded when it does not. */
import { KilnError } from '../../base/error.ts';
import type { WgslKernel } from '../program.ts';
import type { Origin } from './pipelines.ts';

/** What the adapter's compiler has against a kernel: the first error with its line. */
export async function compileError(
  { name, code }: WgslKernel,
  module: GPUShaderModule,
  message: string,
  origin: Origin | undefined,
): Promise<KilnError> {
  const computes = await origin?.();
  const fault = (await module.getCompilationInfo()).messages.find(({ type }) => type === 'error');
  const line = fault && fault.lineNum > 0 ? code.split('\n')[fault.lineNum - 1] : undefined;
  const given = fault
    ? `${fault.message}${line === undefined ? '' : `, in line ${fault.lineNum} of the WGSL: ${line.trim()}`}`
    : message;
  return new KilnError('compile_failed', `kernel ${name}: the adapter does not take its WGSL`, {
    given: computes ? `${given}\n            computes: ${computes}` : given,
    hint: 'this is a fault of the compiled code; please report it together with the output of KILN_DUMP=dir',
  });
}
