import { findErrorBy, GenericError, UserError } from "@platformatic/kafka";
import { messageOf, OperatingError } from "../../base/errors.ts";

/** Whether a retry may succeed: brokers restart, leaders move, connections break. */
export function mayPass(error: unknown): boolean {
  return isFromClient(error) && findErrorBy(error, "canRetry", false) === null;
}

/** Whether the cluster answered with this error, named as in Kafka's protocol. */
export function isAnswer(error: unknown, api_id: string): boolean {
  return isFromClient(error) && findErrorBy(error, "apiId", api_id) !== null;
}

/** The client requests metadata first, and reports a missing topic with its own error. */
export function isUnknownTopic(error: unknown): boolean {
  return (
    isAnswer(error, "UNKNOWN_TOPIC_OR_PARTITION") ||
    (isFromClient(error) && messageOf(error).startsWith("Unknown topic"))
  );
}

export function unreachable(
  brokers: readonly string[],
  verb: string,
  waited_ms: number,
  cause: unknown,
): OperatingError {
  const seconds = (waited_ms / 1000).toFixed(waited_ms < 10_000 ? 1 : 0);
  return new OperatingError(
    "LOG_UNREACHABLE",
    `Kafka at ${brokers.join(", ")} did not ${verb} within ${seconds} s: ${reasonOf(cause)}`,
    {
      next_step:
        "Check that the broker runs (`coinlake cluster status`) and that its address is right, then try again.",
      cause,
    },
  );
}

/** An append without an answer: its records may be in the log, in part or entirely. */
export function uncertain(topic: string, waited_ms: number, cause: unknown): OperatingError {
  return new OperatingError(
    "APPEND_UNCERTAIN",
    `Kafka did not acknowledge an append to ${topic} within ${(waited_ms / 1000).toFixed(0)} s: ${reasonOf(cause)}. ` +
      "The topic may hold none, some or all of its records",
    {
      next_step:
        "Start again once the broker runs: sources go on from their last durable position, " +
        "and what is then in the log twice is counted once.",
      cause,
    },
  );
}

export function rejected(verb: string, cause: unknown): OperatingError {
  return new OperatingError("LOG_REJECTED", `Kafka rejected the request to ${verb}: ${reasonOf(cause)}`, {
    next_step:
      "Read the broker's log for the reason; " +
      "its settings and access rules must let Coinlake make, write, read and prune its topics.",
    cause,
  });
}

export function closed(): OperatingError {
  return new OperatingError("LOG_CLOSED", "The log is closed", { next_step: "Open the log again." });
}

/**
 * The root cause within the client's nested errors: the last one. The error that `close` causes during a retry is not
 * a reason, unless there is no other.
 */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) {
    const reasons = error.errors.filter((reason: unknown) => !(reason instanceof UserError));
    if (error.errors.length > 0) return reasonOf(reasons.at(-1) ?? error.errors.at(-1));
  }
  return error instanceof Error && error.cause !== undefined
    ? reasonOf(error.cause)
    : messageOf(error).replace(/\.$/, "");
}

function isFromClient(error: unknown): error is Error {
  return error instanceof Error && GenericError.isGenericError(error);
}
