import { effect, signal, type Signal } from "@preact/signals";
import { ownKey } from "../../base.ts";

/** The query history and saved queries, stored in this browser only. */

export interface Run {
  sql: string;
  at: string | null;
  ran_at_ms: number;
  /** Null if the query failed or was cancelled. */
  rows: number | null;
  elapsed_ms: number;
}

export interface Saved {
  name: string;
  sql: string;
}

const MAX_RUNS = 100;

function storedList<T>(name: string): Signal<readonly T[]> {
  const key = ownKey(`coinlake.sql.${name}`);
  const list = signal<readonly T[]>(JSON.parse(localStorage.getItem(key) ?? "[]") as T[]);
  effect(() => localStorage.setItem(key, JSON.stringify(list.value)));
  return list;
}

export const runs = storedList<Run>("history");
export const saved = storedList<Saved>("saved");
/** The editor's text, restored when the page is opened again. */
export const draft = storedList<string>("draft");

export function remember(run: Run): void {
  runs.value = [run, ...runs.peek().filter(({ sql, at }) => sql !== run.sql || at !== run.at)].slice(0, MAX_RUNS);
}

export function save(name: string, sql: string): void {
  saved.value = [...saved.peek().filter((one) => one.name !== name), { name, sql }].sort((a, b) =>
    a.name.localeCompare(b.name),
  );
}

export function forget(name: string): void {
  saved.value = saved.peek().filter((one) => one.name !== name);
}
