/** What is said of bytes that are not those that were written. */
import { KilnError } from '../../base/error.ts';

export const truncated = (given: number, expected: string): KilnError =>
  new KilnError('truncated_artefact', 'the artefact ends too early', {
    given: `${given} bytes`,
    expected,
    hint: 'copy or download it again',
  });

export const corrupt = (given: string): KilnError =>
  new KilnError('corrupt_artefact', 'the artefact is damaged', {
    given,
    expected: 'the bytes that `kiln bake` has written',
    hint: 'copy or download it again, or bake it anew',
  });
