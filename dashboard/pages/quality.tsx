import type { Expectations as FoundExpectations } from "../../src/serve/schemas/expectations.ts";
import type { Quality as QualityFigures } from "../../src/serve/schemas/quality.ts";
import { formatCount } from "../format/number.ts";
import { PageHead, Panel } from "../components/panel.tsx";
import { Empty, Loaded, Skeleton } from "../components/states.tsx";
import { pipelineInfo } from "../state/pipeline.ts";
import { useResource } from "../state/resource.ts";
import { Conflicts } from "./quality/conflicts.tsx";
import { Expectations } from "./quality/expectations.tsx";
import { Gaps } from "./quality/gaps.tsx";
import { Quarantine } from "./quality/quarantine.tsx";
import { Tests } from "./quality/tests.tsx";
import { UnmappedProducts } from "./quality/unmapped.tsx";

const REFRESH_MS = 10_000;

/** Data quality: reconciliation, tests, expectations, gaps, conflicts and quarantine. */
export function Quality() {
  const quality = useResource<QualityFigures>("/api/quality", REFRESH_MS);
  const expectations = useResource<FoundExpectations>("/api/quality/expectations", REFRESH_MS);
  return (
    <div class="page quality">
      <PageHead title="Quality">
        Every element of every message is in exactly one of three tables: accepted, duplicates, rejected.
      </PageHead>
      <Loaded what="The figures" resource={quality} skeleton={<Skeleton height="24rem" />}>
        {(figures) => (
          <>
            <Reconciliation figures={figures} />
            <div class="halves even">
              <Tests tests={figures.tests} has_tables={figures.has_tables} />
              <div class="page">
                <Loaded what="The validation" resource={expectations} skeleton={<Skeleton height="6rem" />}>
                  {(found) => <Expectations found={found} />}
                </Loaded>
                <Gaps />
                <Conflicts />
                {pipelineInfo().resources.includes("unmapped") ? <UnmappedProducts /> : null}
              </div>
            </div>
            <Quarantine figures={figures} />
          </>
        )}
      </Loaded>
    </div>
  );
}

function Reconciliation({ figures }: { figures: QualityFigures }) {
  const rejected = figures.rejected.reduce((total, { count }) => total + count, 0);
  const parts = [
    { name: "accepted", count: figures.accepted, means: "in silver and gold" },
    { name: "duplicates", count: figures.duplicates, means: "counted once" },
    {
      name: "rejected",
      count: rejected,
      means: `in quarantine, ${formatCount(figures.rejected_today)} of them today (UTC)`,
    },
  ];
  const total = Math.max(1, figures.accepted + figures.duplicates + rejected);
  if (figures.accepted + figures.duplicates + rejected === 0) {
    return (
      <Empty title="Nothing checked yet">
        Figures appear with the first run of the dbt models, seconds after the first message.{" "}
        <code>npm run -s coinlake -- verify</code> reconciles every row.
      </Empty>
    );
  }
  return (
    <Panel title="Reconciliation" note="accepted, duplicate and rejected elements, as committed">
      <div class="reconciliation-bar" aria-hidden="true">
        {parts.map(({ name, count }) => (
          <span key={name} class={name} style={{ flexGrow: count / total }} />
        ))}
      </div>
      <dl class="reconciliation-facts">
        {parts.map(({ name, count, means }) => (
          <div key={name}>
            <dt>
              <span class={`key ${name}`} /> {name}
            </dt>
            <dd>
              <strong class="figure">{formatCount(count)}</strong>{" "}
              <span class="muted">
                {((100 * count) / total).toFixed(2)} %, {means}
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
