import { Code, ConnectError } from "@connectrpc/connect";
import { OperatingError, messageOf } from "../base/errors.ts";

/** Prefix of Spark's own errors: the condition's name in brackets (spark.apache.org/docs: error conditions). */
const CONDITION = /^(?:\([^)]*\) )?\[([A-Z0-9_.]+)\]/;
/** Codes of a broken connection. Spark uses some of them too, and then adds details with the subject. */
const CONNECTION: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.Canceled,
  Code.Aborted,
  Code.Internal,
  Code.Unknown,
]);
const LINES_SHOWN = 6;

/**
 * Spark received the request, and rejected it or failed. Errors under Spark's own rules (grammar, names, types) have a
 * condition, and a retry fails again. Without a condition, a component below Spark failed: its metastore or its store
 * is unavailable, with a message such as "Failed to list namespace" or "Unable to execute HTTP request". Permanent
 * faults can look the same, so the caller limits the retries.
 */
export class SparkRejected extends OperatingError {
  /** Spark's name of the condition, such as TABLE_OR_VIEW_NOT_FOUND; null where it gives none. */
  readonly condition: string | null;

  constructor(doing: string, condition: string | null, message: string, cause: unknown) {
    super("SPARK_REJECTED", `Spark could not ${doing}: ${message}`, {
      next_step:
        "Spark's own words stand above; its log says more (`coinlake cluster status --native` shows where it lies).",
      is_retryable: condition === null,
      cause,
    });
    this.condition = condition;
  }
}

/** Maps the error of a failed call. `doing` completes "Spark could not ...". */
export function sparkFailure(error: unknown, remote: string, doing: string): unknown {
  if (!(error instanceof ConnectError)) return error;
  const message = error.rawMessage.trim();
  const condition = CONDITION.exec(message)?.[1] ?? null;
  if (condition?.startsWith("INVALID_HANDLE.SESSION")) {
    return new OperatingError(
      "SPARK_SESSION_CLOSED",
      `Spark has closed the session that was to ${doing}: ${firstLines(message)}`,
      {
        next_step: "Begin a session with another id; a closed id is rejected until the server is restarted.",
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
          "Look whether it has; if not, try again. If the server never answers, restart it: " +
          "`coinlake cluster down --native`, then `up`.",
        cause: error,
      },
    );
  }
  const is_connection = error.details.length === 0 && CONNECTION.has(error.code);
  return is_connection
    ? unreachable(remote, doing, message, error)
    : new SparkRejected(doing, condition, firstLines(message), error);
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
