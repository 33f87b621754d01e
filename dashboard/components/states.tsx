import type { ComponentChildren } from "preact";
import { sentence } from "../../src/base/explain.ts";
import type { ApiError } from "../state/api.ts";
import type { Resource, ResourceHandle } from "../state/resource.ts";
import { invalidTime, setParameters } from "../router.ts";
import { Age, Countdown } from "./time.tsx";
import { InlineCode } from "./inline-code.tsx";

/** Placeholder of the size of the content that is loading. */
export function Skeleton({ width = "100%", height = "1em" }: { width?: string; height?: string }) {
  return <span class="skeleton" aria-hidden="true" style={{ width, height }} />;
}

/** Placeholder rows of a table that is loading; `classes` are those of its columns. */
export function SkeletonRows({ rows, classes }: { rows: number; classes: readonly string[] }) {
  return (
    <>
      {Array.from({ length: rows }, (_, row) => (
        <tr key={row} aria-hidden="true">
          {classes.map((name, column) => (
            <td key={name} class={name}>
              <Skeleton width={`${45 + ((row * 7 + column * 13) % 40)}%`} />
            </td>
          ))}
        </tr>
      ))}
    </>
  );
}

/** An empty state: what will appear here, and when. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children ? <p>{children}</p> : null}
    </div>
  );
}

/** A note that the URL's lake time is invalid. */
export function InvalidTime() {
  const text = invalidTime.value;
  if (text === null) return null;
  return (
    <div class="banner warn" role="alert">
      <span>
        Invalid time “{text.slice(0, 60)}” in the URL: use ISO 8601, such as 2026-01-31T12:00:00Z. You are seeing the
        current state.
      </span>
      <button type="button" class="button small" onClick={() => setParameters({ at: null })}>
        Dismiss
      </button>
    </div>
  );
}

interface FailureProps {
  /** What could not be loaded, as the subject of a sentence; `title` replaces the sentence. */
  what?: string;
  title?: string;
  error: ApiError;
  retry_at_ms?: number | null;
  still?: string | null;
  retry?: () => void;
}

/** An error: what failed, the next step, and when it is retried. */
export function Failure({
  what = "This",
  title = `${what} could not be loaded.`,
  error,
  retry_at_ms = null,
  still = null,
  retry,
}: FailureProps) {
  return (
    <div class="failure" role="alert">
      <p>
        <strong>{title}</strong> {sentence(error.message)}
      </p>
      <p class="muted">
        <InlineCode text={error.next_step} /> {still}
      </p>
      <p class="failure-foot">
        <code>{error.code}</code>
        {retry_at_ms === null ? null : (
          <span>
            next retry in <Countdown to_ms={retry_at_ms} />
          </span>
        )}
        {retry ? (
          <button type="button" class="button small" onClick={retry}>
            Retry now
          </button>
        ) : null}
      </p>
    </div>
  );
}

interface LoadedProps<T> {
  what: string;
  resource: ResourceHandle<T>;
  skeleton: ComponentChildren;
  children: (value: T) => ComponentChildren;
}

/** Shows a resource: its skeleton, its error or its value; if a refresh failed, the age of the value. */
export function Loaded<T>({ what, resource, skeleton, children }: LoadedProps<T>) {
  const { value, error, retry_at_ms, loaded_at_ms }: Resource<T> = resource.state.value;
  const retry = () => resource.reload();
  if (value === null)
    return error ? <Failure what={what} error={error} retry_at_ms={retry_at_ms} retry={retry} /> : <>{skeleton}</>;
  return (
    <>
      {error === null ? null : (
        <div class="stale-note" role="status">
          {what} was last updated <Age at={loaded_at_ms} />: {sentence(error.message)}{" "}
          {retry_at_ms === null ? null : (
            <>
              Next retry in <Countdown to_ms={retry_at_ms} />.
            </>
          )}
        </div>
      )}
      <div class={error === null ? "loaded" : "loaded stale"}>{children(value)}</div>
    </>
  );
}
