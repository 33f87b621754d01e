import type { CheckedTable, Expectations as Found, UnmetExpectation } from "../../../src/serve/schemas/expectations.ts";
import { plural } from "../../format/number.ts";
import { Badge } from "../../components/badge.tsx";
import { Panel } from "../../components/panel.tsx";
import { Empty } from "../../components/states.tsx";
import { Age } from "../../components/time.tsx";

const SHOWN_UNMET = 20;

/** The last validation by Great Expectations: one line per table, failures first. */
export function Expectations({ found }: { found: Found }) {
  if (found.checked_at === null) {
    return (
      <Panel title="Expectations">
        <Empty title="Not validated yet">
          To validate silver and gold against the suites in <code>quality/</code>, run{" "}
          <code>npm run -s coinlake -- quality</code>
        </Empty>
      </Panel>
    );
  }
  const unmet = found.tables.reduce((sum, table) => sum + table.unmet.length, 0);
  const validated = found.tables.reduce((sum, table) => sum + table.expectations, 0);
  const sorted = found.tables.toSorted((a, b) => b.unmet.length - a.unmet.length);
  return (
    <Panel
      title="Expectations"
      note={
        <>
          <Badge tone={unmet === 0 ? "good" : found.is_met ? "warn" : "bad"}>
            {unmet === 0 ? `all ${validated} met` : `${unmet} of ${validated} not met`}
          </Badge>{" "}
          <Age at={found.checked_at} />
        </>
      }
      actions={
        found.data_docs === null ? null : (
          <a class="button small" href={found.data_docs} target="_blank" rel="noopener">
            Data Docs
          </a>
        )
      }
      is_flush
    >
      <ul class="tests">
        {sorted.map((table) => (
          <Table key={table.table} table={table} />
        ))}
      </ul>
    </Panel>
  );
}

function Table({ table: { table, parts, expectations, unmet, checked_at } }: { table: CheckedTable }) {
  const is_critical = unmet.some(({ severity }) => severity === "critical");
  return (
    <li>
      <Badge tone={unmet.length === 0 ? "good" : is_critical ? "bad" : "warn"}>
        {unmet.length === 0 ? "met" : `${unmet.length} not met`}
      </Badge>
      <span class="test-name">
        {table}
        <span class="note test-message">
          {plural(expectations, "expectation")}
          {parts > 1 ? ` over ${plural(parts, "day")}` : ""}
        </span>
        {unmet.slice(0, SHOWN_UNMET).map((expectation) => (
          <Unmet key={`${expectation.part} ${expectation.name}`} expectation={expectation} />
        ))}
        {unmet.length > SHOWN_UNMET ? (
          <span class="note test-message">and {unmet.length - SHOWN_UNMET} more: see Data Docs</span>
        ) : null}
      </span>
      <Age at={checked_at} />
    </li>
  );
}

function Unmet({
  expectation: { name, part, severity, unexpected_rows, observed, sample, error },
}: {
  expectation: UnmetExpectation;
}) {
  return (
    <span class="unmet">
      <span class={severity === "critical" ? "strong-bad" : ""}>{name}</span>{" "}
      <span class="muted">{part === "whole" ? severity : `${part}, ${severity}`}</span>
      <span class="note test-message">
        {error ??
          [
            unexpected_rows === null ? null : plural(unexpected_rows, "row"),
            observed === null ? null : `observed ${observed}`,
            sample[0],
          ]
            .filter(Boolean)
            .join(" · ")}
      </span>
    </span>
  );
}
