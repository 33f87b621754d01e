import { hrefOf } from "../base.ts";
import type { Source, Status } from "../../src/serve/schemas/status.ts";
import { formatCount, plural } from "../format/number.ts";
import { formatAge, formatSeconds } from "../format/time.ts";
import { Dot, type Tone } from "../components/badge.tsx";
import { Missing } from "../components/figures.tsx";
import { Skeleton } from "../components/states.tsx";
import { Age, bothZones, Countdown } from "../components/time.tsx";
import { now_ms } from "../state/clock.ts";
import { stream } from "../state/events.ts";
import { stale_since_ms, status, status_error } from "../state/status.ts";

/** State of a source as a tone and a word. A source lags after half its silence limit. */
export function stateOf(source: Source, now: number): { tone: Tone; word: string } {
  const age_ms = source.last_message_at === null ? null : now - Date.parse(source.last_message_at);
  if (source.state === "ended") return { tone: "plain", word: "ended" };
  if (source.is_silent) return { tone: "bad", word: age_ms === null ? "silent" : `silent for ${formatAge(age_ms)}` };
  if (source.state === "failed") return { tone: "bad", word: "failed" };
  if (source.state === "connecting") return { tone: "warn", word: "connecting" };
  if (age_ms !== null && age_ms > source.silent_after_ms / 2) return { tone: "warn", word: "lagging" };
  return { tone: "good", word: "live" };
}

function SourceItem({ source }: { source: Source }) {
  const { tone, word } = stateOf(source, now_ms.value);
  const last =
    source.last_message_at === null
      ? "no message yet"
      : `last message ${bothZones(Date.parse(source.last_message_at))}`;
  const missed = source.missed.lost > 0 ? ` · ${plural(source.missed.lost, "message")} lost` : "";
  return (
    <span class="strip-item" title={`${source.message ?? last}${missed} · ${plural(source.reconnects, "reconnect")}`}>
      <Dot tone={tone} /> {source.source} <span class={tone === "bad" ? "strong-bad" : "muted"}>{word}</span>
      {source.missed.lost > 0 ? <span class="strong-bad"> · {formatCount(source.missed.lost)} lost</span> : null}
    </span>
  );
}

function Figure({ name, title, children }: { name: string; title: string; children: preact.ComponentChildren }) {
  return (
    <span class="strip-item" title={title}>
      <span class="muted">{name}</span> {children}
    </span>
  );
}

function Stream() {
  const state = stream.value;
  if (state.is === "open") {
    return (
      <span class="strip-item end" title="The server pushes changes to the dashboard">
        <Dot tone="good" /> <span class="muted">streaming</span>
      </span>
    );
  }
  if (state.is === "opening") return <span class="strip-item end muted">connecting …</span>;
  return (
    <span class="strip-item end" role="status">
      <Dot tone="warn" /> event stream interrupted, polling; reconnecting in <Countdown to_ms={state.retry_at_ms} />
    </span>
  );
}

const WITHOUT_SOURCES: Record<Status["lake"]["kind"], string> = {
  live: "no source running",
  simulated: "simulated source",
  replay: "replayed recording",
};

function Figures({ now }: { now: Status }) {
  const gold = now.layers.find(({ layer }) => layer === "gold");
  const commits = Math.max(0, ...now.layers.map(({ commits_last_minute }) => commits_last_minute));
  return (
    <>
      {now.sources.length === 0 ? <span class="strip-item muted">{WITHOUT_SOURCES[now.lake.kind]}</span> : null}
      {now.sources.map((source) => (
        <SourceItem key={source.source} source={source} />
      ))}
      <Figure name="newest event" title="Age of the newest accepted event, by event time">
        <Age at={now.newest_event_at} />
      </Figure>
      <Figure name="gold" title="Lag of the gold tables behind the log; the live views do not lag">
        {gold === undefined ? (
          <Missing why="no gold layer yet" />
        ) : gold.records_behind === 0 ? (
          "up to date"
        ) : (
          `${formatSeconds(gold.seconds_behind)} behind`
        )}
      </Figure>
      <Figure name="commits" title="Iceberg commits in the last minute, of the table with the most">
        <span class="figure">{commits}</span>
        <span class="unit">/min</span>
      </Figure>
      <Figure name="rejected today" title="Elements rejected by silver since 00:00 UTC; see Quality">
        <a href={hrefOf("/quality")} class="figure">
          {formatCount(now.rejected_today)}
        </a>
      </Figure>
    </>
  );
}

/** The line below the menu: state of the sources, freshness of the layers, state of the event stream. */
export function StatusStrip() {
  const now = status.value;
  const stale_since = stale_since_ms.value;
  return (
    <div class={`strip ${stale_since === null ? "" : "is-stale"}`} role="region" aria-label="Status">
      {now !== null ? (
        <Figures now={now} />
      ) : status_error.value ? (
        <span class="strip-item strong-bad">Coinlake does not respond</span>
      ) : (
        <Skeleton width="28rem" height="0.75rem" />
      )}
      {stale_since === null ? null : (
        <span class="strip-item strong-bad">
          data from <Age at={stale_since} />
        </span>
      )}
      <Stream />
    </div>
  );
}
