import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { SubjectItem } from "../../src/serve/schemas/definition.ts";
import type { Page } from "../../src/serve/schemas/values.ts";
import { ApiError, get, pathOf } from "./api.ts";
import { pipeline } from "./pipeline.ts";

/** The pipeline's subjects, by rank; empty until they are loaded. */
export const subjects = signal<readonly SubjectItem[]>([]);

const names = computed(() => new Map(subjects.value.map(({ id, name }) => [id, name])));

const PAGE = 1_000;
/** Maximum number of subjects loaded. */
const MAX_SUBJECTS = 3_000;
const REFRESH_MS = 30_000;

/** A subject's name if known, else its id. */
export function nameOfSubject(id: string): string {
  return names.value.get(id) ?? id;
}

/** The path of a subject's own page; null where the pipeline has none. */
export function subjectPath(id: string): string | null {
  return pipeline.value?.start_page === "market" ? `/coins/${encodeURIComponent(id)}` : null;
}

let loading: Promise<void> | null = null;
let loaded_at_ms = -Infinity;

/** Loads the list unless it is recent. After an error the last list stays, and names that it lacks show as ids. */
export function loadSubjects(): Promise<void> {
  if (Date.now() < loaded_at_ms + REFRESH_MS) return Promise.resolve();
  loading ??= load().finally(() => (loading = null));
  return loading;
}

async function load(): Promise<void> {
  try {
    const all: SubjectItem[] = [];
    let cursor: string | null = null;
    do {
      const page: Page<SubjectItem> = await get<Page<SubjectItem>>(pathOf("/api/subjects", { limit: PAGE, cursor }));
      all.push(...page.items);
      cursor = page.next;
    } while (cursor !== null && all.length < MAX_SUBJECTS);
    subjects.value = all;
    // An empty list is asked for again soon: the lake's first subject may appear at any time.
    if (all.length > 0) loaded_at_ms = Date.now();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

/** Keeps the list loaded while the page is shown. */
export function useSubjects(): void {
  useEffect(() => {
    void loadSubjects();
    const timer = setInterval(() => {
      if (!document.hidden) void loadSubjects();
    }, 5_000);
    return () => clearInterval(timer);
  }, []);
}
