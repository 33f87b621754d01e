import type { ComponentType } from "preact";

/** A page of the dashboard; its module is loaded on demand. */
export interface PageDefinition {
  name: string;
  path: string;
  /** Shortcut, pressed after `g`. */
  key: string;
  load: () => Promise<ComponentType>;
}

const reference = () => import("./reference.tsx").then(({ Reference }) => Reference);

export const PAGES: readonly PageDefinition[] = [
  { name: "Market", path: "/", key: "m", load: () => import("./market.tsx").then(({ Market }) => Market) },
  { name: "Alerts", path: "/alerts", key: "a", load: () => import("./alerts.tsx").then(({ Alerts }) => Alerts) },
  { name: "Lake", path: "/lake", key: "l", load: () => import("./lake.tsx").then(({ Lake }) => Lake) },
  { name: "Log", path: "/log", key: "o", load: () => import("./log.tsx").then(({ Log }) => Log) },
  { name: "Quality", path: "/quality", key: "q", load: () => import("./quality.tsx").then(({ Quality }) => Quality) },
  { name: "SQL", path: "/sql", key: "s", load: () => import("./sql.tsx").then(({ Sql }) => Sql) },
  { name: "API", path: "/api/reference", key: "r", load: reference },
];

const COIN: Omit<PageDefinition, "key"> = {
  name: "Coin",
  path: "/coins/",
  load: () => import("./coin.tsx").then(({ Coin }) => Coin),
};

/** The page at a path; null if there is none. */
export function pageAt(path: string): Omit<PageDefinition, "key"> | null {
  const tidy = path.length > 1 ? path.replace(/\/$/, "") : path;
  return PAGES.find((page) => page.path === tidy) ?? (/^\/coins\/[^/]+$/.test(tidy) ? COIN : null);
}
