/** A finding of `repair` and its repair. */
export interface RepairItem {
  /** `layer.table`; null if the finding is about the lake. */
  table: string | null;
  /** Location of a file of the table, or path of a file of the lake; null if several are affected. */
  file: string | null;
  /** The damage, without a final period. */
  problem: string;
  /** The repair; if none is possible, the backup or the consent that it requires. */
  action: string;
  outcome: "planned" | "repaired" | "impossible";
}

const COINLAKE = "npm run -s coinlake --";

export const ACCEPT_LOSS = `\`${COINLAKE} repair --apply --accept-loss\``;
export const FROM_BACKUP = `\`${COINLAKE} repair --apply --from DIR\``;

export function planned(item: Omit<RepairItem, "outcome">): RepairItem {
  return { ...item, outcome: "planned" };
}

export function impossible(item: Omit<RepairItem, "outcome">): RepairItem {
  return { ...item, outcome: "impossible" };
}
