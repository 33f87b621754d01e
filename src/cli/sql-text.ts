import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { messageOf, OperatingError } from "../base/errors.ts";

/** The statement of a `query`: typed as an argument, on standard input (`-`), or in a file. Throws NO_SQL and FILE_NOT_READABLE. */
export async function readSql(
  argument: string | undefined,
  file: string | undefined,
  input: NodeJS.ReadStream = process.stdin,
): Promise<string> {
  if (file !== undefined && file !== "-") return readFile(file);
  if (argument === "-" || file === "-") return text(input);
  if (argument !== undefined) return argument;
  throw new OperatingError("NO_SQL", "No SQL was given", {
    next_step: "Write it as one argument in quotes; or use - for standard input, or -f FILE.",
  });
}

function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new OperatingError("FILE_NOT_READABLE", `The file ${file} cannot be read: ${messageOf(error)}`, {
      next_step: "Check its name and its permissions.",
      cause: error,
    });
  }
}
