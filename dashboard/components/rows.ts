import type { Signal } from "@preact/signals";

const PAGE_ROWS = 15;

/** Arrow keys, Home, End and Page keys move the mark through a table's rows, which carry `data-row`; Enter opens. */
export function moveThroughRows(
  event: KeyboardEvent,
  count: number,
  marked: Signal<number>,
  open: (index: number) => void,
): void {
  const row = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-row]") : null;
  if (row === null || count === 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = Number(row.dataset["row"]);
  if (event.key === "Enter" && event.target === row) {
    event.preventDefault();
    open(at);
    return;
  }
  const steps: Record<string, number> = {
    ArrowDown: 1,
    ArrowUp: -1,
    PageDown: PAGE_ROWS,
    PageUp: -PAGE_ROWS,
    Home: -count,
    End: count,
  };
  const step = steps[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const next = Math.min(count - 1, Math.max(0, at + step));
  marked.value = next;
  const table = row.closest("table, [role=grid]");
  // The mark moves first: a row that is not in reach of the tab key cannot be left by it.
  requestAnimationFrame(() => table?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus());
}
