import { computed } from "@preact/signals";
import type { ComponentType } from "preact";
import { pipeline } from "../state/pipeline.ts";

/** A page of the dashboard; its module is loaded on demand. */
export interface PageDefinition {
  name: string;
  path: string;
  /** Shortcut, pressed after `g`. */
  key: string;
  load: () => Promise<ComponentType>;
}

type StartPage = "overview" | "market";

/** The pipeline names its start page; only that one is ever loaded. */
const START_PAGES: Readonly<Record<StartPage, PageDefinition>> = {
  overview: {
    name: "Overview",
    path: "/",
    key: "m",
    load: () => import("./overview.tsx").then(({ Overview }) => Overview),
  },
  market: { name: "Market", path: "/", key: "m", load: () => import("./market.tsx").then(({ Market }) => Market) },
};

const reference = () => import("./reference.tsx").then(({ Reference }) => Reference);

/** Pages that every pipeline has. */
export const otherPages: readonly PageDefinition[] = [
  { name: "Alerts", path: "/alerts", key: "a", load: () => import("./alerts.tsx").then(({ Alerts }) => Alerts) },
  { name: "Lake", path: "/lake", key: "l", load: () => import("./lake.tsx").then(({ Lake }) => Lake) },
  { name: "Log", path: "/log", key: "o", load: () => import("./log.tsx").then(({ Log }) => Log) },
  { name: "Quality", path: "/quality", key: "q", load: () => import("./quality.tsx").then(({ Quality }) => Quality) },
  { name: "SQL", path: "/sql", key: "s", load: () => import("./sql.tsx").then(({ Sql }) => Sql) },
  { name: "API", path: "/api/reference", key: "r", load: reference },
];

/** A page of one subject, which belongs to the start page that lists the subjects. */
const COIN: Omit<PageDefinition, "key"> = {
  name: "Coin",
  path: "/coins/",
  load: () => import("./coin.tsx").then(({ Coin }) => Coin),
};

/** The pages in the menu's order; empty until the pipeline is known. */
export const pages = computed((): readonly PageDefinition[] =>
  pipeline.value === null ? [] : [START_PAGES[pipeline.value.start_page], ...otherPages],
);

/** The page at a path; null if there is none. */
export function pageAt(path: string): Omit<PageDefinition, "key"> | null {
  const tidy = path.length > 1 ? path.replace(/\/$/, "") : path;
  const found = pages.value.find((page) => page.path === tidy);
  if (found !== undefined) return found;
  return pipeline.value?.start_page === "market" && /^\/coins\/[^/]+$/.test(tidy) ? COIN : null;
}
