/**
 * The points of the spirals, and how many of them a network gets right: plain numbers, without Kiln.
 *
 *     const { points, labels } = spirals();      // 600 points, 200 of each arm
 */
export const arms = 3;
/** Points of each arm. */
const armPoints = 200;
export const pointCount = arms * armPoints;

export interface Spirals {
  /** x and y of each point, within [-1, 1]: float32 of 2 times the number of points. */
  readonly points: Float32Array;
  /** The arm of each point. */
  readonly labels: Int32Array;
}

/** The points: each arm turns once and a quarter on its way out, with a little noise. */
export function spirals(seed = 1): Spirals {
  const next = uniform(seed);
  const points = new Float32Array(pointCount * 2);
  const labels = new Int32Array(pointCount);
  for (let i = 0; i < labels.length; i++) {
    const arm = i % arms;
    const radius = Math.floor(i / arms) / armPoints;
    // The sum of three uniform numbers is near enough to a normal one.
    const noise = (next() + next() + next() - 1.5) * 0.3;
    const angle = (arm / arms) * 2 * Math.PI + radius * 2.5 * Math.PI + noise;
    points[2 * i] = 0.95 * radius * Math.sin(angle);
    points[2 * i + 1] = 0.95 * radius * Math.cos(angle);
    labels[i] = arm;
  }
  return { points, labels };
}

/** Numbers from 0 to 1, by a linear congruential generator: the same ones on every machine. */
function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The part of the points whose likeliest arm, by `odds` float32[n, arms], is theirs. */
export function accuracyOf(odds: ArrayLike<number>, labels: Int32Array): number {
  let right = 0;
  for (let i = 0; i < labels.length; i++) {
    let best = 0;
    for (let arm = 1; arm < arms; arm++) if (odds[arms * i + arm] > odds[arms * i + best]) best = arm;
    if (best === labels[i]) right++;
  }
  return right / labels.length;
}
