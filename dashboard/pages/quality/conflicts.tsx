import { trimDecimal } from "../../../src/pipeline/decimal-text.ts";
import type { Conflict, Conflicts as FoundConflicts } from "../../../src/serve/schemas/conflicts.ts";
import { formatCount } from "../../format/number.ts";
import { Panel } from "../../components/panel.tsx";
import { Loaded, Skeleton } from "../../components/states.tsx";
import { Moment } from "../../components/time.tsx";
import { useResource } from "../../state/resource.ts";

const REFRESH_MS = 10_000;

/** Duplicates whose values differ from the accepted row, which is the first in the log. */
export function Conflicts() {
  const conflicts = useResource<FoundConflicts>("/api/quality/conflicts", REFRESH_MS);
  return (
    <Panel title="Conflicting duplicates" note="the first in the log is accepted" is_flush>
      <Loaded what="The list of conflicts" resource={conflicts} skeleton={<Skeleton height="6rem" />}>
        {({ total, items }) => {
          if (total === 0) return <p class="note padded">Every duplicate has the same values as the accepted row.</p>;
          return <Listed total={total} items={items} />;
        }}
      </Loaded>
    </Panel>
  );
}

function Listed({ total, items }: FoundConflicts) {
  return (
    <>
      <p class="note padded">
        {formatCount(total)} {total === 1 ? "duplicate differs" : "duplicates differ"} from the accepted row of the same
        event
        {items.length < total ? `; the newest ${items.length}:` : ":"}
      </p>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Conflicting duplicates">
        <table class="grid-table conflicts">
          <thead>
            <tr>
              <th scope="col">event</th>
              <th scope="col">accepted ≠ duplicate values</th>
              <th scope="col" class="right">
                received
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((conflict) => (
              <Row key={`${conflict.partition}/${conflict.offset}/${conflict.element_index}`} conflict={conflict} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Row({
  conflict: { identity, subject, ingested_at, partition, offset, element_index, differences },
}: {
  conflict: Conflict;
}) {
  return (
    <tr title={`partition ${partition}, offset ${offset}, element ${element_index}`}>
      <td>
        {subject} <span class="muted">{identity}</span>
      </td>
      <td class="figure">
        {differences.map(({ column, accepted, repeated }) => (
          <div key={column}>
            <span class="muted">{column.replaceAll("_", " ")}</span> {shown(accepted)} ≠ {shown(repeated)}
          </div>
        ))}
      </td>
      <td class="right">
        <Moment at={ingested_at} />
      </td>
    </tr>
  );
}

/** Formats a value without trailing zeros. */
function shown(value: string | null): string {
  return value === null ? "none" : trimDecimal(value);
}
