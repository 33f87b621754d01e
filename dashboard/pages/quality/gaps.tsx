import { formatCount, plural } from "../../format/number.ts";
import { Badge, type Tone } from "../../components/badge.tsx";
import { Panel } from "../../components/panel.tsx";
import { Age } from "../../components/time.tsx";
import { status } from "../../state/status.ts";

const TONES: Record<string, Tone> = { open: "warn", filled: "good", lost: "bad" };

/** Gaps in the sources' sequence numbers; they are filled if the source can send the messages again. */
export function Gaps() {
  const sources = status.value?.sources ?? [];
  const gaps = sources.flatMap((source) => source.gaps.map((gap) => ({ ...gap, source: source.source })));
  const sum = (what: "open" | "filled" | "lost") => sources.reduce((total, { missed }) => total + missed[what], 0);
  const others = `${formatCount(sum("open"))} open, ${formatCount(sum("lost"))} lost`;
  const note = `${plural(sum("filled"), "message")} filled, ${others}`;
  return (
    <Panel title="Gaps" note={sources.length === 0 ? undefined : note} is_flush>
      {gaps.length === 0 ? (
        <p class="note padded">
          {sources.length === 0
            ? "No source numbers its messages, so gaps cannot be detected."
            : "No gaps: every numbered message was received."}
        </p>
      ) : (
        <div class="scroll-x" tabIndex={0} role="region" aria-label="Gaps">
          <table class="grid-table">
            <thead>
              <tr>
                <th scope="col">product</th>
                <th scope="col">ids</th>
                <th scope="col">state</th>
                <th scope="col" class="right">
                  found
                </th>
              </tr>
            </thead>
            <tbody>
              {gaps
                .toSorted((a, b) => (a.found_at < b.found_at ? 1 : -1))
                .map((gap) => (
                  <tr key={`${gap.source} ${gap.product} ${gap.first_id}`}>
                    <td>
                      {gap.product} <span class="muted">{gap.source}</span>
                    </td>
                    <td class="figure">
                      {gap.first_id}–{gap.last_id}{" "}
                      <span class="muted">({formatCount(gap.last_id - gap.first_id + 1)})</span>
                    </td>
                    <td>
                      <Badge tone={TONES[gap.state] ?? "plain"}>{gap.state}</Badge>{" "}
                      <span class="note">{gap.reason}</span>
                    </td>
                    <td class="right">
                      <Age at={gap.found_at} />
                    </td>
                  </tr>
                ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
