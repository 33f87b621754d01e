import { effect, signal, type Signal } from "@preact/signals";

/** What was run, and what was saved by name: in this browser only. */

export interface Run {
  sql: string;
  at: string | null;
  ran_at_ms: number;
  /** Null where it failed or was cancelled. */
  rows: number | null;
  elapsed_ms: number;
}

export interface Saved {
  name: string;
  sql: string;
}

const MAX_RUNS = 100;

function kept<T>(name: string): Signal<readonly T[]> {
  const key = `coinlake.sql.${name}`;
  const list = signal<readonly T[]>(JSON.parse(localStorage.getItem(key) ?? "[]") as T[]);
  effect(() => localStorage.setItem(key, JSON.stringify(list.value)));
  return list;
}

export const runs = kept<Run>("history");
export const saved = kept<Saved>("saved");
/** The text being edited: a page left and come back to shows it again. */
export const draft = kept<string>("draft");

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
