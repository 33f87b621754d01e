import type { Command } from "commander";
import type { TableLayout } from "./table.ts";

export interface TableOptions {
  wide?: boolean;
  vertical?: boolean;
}

/** Adds the layout options to a command whose tables may be wider than a terminal. */
export function withTableOptions(command: Command): Command {
  return command
    .option("--wide", "do not shorten values to fit the terminal")
    .option("--vertical", "print one line per value");
}

export function layoutOf({ wide, vertical }: TableOptions): Partial<TableLayout> {
  return { ...(wide ? { width: null } : {}), ...(vertical ? { is_vertical: true } : {}) };
}
