import { page_kind } from "../base.ts";
import { sentence } from "../../src/base/explain.ts";
import { missed, stream } from "../state/events.ts";
import { status, status_error } from "../state/status.ts";
import { Age, Countdown } from "../components/time.tsx";
import { InlineCode } from "../components/inline-code.tsx";

const KINDS = {
  simulated: { word: "SIMULATED", text: "Not real data: a seeded simulation makes every record." },
  replay: { word: "REPLAY", text: "Recorded data is replayed. It is real, but not current." },
} as const;

function Kind() {
  // Of the page itself, so that the note does not move the page when the status arrives.
  const kind = status.value?.lake.kind ?? page_kind;
  if (kind !== "simulated" && kind !== "replay") return null;
  return (
    <div class="banner kind" role="note">
      <strong>{KINDS[kind].word}</strong> <span>{KINDS[kind].text}</span>
    </div>
  );
}

function Unreachable() {
  const error = status_error.value;
  const state = stream.value;
  if (error === null) return null;
  return (
    <div class="banner bad" role="alert">
      <strong>{error.status === 0 ? "Coinlake does not respond." : sentence(error.message)}</strong>{" "}
      <span>
        You are seeing the last data received. <InlineCode text={error.next_step} />
        {state.is === "cut" ? (
          <>
            {" "}
            Next retry in <Countdown to_ms={state.retry_at_ms} />.
          </>
        ) : null}
      </span>
    </div>
  );
}

function Problems() {
  const now = status.value;
  if (now === null || now.problems.length === 0) return null;
  return (
    <div class="banner warn" role="status">
      {now.problems.map(({ code, message }) => (
        <span key={code}>
          <code>{code}</code> {message}
        </span>
      ))}
    </div>
  );
}

function Missed() {
  const gap = missed.value;
  if (gap === null) return null;
  return (
    <div class="banner warn" role="status">
      <span>
        Some updates to the dashboard were missed <Age at={gap.noticed_at_ms} /> ; it has reloaded the current state.
        The lake itself has all records.
      </span>
      <button type="button" class="button small" onClick={() => (missed.value = null)}>
        Dismiss
      </button>
    </div>
  );
}

/** Notes about the data's kind, failures and missed updates, above every page. */
export function Banners() {
  return (
    <section aria-label="Notes">
      <Kind />
      <Unreachable />
      <Problems />
      <Missed />
    </section>
  );
}
