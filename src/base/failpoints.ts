/**
 * The named steps of a record's way where a crash hurts most. The pipeline announces each; normally nobody listens. The
 * crash tests do: `COINLAKE_KILL_AT="after files:3"` ends the process with SIGKILL at the third time that step is
 * reached.
 */
export const STEPS = [
  "before append",
  "after append",
  "before files",
  "after files",
  "before pointer",
  "after pointer",
  "before acknowledgement",
  "before transform",
  "inside transform",
  "after transform",
] as const;

/** Those of table maintenance, which runs beside the pipeline or by hand. */
export const MAINTENANCE_STEPS = [
  "before rewrite",
  "after rewrite",
  "before replace",
  "after replace",
  "before expiry",
  "after expiry",
  "inside deletion",
  "before orphans",
] as const;

/** Those of `backup`, `restore` and `move`. */
export const BACKUP_STEPS = [
  "before stores",
  "inside files",
  "after stores",
  "before manifest",
  "after manifest",
  "inside cleanup",
  "inside restore",
  "inside relocation",
  "before relocation",
  "after relocation",
  "before placing",
  "after placing",
] as const;

export type Step = (typeof STEPS)[number] | (typeof MAINTENANCE_STEPS)[number] | (typeof BACKUP_STEPS)[number];
export type StepListener = (step: Step) => void;

export const noop: StepListener = () => {};

/** Kills this process, without any clean-up, at the `n`-th time `step` is reached; parses `STEP:n`. */
export function crashAt(instruction: string): StepListener {
  const [name, nth] = instruction.split(":");
  const known: readonly string[] = [...STEPS, ...MAINTENANCE_STEPS, ...BACKUP_STEPS];
  if (!known.includes(name ?? "") || !/^[1-9]\d*$/.test(nth ?? "")) {
    throw new RangeError(`COINLAKE_KILL_AT must be STEP:n with STEP one of ${known.join(", ")}; got "${instruction}"`);
  }
  let remaining = Number(nth);
  return (step) => {
    if (step !== name) return;
    remaining -= 1;
    if (remaining === 0) process.kill(process.pid, "SIGKILL");
  };
}
