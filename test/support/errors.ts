/** What a call throws: `expect(codeOf(() => compile(3)))` is `'invalid_argument'`. */
import { KilnError } from '../../base/error.ts';

/** The error of a call that must fail. Anything else that it throws is thrown on. */
export function errorOf(body: () => unknown): KilnError {
  try {
    body();
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

export const codeOf = (body: () => unknown): string => errorOf(body).code;

/** The error that a call throws or rejects with, and must. Anything else that it throws is thrown on. */
export async function rejectionOf(body: () => unknown): Promise<KilnError> {
  try {
    await body();
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
