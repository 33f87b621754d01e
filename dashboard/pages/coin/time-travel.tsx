import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { SnapshotDetail } from "../../../src/serve/schemas/tables.ts";
import type { Page } from "../../../src/serve/schemas/values.ts";
import { formatCount, plural } from "../../format/number.ts";
import { formatRows } from "../../format/snapshot.ts";
import { formatNear, zoneName } from "../../format/time.ts";
import { Loaded, Skeleton } from "../../components/states.tsx";
import { Age, Moment } from "../../components/time.tsx";
import { now_ms } from "../../state/clock.ts";
import { useResource } from "../../state/resource.ts";
import { zone } from "../../state/settings.ts";

const REFRESH_MS = 15_000;
const SETTLE_MS = 200;
const WIDTH = 1000;

interface TravelProps {
  table: string;
  /** Lake time shown; null for now. */
  at: string | null;
  travel: (at: string | null) => void;
}

/** A slider over a table's snapshots by lake time; moving it selects the snapshot to read. */
export function TimeTravel({ table, at, travel }: TravelProps) {
  const snapshots = useResource<Page<SnapshotDetail>>(`/api/tables/${table}/snapshots?limit=1000`, REFRESH_MS);
  return (
    <Loaded what="The list of snapshots" resource={snapshots} skeleton={<Skeleton height="3.5rem" />}>
      {({ items }) => (
        <Slider table={table} snapshots={items.filter(({ was_current }) => was_current)} at={at} travel={travel} />
      )}
    </Loaded>
  );
}

interface SliderProps extends TravelProps {
  /** Newest first. */
  snapshots: readonly SnapshotDetail[];
}

function Slider({ table, snapshots, at, travel }: SliderProps) {
  const held = useSignal<number | null>(null);
  const now = now_ms.value;
  const oldest = snapshots.at(-1);
  const from_ms = oldest === undefined ? now - 1000 : Date.parse(oldest.committed_at);
  const at_ms = held.value ?? (at === null ? now : Date.parse(at));
  const in_force = snapshots.find(({ committed_at }) => Date.parse(committed_at) <= at_ms);
  useEffect(() => {
    if (held.value === null) return undefined;
    const wait = setTimeout(() => {
      const is_now = (held.peek() ?? now) >= now - 1000;
      travel(is_now ? null : new Date(held.peek() ?? now).toISOString());
      held.value = null;
    }, SETTLE_MS);
    return () => clearTimeout(wait);
  }, [held.value]);
  if (oldest === undefined) return <p class="note">No commit to {table} yet, so there is no earlier state.</p>;
  /** Arrow keys step from commit to commit, because the state does not change in between. */
  const onKeyDown = (event: KeyboardEvent) => {
    const is_back = event.key === "ArrowLeft" || event.key === "ArrowDown";
    if (!is_back && event.key !== "ArrowRight" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const times = snapshots.map(({ committed_at }) => Date.parse(committed_at));
    const next = is_back
      ? times.find((time) => time < (in_force && at !== null ? Date.parse(in_force.committed_at) : at_ms))
      : times.findLast((time) => time > at_ms);
    held.value = next ?? (is_back ? from_ms : now);
  };
  const x = (time_ms: number) => (WIDTH * (time_ms - from_ms)) / Math.max(1, now - from_ms);
  return (
    <div class={`travel ${at === null && held.value === null ? "" : "is-travelling"}`}>
      <div class="travel-track">
        <svg class="notches" viewBox={`0 0 ${WIDTH} 16`} preserveAspectRatio="none" aria-hidden="true">
          {snapshots.map((snapshot) => (
            <line
              key={snapshot.snapshot_id}
              x1={x(Date.parse(snapshot.committed_at))}
              x2={x(Date.parse(snapshot.committed_at))}
              y1={snapshot.operation === "append" ? 6 : 0}
              y2="16"
              class={snapshot.operation}
            />
          ))}
        </svg>
        <input
          type="range"
          aria-label={`Lake time, over ${plural(snapshots.length, "snapshot")} of ${table}`}
          aria-valuetext={at === null ? "now" : formatNear(at_ms, now, zone.value)}
          min={from_ms}
          max={now}
          step={1000}
          value={at_ms}
          onInput={(event) => (held.value = Number(event.currentTarget.value))}
          onKeyDown={onKeyDown}
        />
        <div class="travel-ends muted">
          <Moment at={oldest.committed_at} />
          <span>lake time, {zoneName(zone.value, now)}</span>
          <span>now</span>
        </div>
      </div>
      <CurrentSnapshot snapshot={in_force} is_now={at === null && held.value === null} />
    </div>
  );
}

function CurrentSnapshot({ snapshot, is_now }: { snapshot: SnapshotDetail | undefined; is_now: boolean }) {
  if (snapshot === undefined) return <p class="note">The table had no snapshot at that time.</p>;
  return (
    <p class="travel-facts">
      {is_now ? "Newest snapshot" : "Snapshot read"} <code>{snapshot.snapshot_id}</code> · {snapshot.operation} by{" "}
      {snapshot.committer} at <Moment at={snapshot.committed_at} with_zone /> (
      <Age at={snapshot.committed_at} />)
      {[formatRows(snapshot), snapshot.total_rows === null ? null : `${formatCount(snapshot.total_rows)} in total`]
        .flatMap((part) => (part === null ? [] : [` · ${part}`]))
        .join("")}
    </p>
  );
}
