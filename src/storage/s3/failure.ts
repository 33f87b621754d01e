import { OperatingError, messageOf } from "../../base/errors.ts";
import { textIn } from "./xml.ts";

/** Statuses of temporary errors: the same request may succeed a moment later. */
const PASSING_STATUSES = new Set([429, 500, 502, 503, 504]);
/** S3 conditional writes: another write of the same key was in progress, and this one had no effect. */
const WRITE_CONFLICT = "ConditionalRequestConflict";

/** An error response of S3. Error bodies repeat request headers, so only code and message are shown. */
export interface Rejection {
  status: number;
  code: string;
  message: string;
}

/** The body is empty for HEAD. */
export function rejectionOf(status: number, body: string): Rejection {
  return {
    status,
    code: textIn(body, "Code") ?? `HTTP ${status}`,
    message: textIn(body, "Message") ?? "no further word",
  };
}

export function isPassing({ status, code }: Rejection): boolean {
  return PASSING_STATUSES.has(status) || code === WRITE_CONFLICT || code === "RequestTimeout";
}

export function isPreconditionFailed({ status }: Rejection): boolean {
  return status === 412;
}

export function rejectedError(verb: string, location: string, rejection: Rejection): OperatingError {
  const { status, code, message } = rejection;
  const cannot = `Could not ${verb} ${location}: S3 answered ${code} (${message})`;
  if (code === "NoSuchBucket") {
    return new OperatingError("BUCKET_NOT_FOUND", cannot, {
      next_step: "Create the bucket, or correct the warehouse's location.",
    });
  }
  if (status === 404) {
    return new OperatingError("FILE_NOT_FOUND", `There is no file ${location}`, {
      next_step: "Check the location's spelling; a file of a table has to be restored from a copy.",
    });
  }
  if (status === 401 || status === 403) {
    return new OperatingError("STORAGE_DENIED", cannot, {
      next_step:
        "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and this machine's clock, " +
        "and what the key may do with the bucket.",
    });
  }
  if (status === 507 || /StorageFull|QuotaExceeded/.test(code)) {
    return new OperatingError("STORAGE_FULL", cannot, {
      next_step: "Free space in the object store, then try again.",
    });
  }
  return new OperatingError("STORAGE_FAILED", cannot, {
    next_step: "See what the object store's log says.",
    is_retryable: isPassing(rejection),
  });
}

export function fileExistsError(location: string): OperatingError {
  return new OperatingError("FILE_EXISTS", `${location} exists, and files are never overwritten`, {
    next_step: "Choose another name.",
  });
}

export function fileChangedError(location: string): OperatingError {
  return new OperatingError("FILE_CHANGED", `${location} was replaced while it was read`, {
    next_step: "Read it again when no process writes to it.",
  });
}

/** No answer: no connection, a broken connection, or a timeout. A write may still have succeeded. */
export function unreachableError(verb: string, location: string, endpoint: string, error: unknown): OperatingError {
  const reason = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
  return new OperatingError(
    "STORAGE_UNREACHABLE",
    `Could not ${verb} ${location}: ${endpoint} gave no answer (${reason})`,
    {
      next_step: "Check that the object store runs and that AWS_ENDPOINT_URL is its address, then try again.",
      cause: error,
    },
  );
}
