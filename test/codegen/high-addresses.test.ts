/**
 * The tests of kernels once more, with every buffer in the last pages of a memory of 4 GiB: addresses there are
 * negative as signed numbers, and nothing may count on their order or reach past the end. Pages that nobody touches
 * cost nothing.
 */
import { placeHigh } from '../support/kernel-run.ts';

placeHigh();
await import('./kernel-run.test.ts');
