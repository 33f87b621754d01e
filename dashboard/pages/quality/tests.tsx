import { useSignal } from "@preact/signals";
import type { Quality, TestNode } from "../../../src/serve/schemas/quality.ts";
import { plural } from "../../format/number.ts";
import { formatSeconds } from "../../format/time.ts";
import { Badge, type Tone } from "../../components/badge.tsx";
import { Panel } from "../../components/panel.tsx";
import { Empty } from "../../components/states.tsx";
import { Age } from "../../components/time.tsx";

const TONES: Record<string, Tone> = { pass: "good", fail: "bad", error: "bad", warn: "warn" };
const ORDER = ["error", "fail", "warn", "skipped", "pass"];
const SHOWN = 12;

/** Last result of each dbt test, failures first. */
export function Tests({ tests, has_tables }: { tests: Quality["tests"]; has_tables: boolean }) {
  const is_whole = useSignal(false);
  if (tests === null) {
    return (
      <Panel title="Tests">
        <Empty title={has_tables ? "Not run yet" : "Not run: no tables yet"}>
          The pipeline tests the whole lake a few minutes after the start, then periodically. To run the tests now:{" "}
          <code>npm run -s coinlake -- dbt test</code>
        </Empty>
      </Panel>
    );
  }
  const sorted = tests.nodes.toSorted(
    (a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status) || a.name.localeCompare(b.name),
  );
  const shown = is_whole.value ? sorted : sorted.slice(0, SHOWN);
  const verdict = tests.failed === 0 ? `all ${tests.passed} passed` : `${tests.failed} failed, ${tests.passed} passed`;
  return (
    <Panel
      title="Tests"
      note={
        <>
          <Badge tone={tests.failed === 0 ? "good" : "bad"}>{verdict}</Badge> <Age at={tests.ran_at} />
        </>
      }
      is_flush
    >
      <ul class="tests">
        {shown.map((node) => (
          <Node key={node.name} node={node} />
        ))}
      </ul>
      {sorted.length > SHOWN ? (
        <p class="more">
          <button type="button" class="button small" onClick={() => (is_whole.value = !is_whole.value)}>
            {is_whole.value ? "Show fewer" : `Show all ${sorted.length}`}
          </button>
        </p>
      ) : null}
    </Panel>
  );
}

function Node({ node }: { node: TestNode }) {
  return (
    <li>
      <Badge tone={TONES[node.status] ?? "plain"}>{node.status}</Badge>
      <span class="test-name" title={node.name}>
        {node.name.replaceAll("_", " ")}
        {node.failures ? <span class="strong-bad"> {plural(node.failures, "row")}</span> : null}
        {node.message ? <span class="note test-message">{node.message}</span> : null}
      </span>
      <span class="figure muted">{formatSeconds(node.seconds)}</span>
    </li>
  );
}
