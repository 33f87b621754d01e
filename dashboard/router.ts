import { computed, signal } from "@preact/signals";
import { hrefOf, pathWithin } from "./base.ts";
import { parseWrittenTime } from "./format/time.ts";

/** Path within the pipeline, and query, in the address bar. */
const address = signal(current());

export const path = computed(() => address.value.split("?")[0] ?? "/");
export const parameters = computed(() => new URLSearchParams(address.value.split("?")[1] ?? ""));

/**
 * Lake time in the URL's `at`: ISO 8601 with a zone, or a date. Null without it, or if it is invalid or out of range.
 */
export const lakeTime = computed(() => {
  const text = parameters.value.get("at");
  const at_ms = text === null ? NaN : parseWrittenTime(text);
  const year = Number.isNaN(at_ms) ? NaN : new Date(at_ms).getUTCFullYear();
  return year >= 1970 && year <= 9999 ? new Date(at_ms).toISOString() : null;
});

/** The URL's `at` if it is not a valid time. */
export const invalidTime = computed(() => (lakeTime.value === null ? parameters.value.get("at") : null));

/** A segment of the path, decoded if it is validly encoded. */
export function segmentOf(address: string, index: number): string {
  const text = address.split("/")[index] ?? "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function current(): string {
  return (pathWithin(location.pathname) ?? "/") + location.search;
}

/** Opens a page; `to` is a path within the pipeline. */
export function go(to: string, { is_replacing = false } = {}): void {
  if (to === current()) return;
  if (is_replacing) history.replaceState(null, "", hrefOf(to));
  else history.pushState(null, "", hrefOf(to));
  const is_other_page = to.split("?")[0] !== path.peek();
  address.value = to;
  if (is_other_page) scrollTo(0, 0);
}

/** Sets or removes query parameters without a history entry. */
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
    address.value = current();
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
    const to = pathWithin(link.pathname);
    if (to === null) return;
    event.preventDefault();
    go(to + link.search);
  });
}
