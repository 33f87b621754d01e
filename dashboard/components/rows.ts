import type { Signal } from "@preact/signals";

const PAGE_ROWS = 15;

/** Arrow keys, Home, End, Page Up and Page Down select a table row (`data-row`); Enter opens it. */
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
  // Wait for the render: the selected row must have its tabindex before it gets the focus.
  requestAnimationFrame(() => table?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus());
}
