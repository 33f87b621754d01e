import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { pages } from "../pages/registry.ts";
import { go } from "../router.ts";
import { pipeline } from "../state/pipeline.ts";

export const is_help_open = signal(false);
/** Time within which a letter must follow `g`. */
const CHORD_MS = 1_200;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.shadowRoot !== null || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

/** Shortcuts on every page: `g` and a letter open a page, `/` focuses the search, `?` lists the shortcuts. */
export function useKeys(): void {
  useEffect(() => {
    let chord_at_ms = 0;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const page = Date.now() - chord_at_ms < CHORD_MS ? pages.peek().find(({ key }) => key === event.key) : undefined;
      chord_at_ms = event.key === "g" ? Date.now() : 0;
      if (page) go(page.path);
      else if (event.key === "?") is_help_open.value = true;
      else if (event.key === "/") focusSearch();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

function focusSearch(): void {
  const search = document.querySelector<HTMLInputElement>("input[type=search]");
  if (search) search.focus();
  else if (pipeline.peek()?.start_page === "market") go("/?focus=search");
}

const KEYS = [
  ["↑ ↓", "move between rows of a table"],
  ["Enter", "open the selected row"],
  ["Esc", "leave the search, close the dialog"],
  ["Ctrl or ⌘ + Enter", "run the query"],
  ["?", "show this list"],
] as const;

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const is_open = is_help_open.value;
  useEffect(() => {
    if (is_open && dialog.current?.open === false) dialog.current.showModal();
  }, [is_open]);
  return (
    <dialog ref={dialog} class="dialog" aria-label="Keyboard shortcuts" onClose={() => (is_help_open.value = false)}>
      <form method="dialog">
        <header class="panel-head">
          <h2>Keyboard shortcuts</h2>
          <button class="button small" autoFocus>
            Close
          </button>
        </header>
        <dl class="keys">
          {pages.value.map(({ name, key }) => (
            <div key={key}>
              <dt>
                <kbd>g</kbd> <kbd>{key}</kbd>
              </dt>
              <dd>{name}</dd>
            </div>
          ))}
          <div>
            <dt>
              <kbd>/</kbd>
            </dt>
            <dd>
              search {pipeline.value?.start_page === "market" ? `${pipeline.value.subject.plural}, ` : ""}messages or
              routes
            </dd>
          </div>
          {KEYS.map(([key, does]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
      </form>
    </dialog>
  );
}
