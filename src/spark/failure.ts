import { Code, ConnectError } from "@connectrpc/connect";
import { OperatingError, messageOf } from "../base/errors.ts";

/** What Spark itself says no to: its message begins with the condition's name in brackets (spark.apache.org/docs: error conditions). */
const CONDITION = /^(?:\([^)]*\) )?\[([A-Z0-9_.]+)\]/;
/** Codes under which a connection breaks. Spark uses some of them as well, and then says in details what it is about. */
const CONNECTION: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.Canceled,
  Code.Aborted,
  Code.Internal,
  Code.Unknown,
]);
const LINES_SHOWN = 6;

/**
 * Spark understood, and refused or failed. What it refuses by its own rules (grammar, names, types) has a condition, and is refused
 * again. Without one something below it failed: its metastore or its store is away, and said so in words of its own ("Failed to list
 * namespace", "Unable to execute HTTP request"), as do faults that no retry mends. Whoever tries again sets the bound.
 */
export class SparkRefused extends OperatingError {
  /** Spark's own name of the condition, such as TABLE_OR_VIEW_NOT_FOUND; null where it gives none. */
  readonly condition: string | null;

  constructor(doing: string, condition: string | null, message: string, cause: unknown) {
    super("SPARK_REFUSED", `Spark could not ${doing}: ${message}`, {
      next_step:
        "Spark's own words stand above; its log says more (`coinlake cluster status --native` shows where it lies).",
      is_retryable: condition === null,
      cause,
    });
    this.condition = condition;
  }
}

/** What a call that failed means. `doing` completes "Spark could not ...". */
export function sparkFailure(error: unknown, remote: string, doing: string): unknown {
  if (!(error instanceof ConnectError)) return error;
  const message = error.rawMessage.trim();
  const condition = CONDITION.exec(message)?.[1] ?? null;
  if (condition?.startsWith("INVALID_HANDLE.SESSION")) {
    return new OperatingError(
      "SPARK_SESSION_CLOSED",
      `Spark has closed the session that was to ${doing}: ${firstLines(message)}`,
      {
        next_step: "Begin a session with another id; an id that was closed is refused until the server starts anew.",
        cause: error,
      },
    );
  }
  if (error.code === Code.DeadlineExceeded) {
    return new OperatingError(
      "SPARK_TIMED_OUT",
      `Spark at ${remote} was to ${doing}, and did not answer in time; whether it has done so is not known`,
      {
        next_step:
          "Look whether it has; if not, try again. A server that never answers is started anew by `coinlake cluster down --native`, then `up`.",
        cause: error,
      },
    );
  }
  const is_connection = error.details.length === 0 && CONNECTION.has(error.code);
  return is_connection
    ? unreachable(remote, doing, message, error)
    : new SparkRefused(doing, condition, firstLines(message), error);
}

function unreachable(remote: string, doing: string, message: string, cause: unknown): OperatingError {
  return new OperatingError(
    "SPARK_UNREACHABLE",
    `Spark at ${remote}, which was to ${doing}, cannot be reached: ${firstLines(message || messageOf(cause))}`,
    {
      next_step:
        "See whether it runs (`coinlake cluster status --native`), and start it (`coinlake cluster up --native`).",
      cause,
    },
  );
}

function firstLines(message: string): string {
  return message
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, LINES_SHOWN)
    .join("\n");
}
