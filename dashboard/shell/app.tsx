import { signal, useSignalEffect } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { hrefOf } from "../base.ts";
import { pageAt, pages } from "../pages/registry.ts";
import { Guard } from "../components/guard.tsx";
import { Skeleton } from "../components/states.tsx";
import { path } from "../router.ts";
import { pipeline, pipelines } from "../state/pipeline.ts";
import { stale_since_ms } from "../state/status.ts";
import { AlertToasts } from "./alert-toasts.tsx";
import { Banners } from "./banners.tsx";
import { Footer } from "./footer.tsx";
import { Header } from "./header.tsx";
import { Help, useKeys } from "./keys.tsx";
import { StatusStrip } from "./status-strip.tsx";

const loaded = signal<ReadonlyMap<string, ComponentType>>(new Map());
const failed = signal<string | null>(null);

async function load(definition: { path: string; load: () => Promise<ComponentType> }): Promise<void> {
  if (loaded.peek().has(definition.path)) return;
  try {
    const page = await definition.load();
    failed.value = null;
    loaded.value = new Map(loaded.peek()).set(definition.path, page);
  } catch (error) {
    failed.value = error instanceof Error ? error.message : String(error);
  }
}

/** Loads the other pages' modules after the first page is shown, so that they open at once. */
function prefetch(): void {
  const rest = pages.peek().filter(({ path }) => path !== "/sql");
  const next = () => {
    const page = rest.shift();
    if (page)
      void page.load().then(
        () => setTimeout(next, 200),
        () => undefined,
      );
  };
  setTimeout(next, 2_500);
}

function View() {
  const definition = pageAt(path.value);
  useSignalEffect(() => {
    const wanted = pageAt(path.value);
    const title = wanted?.path === "/" ? pipeline.value?.title : wanted?.name;
    const parts = [title, pipelines.value.length > 1 && wanted?.path !== "/" ? pipeline.value?.title : undefined];
    document.title = [...parts.filter((part) => part !== undefined), "Coinlake"].join(" · ");
    if (wanted) void load(wanted);
  });
  if (pipeline.value === null) return <PageSkeleton />;
  if (definition === null) return <NotFound />;
  const Page = loaded.value.get(definition.path);
  if (Page) {
    return (
      <Guard key={path.value} what={`The page ${definition.name}`}>
        <Page />
      </Guard>
    );
  }
  if (failed.value !== null) return <Broken name={definition.name} message={failed.value} />;
  return <PageSkeleton />;
}

function PageSkeleton() {
  return (
    <div class="page-skeleton" aria-busy="true">
      <Skeleton width="12rem" height="1.5rem" />
      <Skeleton height="9rem" />
      <Skeleton height="24rem" />
    </div>
  );
}

function NotFound() {
  return (
    <div class="empty">
      <h1 class="empty-title">Page not found</h1>
      <p>
        There is no page at <code>{path.value}</code>. Go to the <a href={hrefOf("/")}>start page</a>.
      </p>
    </div>
  );
}

function Broken({ name, message }: { name: string; message: string }) {
  return (
    <div class="failure" role="alert">
      <p>
        <strong>The page {name} could not be loaded.</strong> {message}
      </p>
      <p class="muted">Coinlake may have been stopped or updated since the dashboard was opened.</p>
      <button type="button" class="button" onClick={() => location.reload()}>
        Reload
      </button>
    </div>
  );
}

export function App() {
  useKeys();
  const start_page = pipeline.value?.start_page;
  useEffect(() => {
    if (start_page !== undefined) prefetch();
    // Prices are kept current on every page.
    if (start_page === "market") void import("../state/coins.ts").then(({ watchCoins }) => watchCoins());
  }, [start_page]);
  return (
    <>
      <a class="skip" href="#main" data-outside>
        Skip to content
      </a>
      <Header />
      <StatusStrip />
      <Banners />
      <main id="main" tabIndex={-1} class={stale_since_ms.value === null ? "" : "is-silent"}>
        <View />
      </main>
      <Footer />
      <AlertToasts />
      <Help />
    </>
  );
}
