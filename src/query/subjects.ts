import { OperatingError } from "../base/errors.ts";
import type { KnownSubject, Pipeline, TableNaming } from "../pipeline/definition.ts";

/**
 * Resolves typed text to the id of a subject, for the command line, the API, alert rules and the dashboard. Tries in
 * order, and the first match decides: the exact id; the exact symbol; then, ignoring case, id or symbol, name, and
 * other names. An exact symbol that, ignoring case, is the id of another subject is ambiguous. Throws SUBJECT_NOT_FOUND
 * with the nearest matches, or AMBIGUOUS_SUBJECT.
 */
export function resolveSubject(noun: string, given: string, known: readonly KnownSubject[]): KnownSubject {
  const typed = given.trim();
  const folded = fold(typed);
  const is_symbol = known.some(({ symbol }) => symbol === typed);
  const TESTS: ((subject: KnownSubject) => boolean)[] = [
    ({ id }) => id === typed,
    ({ id, symbol }) => is_symbol && (symbol === typed || fold(id) === folded),
    ({ id, symbol }) => fold(id) === folded || fold(symbol) === folded,
    ({ name }) => fold(name) === folded,
    ({ other_names }) => other_names.some((name) => fold(name) === folded),
  ];
  for (const test of TESTS) {
    const found = known.filter(test);
    const chosen = found.length === 0 ? null : theOneMeant(found);
    if (chosen !== null) return chosen;
    if (found.length > 0) throw ambiguous(noun, typed, found);
  }
  throw unknown(noun, typed, known);
}

/** The subject of the first name that resolves to exactly one; null if none does. */
export function firstSubject(
  noun: string,
  names: readonly string[],
  known: readonly KnownSubject[],
): KnownSubject | null {
  for (const name of names) {
    try {
      return resolveSubject(noun, name, known);
    } catch (error) {
      if (!(error instanceof OperatingError)) throw error;
    }
  }
  return null;
}

/** A subject with at most this rank owns its symbol ... */
const WELL_KNOWN_RANK = 100;
/** ... if all other subjects with the symbol rank this many times lower. */
const CLEAR_LEAD = 10;

/** Null if ambiguous. Active subjects take precedence over delisted ones. */
function theOneMeant(found: readonly KnownSubject[]): KnownSubject | null {
  const present = found.filter(({ is_gone }) => !is_gone);
  const candidates = (present.length > 0 ? present : found).toSorted(
    (a, b) => (a.rank ?? Infinity) - (b.rank ?? Infinity),
  );
  const [first, second] = candidates;
  if (first === undefined || second === undefined) return first ?? null;
  const has_lead =
    first.rank !== null && first.rank <= WELL_KNOWN_RANK && (second.rank ?? Infinity) >= CLEAR_LEAD * first.rank;
  return has_lead ? first : null;
}

const MAX_SUGGESTED = 5;

/** Nearest matches: names that start with or contain the text, then names within a small edit distance. */
export function nearestSubjects(given: string, known: readonly KnownSubject[]): KnownSubject[] {
  const wanted = fold(given.trim());
  const limit = Math.max(2, Math.floor(wanted.length / 3));
  const scored = known.flatMap((subject) => {
    const names = [subject.id, subject.symbol, subject.name, ...subject.other_names].map(fold);
    const score = Math.min(...names.map((name) => distanceTo(wanted, name, limit)));
    return score <= limit ? [{ subject, score }] : [];
  });
  scored.sort(
    (a, b) =>
      a.score - b.score ||
      (a.subject.rank ?? Infinity) - (b.subject.rank ?? Infinity) ||
      (a.subject.id < b.subject.id ? -1 : 1),
  );
  return scored.slice(0, MAX_SUGGESTED).map(({ subject }) => subject);
}

/** Shorter texts occur in too many names. */
const SHORTEST_PART = 3;

function distanceTo(wanted: string, name: string, limit: number): number {
  const is_part =
    wanted.length >= SHORTEST_PART &&
    (name.includes(wanted) || (name.length >= SHORTEST_PART && wanted.includes(name)));
  return is_part ? Math.min(1, limit) : editDistance(wanted, name, limit);
}

/** Letters to insert, delete or replace; anything above the limit is `limit + 1`. */
function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) > limit) return limit + 1;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? limit + 1;
}

function fold(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

function unknown(noun: string, given: string, known: readonly KnownSubject[]): OperatingError {
  const nearest = nearestSubjects(given, known);
  return new OperatingError("SUBJECT_NOT_FOUND", `Unknown ${noun} "${shown(given)}"`, {
    next_step:
      nearest.length === 0
        ? `Give the id, symbol or name of a ${noun} in the lake.`
        : `Nearest matches: ${listed(nearest)}.`,
  });
}

function ambiguous(noun: string, given: string, found: readonly KnownSubject[]): OperatingError {
  return new OperatingError(
    "AMBIGUOUS_SUBJECT",
    `Ambiguous ${noun} "${shown(given)}": it matches ${found.length} ${noun}s: ${listed(found.slice(0, MAX_LISTED))}`,
    {
      next_step: `Give the id of the ${noun}, such as ${found[0]?.id ?? ""}.`,
    },
  );
}

const MAX_LISTED = 10;
const MAX_SHOWN = 60;

function shown(given: string): string {
  return given.length > MAX_SHOWN ? `${given.slice(0, MAX_SHOWN)}…` : given;
}

function listed(subjects: readonly KnownSubject[]): string {
  return subjects
    .map(
      ({ id, symbol, name }) =>
        `${id} (${[...new Set([symbol, name])].filter((text) => text !== id).join(", ") || id})`,
    )
    .join(", ");
}

/**
 * Resolves the subject of a rule or a filter to its id. For a lake without subjects it uses those that the project
 * lists, so that a rule created before the first commit has an id. Throws what `resolveSubject` throws, and LAKE_EMPTY
 * if neither knows the name.
 */
export function subjectId(
  { subjects }: Pick<Pipeline, "subjects">,
  given: string,
  known: readonly KnownSubject[],
): string {
  if (known.length > 0) return resolveSubject(subjects.noun, given, known).id;
  try {
    return resolveSubject(subjects.noun, given, subjects.listed()).id;
  } catch (error) {
    if (!(error instanceof OperatingError) || error.code !== "SUBJECT_NOT_FOUND") throw error;
    throw new OperatingError(
      "LAKE_EMPTY",
      `Cannot resolve "${shown(given.trim())}": the lake has no ${subjects.plural} yet`,
      {
        next_step:
          `Run \`npm start\` until its first increment, then try again; or give a ${subjects.noun} ` +
          "that the project lists.",
      },
    );
  }
}

/** All subjects of the lake, read with the pipeline's SQL. */
export async function knownSubjects(
  { subjects }: Pick<Pipeline, "subjects">,
  table: TableNaming,
  rows: (sql: string) => Promise<Record<string, string | null>[]>,
): Promise<KnownSubject[]> {
  return (await rows(subjects.sql(table))).map(subjects.known);
}
