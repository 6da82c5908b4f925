/** Text styles for a terminal; plain text where the output is none, or `NO_COLOR` is set. */
import { styleText } from 'node:util';

const coloured = process.stdout.isTTY === true && !process.env.NO_COLOR;

const style =
  (format: Parameters<typeof styleText>[0]) =>
  (text: string): string =>
    coloured ? styleText(format, text) : text;

export const bold = style('bold');
export const faint = style('dim');
export const accent = style('cyan');
