/**
 * Failpoints of the pipeline: the steps at which a crash would do most damage. The crash tests set
 * `COINLAKE_KILL_AT="after files:3"`, which ends the process with SIGKILL when it reaches the step for the third time.
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

/** Failpoints of table maintenance. */
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

/** Failpoints of `backup`, `restore` and `move`. */
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

/**
 * Parses `STEP:n` into a listener that kills this process, without clean-up, when it reaches the step for the n-th
 * time.
 */
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
