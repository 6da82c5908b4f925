/** What the functions of the artefact are called with. It stays as it is, as the artefact does. */

/** Numbers that every engine rounds alike. */
export const numbers = (count: number, step: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => ((i * step) % 101) / 101 - 0.5);

export const labelsOf = (rows: number): Int32Array => Int32Array.from({ length: rows }, (_, i) => (i * 7) % 3);
