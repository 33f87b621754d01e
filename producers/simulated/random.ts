/**
 * Randomness by address: a number depends on the seed and on its stream and indices, never on earlier draws. Any step
 * of the market can therefore be computed independently, in any order, after any restart.
 */

/**
 * Uniform in [0, 1). `stream`, `a` and `b` are integers below 2^31; equal arguments yield equal numbers on every
 * machine.
 */
export function uniform(seed: number, stream: number, a: number, b = 0): number {
  return hash(seed, stream, a, b) / 0x1_0000_0000;
}

/** Close to a standard normal (the sum of four uniforms): mean 0, variance 1, never beyond ±3.47. */
export function normal(seed: number, stream: number, a: number, b = 0): number {
  const first = hash(seed, stream, a, b);
  const second = hash(first, stream, b, a);
  const sum = (first >>> 16) + (first & 0xffff) + (second >>> 16) + (second & 0xffff);
  return (sum / 0x1_0000 - 2) * Math.sqrt(3);
}

/**
 * MurmurHash3 (x86, 32 bit) of four words: integer arithmetic only, so the result does not depend on a platform's
 * rounding.
 */
function hash(seed: number, stream: number, a: number, b: number): number {
  let h = mix(mix(mix(seed | 0, stream), a), b) ^ 16;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function mix(h: number, word: number): number {
  let k = Math.imul(word | 0, 0xcc9e_2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b87_3593);
  const mixed = h ^ k;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe654_6b64) | 0;
}
