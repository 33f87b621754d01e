/** The environment variable that `npm run -s test:whole` sets. */
export const WHOLE = "COINLAKE_TEST_WHOLE";

/**
 * Whether tests repeat what `npm test` samples: whole recordings in place of some days, and every kind of damage in
 * place of one for each kind of repair.
 */
export const is_whole = process.env[WHOLE] === "1";
