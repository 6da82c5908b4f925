/** What devices say when they have no room. */
import { KilnError } from '../base/error.ts';
import { formatBytes } from './format-bytes.ts';

/**
 * @param device its name
 * @param wanted bytes that were asked for
 * @param held what tensors and programs have
 * @param rest goes on with what was given
 */
export const outOfMemory = (
  device: string,
  wanted: number,
  { tensorBytes, programBytes }: { readonly tensorBytes: number; readonly programBytes: number },
  rest: string,
  expected: string | undefined,
): KilnError =>
  new KilnError('out_of_memory', `the ${device} device has no room for ${formatBytes(wanted)}`, {
    given:
      `${formatBytes(wanted)} wanted, ${formatBytes(tensorBytes)} held by tensors, ` +
      `${formatBytes(programBytes)} by programs${rest}`,
    expected,
    hint:
      'release tensors with dispose(), `using` or tidy(), or donate inputs that are not needed again; tensors that are ' +
      'garbage are only released between tasks, so a long loop must await a read now and then',
  });
