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
import { sayReason } from "./reasons.ts";

const PAGE = 25;
const REFRESH_MS = 10_000;

/** What silver refused, by reason, and each element as it came. */
export function Quarantine({ figures }: { figures: Quality }) {
  const reason = parameters.value.get("reason");
  const total = figures.rejected.reduce((sum, { count }) => sum + count, 0);
  if (figures.rejected.length === 0) {
    return (
      <Panel title="Quarantine">
        <Empty title="Nothing refused">
          What silver does not believe comes here with its reason, and is never lost: late or future events, prices that
          are none, messages cut off.
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
              name="every reason"
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
    <button type="button" class="reason" aria-pressed={is_chosen} title={sayReason(name)} onClick={choose}>
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
  // While older ones are in view the list holds still.
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
      <Loaded what="The refused elements" resource={elements} skeleton={<Skeleton height="24rem" />}>
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
          {subject ?? "no coin"} · {source ?? "no source"}
        </span>{" "}
        <code>{(element.element ?? "(no text)").slice(0, 160)}</code>
      </summary>
      {sayReason(reason) === "" ? null : <p>Rejected: {sayReason(reason)}.</p>}
      <p class="note">
        Element {element_index} of the record at partition {partition}, offset {offset} of {element.topic}; received{" "}
        <Moment at={ingested_at} is_full />. {plural((element.element ?? "").length, "character")}.
      </p>
      <pre tabIndex={0}>
        {element.element === null ? "(the record is no text: its bytes are in bronze)" : formatJson(element.element)}
      </pre>
    </details>
  );
}
