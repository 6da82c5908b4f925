/**
 * Coefficients of the functions that both targets compute themselves: minimax fits (Remez exchange), constant term
 * first, some moved a little to where the largest error of the whole function, rounding included, is least. How they
 * are used is told where they are: `codegen/wasm/math`, `codegen/wgsl/math`.
 */

/** ln 2 to 16 bits, so that products with small integers are exact, and the rest. */
export const ln2High = 0.693145751953125;
export const ln2Low = Math.LN2 - ln2High;

/** (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2; the error relative to e^r is below 2^-28.2. */
export const exponentialTail = [
  0.49999993432102485, 0.16666520399396345, 0.041668390793408616, 0.008368745075307847, 0.0013814539520469306,
] as const;

/** The same, with the error relative to e^r - 1 below 2^-26.1. */
export const minusOneTail = [
  0.49999998149603164, 0.1666654342446823, 0.04166720071741085, 0.008366547107273296, 0.0013882516079966479,
] as const;

/** tanh(w) / w as a polynomial in w^2 on |w| <= ln(2) / 4; relative error about 2^-24. */
export const tanhOverW = [1, -0.333310187, 0.131] as const;

/** q(x) / x - 1, where `erf(x) = 1 - e^-q` for x >= 0: the error is weighted by its effect on the result. */
export const erfExponentTail = [
  0.12837916612625122, 0.636619508266449, 0.10277766734361649, -0.01915302313864231, -0.0001603893470019102,
  0.0016670190962031484, -0.000632831419352442, 0.00011763953079935163, -9.256046723749023e-6,
] as const;

/** (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2, moved together with the coefficients of q. */
export const erfMinusOneTail = [
  0.4999999701976776, 0.1666652262210846, 0.04166751727461815, 0.008366533555090427, 0.0013882516650483012,
] as const;

/**
 * R(z) / z in `log(1 + f) = f - f^2 / 2 + s (f^2 / 2 + R(s^2))`, s = f / (2 + f), 1 + f between sqrt(1/2) and sqrt(2);
 * the error relative to the logarithm is below 2^-30.
 */
export const logTail = [0.6666677671681238, 0.39977495573638994, 0.2987307382353456] as const;

/** The bits of sqrt(1/2): subtracted from those of a number, they leave its exponent k in the upper nine bits. */
export const sqrtHalfBits = 0x3f3504f3;

/** log2(m) / s as a polynomial in s^2, s = (m - 1) / (m + 1), m as above; relative error below 2^-44. */
export const log2OverS = [
  2.885390081777849, 0.9617966941149177, 0.5770779418962102, 0.41220930082945123, 0.3199036650080258,
  0.2829298220434414,
] as const;

/** 2^f on |f| <= 1/2; relative error below 2^-29. */
export const exp2 = [
  1.000000000554169, 0.6931472057372016, 0.240226468906349, 0.05550328777116744, 0.009618488957275618,
  0.0013399931162930657, 0.00015345811883312694,
] as const;

/** (sin(r) - r) / r^3 as a polynomial in r^2 on |r| <= pi/4; error relative to the sine below 2^-27.9. */
export const quarterSineTail = [-0.16666654536604417, 0.008332156052166018, -0.00019514631668513297] as const;

/** cos(r) as a polynomial in r^2 on |r| <= pi/4; relative error below 2^-32. */
export const quarterCosine = [1, -0.5, 0.041666645554497124, -0.0013887309867696063, 2.443241308699574e-5] as const;

/**
 * (sin(r) - r) / r^3 as a polynomial in r^2 on |r| <= pi/2; error relative to the sine below 2^-27, moved a little so
 * that the cosine of 0 is 1.
 */
export const halfSineTail = [-0.166666597, 0.00833306275, -0.000198093461, 2.60530214e-6] as const;

/** pi in parts so short that products with integers of 13 bits are exact. All are positive. */
export const piInShortParts = [3.140625, 9.675025939941406e-4, 1.5099067240953445e-7, 5.126688136514179e-12] as const;

/** (atan(a) - a) / a^3 as a polynomial in a^2 on [0, 1]; error relative to atan(a) below 2^-28.5. */
export const atanTail = [
  -0.33333299089496193, 0.1999854829590005, -0.14264241808888264, 0.10952186467623695, -0.08403452387808873,
  0.05795762920511025, -0.031177881584215604, 0.010914625005156104, -0.0017936260237931447,
] as const;

/** pi/2 as a float32, and the relative error of that: what is left is added before multiples of pi/2. */
export const halfPi = Math.fround(Math.PI / 2);
export const halfPiRest = (Math.PI / 2 - halfPi) / halfPi;
