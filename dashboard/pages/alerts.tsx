import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Alert, StoredRule } from "../../src/serve/schemas/alerts.ts";
import type { Page } from "../../src/serve/schemas/values.ts";
import { plural } from "../format/number.ts";
import { PageHead, Panel } from "../components/panel.tsx";
import { Empty, Loaded, Skeleton } from "../components/states.tsx";
import { ApiError, get, pathOf } from "../state/api.ts";
import { onEvent } from "../state/events.ts";
import { useResource } from "../state/resource.ts";
import { useSubjects } from "../state/subjects.ts";
import { AlertTable } from "./alerts/alert-list.tsx";
import { RuleList } from "./alerts/rules.tsx";

const REFRESH_MS = 10_000;
const PAGE = 50;

/** Active alerts, rules and past alerts. */
export function Alerts() {
  const active = useResource<Page<Alert>>("/api/alerts?state=active&limit=200", REFRESH_MS);
  const past = useResource<Page<Alert>>(`/api/alerts?state=recovered&limit=${PAGE}`, REFRESH_MS);
  const rules = useResource<Page<StoredRule>>("/api/rules?limit=500", REFRESH_MS);
  useSubjects();
  useEffect(
    () =>
      onEvent("alert", () => {
        active.reload();
        past.reload();
      }),
    [active, past],
  );
  const count = active.state.value.value?.items.length ?? 0;
  return (
    <div class="page alerts">
      <PageHead title="Alerts">
        A rule fires one alert per episode; the alert ends when the condition recovers.
      </PageHead>
      <Panel title="Active" note={count === 0 ? undefined : plural(count, "episode")} is_flush>
        <Loaded what="The list of active alerts" resource={active} skeleton={<Skeleton height="6rem" />}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No active alerts">
                An alert appears here within half a second of the event that fires it.
              </Empty>
            ) : (
              <AlertTable alerts={items} label="Active alerts" />
            )
          }
        </Loaded>
      </Panel>
      <Panel title="Rules" is_flush>
        <Loaded what="The list of rules" resource={rules} skeleton={<Skeleton height="6rem" />}>
          {({ items }) => <RuleList rules={items} reload={() => rules.reload()} />}
        </Loaded>
      </Panel>
      <Panel title="History" note="newest first" is_flush>
        <Loaded what="The list of past alerts" resource={past} skeleton={<Skeleton height="12rem" />}>
          {(page) => <History page={page} />}
        </Loaded>
      </Panel>
    </div>
  );
}

function History({ page }: { page: Page<Alert> }) {
  const older = useSignal<readonly Alert[]>([]);
  const cursor = useSignal<string | null | undefined>(undefined);
  const next = cursor.value === undefined ? page.next : cursor.value;
  const loadOlder = async (from: string) => {
    try {
      const found = await get<Page<Alert>>(pathOf("/api/alerts", { state: "recovered", limit: PAGE, cursor: from }));
      older.value = [...older.value, ...found.items];
      cursor.value = found.next;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  };
  if (page.items.length === 0)
    return <Empty title="No past alerts">Ended alerts are listed here with their duration and peak.</Empty>;
  const known = new Set(page.items.map(({ id }) => id));
  return (
    <>
      <AlertTable alerts={[...page.items, ...older.value.filter(({ id }) => !known.has(id))]} label="Past alerts" />
      {next === null ? null : (
        <p class="more">
          <button type="button" class="button small" onClick={() => void loadOlder(next)}>
            Older alerts
          </button>
        </p>
      )}
    </>
  );
}
