import { missed, stream } from "../state/events.ts";
import { status, status_error } from "../state/status.ts";
import { Age, Countdown } from "../components/time.tsx";
import { Words } from "../components/inline-code.tsx";

const KINDS = {
  simulated: { word: "SIMULATED", text: "Not real market data: a seeded random walk makes every price." },
  replay: { word: "REPLAY", text: "Recorded prices are played again. They are real, and not of today." },
} as const;

function Kind() {
  const kind = status.value?.lake.kind;
  if (kind === undefined || kind === "live") return null;
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
      <strong>{error.status === 0 ? "Coinlake does not answer." : error.message}</strong>{" "}
      <span>
        You are seeing the last data received. <Words text={error.next_step} />
        {state.is === "cut" ? (
          <>
            {" "}
            Next try in <Countdown to_ms={state.retry_at_ms} />.
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
        Some updates to this page were missed <Age at={gap.noticed_at_ms} /> and are lost; the page has loaded the
        current state. The lake itself missed nothing.
      </span>
      <button type="button" class="button small" onClick={() => (missed.value = null)}>
        Dismiss
      </button>
    </div>
  );
}

/** What a viewer must know before believing a number, above all numbers. */
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
