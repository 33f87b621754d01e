import { formatMoment, zoneName } from "../../format/time.ts";
import { now_ms } from "../../state/clock.ts";
import { zone } from "../../state/settings.ts";

interface LakeTimeProps {
  at: string | null;
  choose: (at: string | null) => void;
}

const PRESETS = [
  { name: "10 min ago", ago_ms: 600_000 },
  { name: "1 h ago", ago_ms: 3_600_000 },
  { name: "24 h ago", ago_ms: 86_400_000 },
] as const;

// A text input rather than `datetime-local`, which formats times by the machine's locale.

/** Chooses the lake time of a query: now, or a past time. */
export function LakeTime({ at, choose }: LakeTimeProps) {
  const shown = at === null ? "" : formatMoment(Date.parse(at), zone.value);
  const read = (input: HTMLInputElement): void => {
    const text = input.value.trim().replace(" ", "T");
    const at_ms = Date.parse(zone.value === "utc" ? `${text.length === 10 ? `${text}T00:00:00` : text}Z` : text);
    const is_time = text === "" || !Number.isNaN(at_ms);
    input.setCustomValidity(is_time ? "" : "Invalid time: use the format 2026-01-31 12:00:00");
    if (is_time) choose(text === "" ? null : new Date(at_ms).toISOString());
    else input.reportValidity();
  };
  return (
    <span class={`lake-time ${at === null ? "" : "is-travelling"}`}>
      <label>
        <span class="muted">lake time, {zoneName(zone.value, now_ms.value)}</span>
        <input type="text" placeholder="now" value={shown} onChange={(event) => read(event.currentTarget)} />
      </label>
      <select
        aria-label="Lake time presets"
        value={at === null ? "now" : "then"}
        onChange={(event) => {
          const preset = PRESETS.find(({ name }) => name === event.currentTarget.value);
          choose(preset ? new Date(now_ms.peek() - preset.ago_ms).toISOString() : null);
        }}
      >
        <option value="now">now</option>
        {at === null ? null : <option value="then">custom</option>}
        {PRESETS.map(({ name }) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </span>
  );
}
