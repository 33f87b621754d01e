import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { messageOf, OperatingError } from "../base/errors.ts";

/** Reads a query's SQL from an argument, standard input (`-`) or a file. Throws NO_SQL and FILE_NOT_READABLE. */
export async function readSql(
  argument: string | undefined,
  file: string | undefined,
  input: NodeJS.ReadStream = process.stdin,
): Promise<string> {
  if (file !== undefined && file !== "-") return readFile(file);
  if (argument === "-" || file === "-") return text(input);
  if (argument !== undefined) return argument;
  throw new OperatingError("NO_SQL", "No SQL given", {
    next_step: "Give it as one quoted argument, - for standard input, or -f FILE.",
  });
}

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new OperatingError("FILE_NOT_READABLE", `Cannot read the file ${file}: ${messageOf(error)}`, {
      next_step: "Check its name and permissions.",
      cause: error,
    });
  }
}
