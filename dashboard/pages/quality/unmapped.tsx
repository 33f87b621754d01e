import type { UnmappedProduct } from "../../../pipelines/crypto/api/schemas.ts";
import type { Page } from "../../../src/serve/schemas/values.ts";
import { plural } from "../../format/number.ts";
import { Panel } from "../../components/panel.tsx";
import { Loaded, Skeleton } from "../../components/states.tsx";
import { Moment } from "../../components/time.tsx";
import { pipelineInfo } from "../../state/pipeline.ts";
import { useResource } from "../../state/resource.ts";

const REFRESH_MS = 10_000;

/** Products that no mapping assigns to a subject; shown for a pipeline with the resource `unmapped`. */
export function UnmappedProducts() {
  const unmapped = useResource<Page<UnmappedProduct>>("/api/unmapped", REFRESH_MS);
  const { noun } = pipelineInfo().subject;
  return (
    <Panel title="Unmapped products" note={`stored, but not assigned to a ${noun}`} is_flush>
      <Loaded what="The list of products" resource={unmapped} skeleton={<Skeleton height="6rem" />}>
        {({ items }) => <Unmapped products={items} noun={noun} />}
      </Loaded>
    </Panel>
  );
}

function Unmapped({ products, noun }: { products: readonly UnmappedProduct[]; noun: string }) {
  if (products.length === 0) return <p class="note padded">Every product of every source is assigned to a {noun}.</p>;
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Unmapped products">
      <table class="grid-table">
        <thead>
          <tr>
            <th scope="col">product</th>
            <th scope="col">source</th>
            <th scope="col" class="right">
              updates
            </th>
            <th scope="col" class="right">
              last
            </th>
          </tr>
        </thead>
        <tbody>
          {products.map(({ product, source, updates, last_at }) => (
            <tr key={`${source} ${product}`}>
              <td>{product}</td>
              <td class="muted">{source}</td>
              <td class="right figure">{plural(updates, "update")}</td>
              <td class="right">
                <Moment at={last_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
