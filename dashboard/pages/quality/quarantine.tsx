import { useSignal } from "@preact/signals";
import type { Quality, RejectedElement } from "../../../src/serve/schemas/quality.ts";
import type { Page } from "../../../src/serve/schemas/values.ts";
import { formatCount, plural } from "../../format/number.ts";
import { Panel } from "../../components/panel.tsx";
import { Empty, Loaded, Skeleton } from "../../components/states.tsx";
import { Age, Moment } from "../../components/time.tsx";
import { parameters, setParameters } from "../../router.ts";
import { ApiError, get, pathOf } from "../../state/api.ts";
import { useResource } from "../../state/resource.ts";
import { formatJson } from "../log/json.ts";
import { describeReason } from "./reasons.ts";

const PAGE = 25;
const REFRESH_MS = 10_000;

/** Elements rejected by silver: counts by reason, and each element as received. */
export function Quarantine({ figures }: { figures: Quality }) {
  const reason = parameters.value.get("reason");
  const total = figures.rejected.reduce((sum, { count }) => sum + count, 0);
  if (figures.rejected.length === 0) {
    return (
      <Panel title="Quarantine">
        <Empty title="No rejected elements">
          Invalid elements are stored here with a reason: late or future events, invalid values, truncated messages.
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel title="Quarantine" note={`${formatCount(total)} elements, by reason`} is_flush>
      <div class="quarantine">
        <ol class="reasons">
          <li>
            <Reason
              name="all reasons"
              count={total}
              total={total}
              last_at={null}
              is_chosen={reason === null}
              choose={() => setParameters({ reason: null })}
            />
          </li>
          {figures.rejected.map((one) => (
            <li key={one.reason}>
              <Reason
                name={one.reason}
                count={one.count}
                total={total}
                last_at={one.last_at}
                is_chosen={reason === one.reason}
                choose={() => setParameters({ reason: one.reason })}
              />
            </li>
          ))}
        </ol>
        <Elements key={reason ?? ""} reason={reason} />
      </div>
    </Panel>
  );
}

interface ReasonProps {
  name: string;
  count: number;
  total: number;
  last_at: string | null;
  is_chosen: boolean;
  choose: () => void;
}

function Reason({ name, count, total, last_at, is_chosen, choose }: ReasonProps) {
  return (
    <button type="button" class="reason" aria-pressed={is_chosen} title={describeReason(name)} onClick={choose}>
      <span class="reason-head">
        <span>{name.replaceAll("_", " ")}</span>
        <span class="figure">{formatCount(count)}</span>
      </span>
      <span class="reason-bar" aria-hidden="true">
        <span style={{ width: `${(100 * count) / Math.max(1, total)}%` }} />
      </span>
      <span class="note">
        {last_at === null ? (
          " "
        ) : (
          <>
            last <Age at={last_at} />
          </>
        )}
      </span>
    </button>
  );
}

function Elements({ reason }: { reason: string | null }) {
  const older = useSignal<readonly RejectedElement[]>([]);
  const cursor = useSignal<string | null | undefined>(undefined);
  const path = pathOf("/api/quality/rejected", { reason, limit: PAGE });
  // The list does not refresh while older elements are shown.
  const elements = useResource<Page<RejectedElement>>(path, older.value.length > 0 ? null : REFRESH_MS);
  const loadOlder = async (next: string) => {
    try {
      const page = await get<Page<RejectedElement>>(
        pathOf("/api/quality/rejected", { reason, limit: PAGE, cursor: next }),
      );
      older.value = [...older.value, ...page.items];
      cursor.value = page.next;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  };
  return (
    <div class="elements">
      <Loaded what="The rejected elements" resource={elements} skeleton={<Skeleton height="24rem" />}>
        {({ items, next }) => {
          const more = cursor.value === undefined ? next : cursor.value;
          return (
            <>
              <ol>
                {[...items, ...older.value].map((element) => (
                  <li key={`${element.partition}/${element.offset}/${element.element_index}`}>
                    <Element element={element} />
                  </li>
                ))}
              </ol>
              {more === null ? null : (
                <p class="more">
                  <button type="button" class="button small" onClick={() => void loadOlder(more)}>
                    Older elements
                  </button>
                </p>
              )}
            </>
          );
        }}
      </Loaded>
    </div>
  );
}

function Element({ element }: { element: RejectedElement }) {
  const { reason, source, subject, ingested_at, partition, offset, element_index } = element;
  return (
    <details>
      <summary>
        <Moment at={ingested_at} /> <span class="reason-word">{reason.replaceAll("_", " ")}</span>{" "}
        <span class="muted">
          {subject ?? "not named"} · {source ?? "unknown source"}
        </span>{" "}
        <code>{(element.element ?? "(binary)").slice(0, 160)}</code>
      </summary>
      {describeReason(reason) === "" ? null : <p>Rejected: {describeReason(reason)}.</p>}
      <p class="note">
        Element {element_index} of the record in {element.topic}/{partition} at offset {offset}; received{" "}
        <Moment at={ingested_at} is_full />. {plural((element.element ?? "").length, "character")}.
      </p>
      <pre tabIndex={0}>
        {element.element === null ? "(binary record: see bronze for its bytes)" : formatJson(element.element)}
      </pre>
    </details>
  );
}
