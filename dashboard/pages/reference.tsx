import { useSignal } from "@preact/signals";
import { hrefOf } from "../base.ts";
import { PageHead } from "../components/panel.tsx";
import { Loaded, Skeleton } from "../components/states.tsx";
import { parameters, setParameters } from "../router.ts";
import { useResource } from "../state/resource.ts";
import { describeType, type OpenApi, type Operation, type Parameter, type Schema } from "./reference/openapi.ts";
import { Tree } from "./reference/tree.tsx";
import { Try } from "./reference/try.tsx";

interface Route {
  method: string;
  path: string;
  operation: Operation;
}

/** API reference, generated from the OpenAPI document. */
export function Reference() {
  const document = useResource<OpenApi>("/api/openapi.json");
  return (
    <div class="page reference">
      <PageHead title="API">
        Decimals are strings, times ISO 8601 in UTC, errors RFC 9457. OpenAPI document:{" "}
        <a href={hrefOf("/api/openapi.json")} data-outside>
          /api/openapi.json
        </a>
      </PageHead>
      <Loaded what="The OpenAPI document" resource={document} skeleton={<Skeleton height="40rem" />}>
        {(api) => <Routes api={api} />}
      </Loaded>
    </div>
  );
}

function Routes({ api }: { api: OpenApi }) {
  const search = parameters.value.get("q") ?? "";
  const routes = Object.entries(api.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): Route => ({ method, path, operation })),
  );
  const matching = routes.filter(({ method, path, operation }) =>
    `${method} ${path} ${operation.summary ?? ""}`.toLowerCase().includes(search.toLowerCase()),
  );
  const tags = [...new Set(matching.map(({ operation }) => operation.tags?.[0] ?? "Other"))];
  return (
    <>
      <div class="table-bar">
        <label class="search">
          <span class="unseen">Filter routes</span>
          <input
            type="search"
            placeholder="Filter routes"
            value={search}
            onInput={(event) => setParameters({ q: event.currentTarget.value || null })}
          />
          <kbd aria-hidden="true">/</kbd>
        </label>
        <span class="muted" aria-live="polite">
          {matching.length} of {routes.length} routes
        </span>
      </div>
      {tags.map((tag) => (
        <section key={tag} class="panel" aria-label={tag}>
          <header class="panel-head">
            <h2>{tag}</h2>
          </header>
          {matching
            .filter(({ operation }) => (operation.tags?.[0] ?? "Other") === tag)
            .map((route) => (
              <OneRoute key={`${route.method} ${route.path}`} route={route} api={api} />
            ))}
        </section>
      ))}
    </>
  );
}

function OneRoute({ route: { method, path, operation }, api }: { route: Route; api: OpenApi }) {
  const is_open = useSignal(false);
  return (
    <details class="route" onToggle={(event) => (is_open.value = event.currentTarget.open)}>
      <summary>
        <span class={`method ${method}`}>{method.toUpperCase()}</span> <code>{path}</code>{" "}
        <span class="muted">{operation.summary}</span>
      </summary>
      {is_open.value ? (
        <div class="route-body">
          {operation.description ? <p>{operation.description}</p> : null}
          <Parameters parameters={operation.parameters ?? []} />
          <Body title="Body" schema={operation.requestBody?.content?.["application/json"]?.schema} api={api} />
          {Object.entries(operation.responses ?? {}).map(([status, { description, content }]) => {
            const [type, media] = Object.entries(content ?? {})[0] ?? ["", undefined];
            return (
              <Body
                key={status}
                title={`${status}: ${description ?? ""}`}
                note={type}
                schema={media?.schema}
                api={api}
              />
            );
          })}
          {method === "get" && path !== "/api/events" ? (
            <Try path={path} parameters={operation.parameters ?? []} />
          ) : null}
        </div>
      ) : null}
    </details>
  );
}

function Parameters({ parameters: list }: { parameters: readonly Parameter[] }) {
  if (list.length === 0) return null;
  return (
    <>
      <h3>Parameters</h3>
      <ul class="tree">
        {list.map(({ name, in: where, required, description, schema }) => (
          <li key={name}>
            <code>{name}</code>{" "}
            <span class="muted">
              {describeType(schema)}, in the {where}
              {required ? ", required" : ""}
            </span>{" "}
            {description ? <span>{description}</span> : null}
          </li>
        ))}
      </ul>
    </>
  );
}

function Body({
  title,
  note = "",
  schema,
  api,
}: {
  title: string;
  note?: string;
  schema: Schema | undefined;
  api: OpenApi;
}) {
  return (
    <>
      <h3>
        {title} <span class="muted">{note}</span>
      </h3>
      {schema === undefined ? null : <Tree schema={schema} api={api} />}
    </>
  );
}
