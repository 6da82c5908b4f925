/** Arguments for measurements of functions of two float32: pairs of several kinds, the same in every run. */

/** A small generator with a fixed seed (Steele and Vigna's SplitMix32 variant), so that runs can be repeated. */
export function randomBits(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let bits = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
    return (bits ^ (bits >>> 15)) >>> 0;
  };
}

/**
 * Pairs of four kinds: any bits, results of any finite size for a power, ordinary numbers, integers.
 * @param kind 0 to 3
 */
export function fillPairs(x: Float32Array, y: Float32Array, kind: number, random: () => number): void {
  const uniform = (): number => random() / 2 ** 32;
  const xBits = new Uint32Array(x.buffer, x.byteOffset, x.length);
  const yBits = new Uint32Array(y.buffer, y.byteOffset, y.length);
  for (let i = 0; i < x.length; i++) {
    if (kind === 0) {
      xBits[i] = random();
      yBits[i] = random();
    } else if (kind === 1) {
      x[i] = 2 ** (uniform() * 250 - 125);
      y[i] = ((uniform() * 2 - 1) * 150) / Math.log2(x[i]);
    } else if (kind === 2) {
      x[i] = uniform() * 4 - 2;
      y[i] = uniform() * 4 - 2;
    } else {
      x[i] = Math.round(uniform() * 40 - 20);
      y[i] = Math.round(uniform() * 40 - 20);
    }
  }
}
