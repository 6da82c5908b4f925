/**
 * Pieces of HTML and SVG as text. Whatever comes from a program or a user's source passes through `escapeHtml`.
 *
 *     escapeHtml('a < b & "c"')            // 'a &lt; b &amp; &quot;c&quot;'
 *     formatBytes(1536)                // '1.5 KiB'
 */

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as the content of an element or of a quoted attribute; characters that XML forbids are replaced. */
export const escapeHtml = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is replaced
  text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '\ufffd').replace(/[&<>"']/g, (c) => entities[c]);

/** JSON that may stand in a script element. */
export const scriptJson = (value: unknown): string =>
  JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** At most `limit` characters, the last a mark of what is missing. */
export const truncate = (text: string, limit: number): string =>
  text.length > limit ? `${text.slice(0, Math.max(0, limit - 1))}…` : text;

/** A coordinate with one decimal. */
export const coordinate = (value: number): string => String(Math.round(value * 10) / 10);

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const thousands = ['', ' k', ' M', ' G', ' T', ' P'];

/** `12.3 M`. */
export function formatCount(count: number): string {
  let [value, step] = [count, 0];
  while (value >= 1000 && step < thousands.length - 1) [value, step] = [value / 1000, step + 1];
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}${thousands[step]}`;
}

export const formatMs = (milliseconds: number): string =>
  milliseconds >= 1
    ? `${milliseconds.toFixed(milliseconds >= 100 ? 0 : 2)} ms`
    : `${(milliseconds * 1000).toFixed(1)} µs`;

/** `1 kernel`, `2 kernels`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
