import { computed, signal } from "@preact/signals";
import { parseWrittenTime } from "./format/time.ts";

/** Where the viewer is: path and query of the address bar. */
const place = signal(location.pathname + location.search);

export const path = computed(() => place.value.split("?")[0] ?? "/");
export const parameters = computed(() => new URLSearchParams(place.value.split("?")[1] ?? ""));

/** Lake time in the address: ISO 8601 with a zone, or a date. Null for none, and for text that is neither or lies outside what the API takes. */
export const lakeTime = computed(() => {
  const text = parameters.value.get("at");
  const at_ms = text === null ? NaN : parseWrittenTime(text);
  const year = Number.isNaN(at_ms) ? NaN : new Date(at_ms).getUTCFullYear();
  return year >= 1970 && year <= 9999 ? new Date(at_ms).toISOString() : null;
});

/** What the address says in `at` where that is no time. */
export const invalidTime = computed(() => (lakeTime.value === null ? parameters.value.get("at") : null));

/** A part of the path, decoded where it is well encoded. */
export function segmentOf(address: string, index: number): string {
  const text = address.split("/")[index] ?? "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function go(to: string, { is_replacing = false } = {}): void {
  if (to === location.pathname + location.search) return;
  if (is_replacing) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  const is_other_page = to.split("?")[0] !== path.peek();
  place.value = to;
  if (is_other_page) scrollTo(0, 0);
}

/** Sets or removes parameters of the current page without a step in the history. */
export function setParameters(changes: Record<string, string | null>): void {
  const next = new URLSearchParams(parameters.peek());
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) next.delete(name);
    else next.set(name, value);
  }
  const query = next.toString();
  go(query === "" ? path.peek() : `${path.peek()}?${query}`, { is_replacing: true });
}

export function startRouter(): void {
  addEventListener("popstate", () => {
    place.value = location.pathname + location.search;
  });
  document.addEventListener("click", (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (
      !(link instanceof HTMLAnchorElement) ||
      link.origin !== location.origin ||
      link.target !== "" ||
      link.hasAttribute("data-outside")
    )
      return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
