import { OperatingError } from "../src/base/errors.ts";

/** Parses the seed of `--source simulated:SEED`; 1 without one. Throws INVALID_SEED. */
export function seedOf(argument: string | null): number {
  if (argument === null) return 1;
  if (/^\d{1,9}$/.test(argument)) return Number(argument);
  throw new OperatingError("INVALID_SEED", `Invalid seed "${argument}" for the simulated source`, {
    next_step: "Use a whole number of at most nine digits, such as --source simulated:42.",
  });
}
