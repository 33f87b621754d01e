import { OperatingError } from "../base/errors.ts";
import type { AlertBook } from "./facade.ts";
import type { StoredRule } from "./rule.ts";

/**
 * A rule as JSON, with the ids of the subjects that it names by symbol or name. What is no list of texts stays as it
 * is: the rule's schema says what is wrong with it. Subjects that the rule had before stay where the lake does not know
 * them (any more). Throws what `resolve` throws for the others.
 */
export async function withSubjectIds(
  json: unknown,
  before: unknown,
  resolve: (given: string) => Promise<string>,
): Promise<unknown> {
  if (typeof json !== "object" || json === null || !("subjects" in json) || !Array.isArray(json.subjects)) return json;
  const given: unknown[] = json.subjects;
  const kept = new Set(Array.isArray(before) ? before : []);
  const idOf = async (subject: unknown): Promise<unknown> => {
    if (typeof subject !== "string" || subject === "") return subject;
    return kept.has(subject) ? idOrNull(resolve(subject)).then((id) => id ?? subject) : resolve(subject);
  };
  const ids = await Promise.all(given.map(idOf));
  return { ...json, subjects: [...new Set(ids)] };
}

/** Null where the name means no subject, or several. */
async function idOrNull(resolved: Promise<string>): Promise<string | null> {
  try {
    return await resolved;
  } catch (error) {
    if (error instanceof OperatingError && NOT_MEANT.has(error.code)) return null;
    throw error;
  }
}

const NOT_MEANT = new Set(["SUBJECT_NOT_FOUND", "AMBIGUOUS_SUBJECT", "LAKE_EMPTY"]);

/**
 * The subject of the alerts that a filter asks for. Alerts are about subjects, sources, layers and jobs, and about
 * subjects of the past: where there are alerts about the text as given, these are meant; else the subject that it
 * names; else the text. Throws AMBIGUOUS_SUBJECT.
 */
export async function subjectOfAlerts(
  book: Pick<AlertBook, "listAlerts">,
  given: string,
  resolve: (given: string) => Promise<string>,
): Promise<string> {
  if (book.listAlerts({ subject: given, limit: 1 }).items.length > 0) return given;
  try {
    return await resolve(given);
  } catch (error) {
    if (error instanceof OperatingError && (error.code === "SUBJECT_NOT_FOUND" || error.code === "LAKE_EMPTY"))
      return given;
    throw error;
  }
}

/**
 * Enabled rules with those of their subjects that are no id of `known`: about these they never fire. None where nothing
 * is known yet.
 */
export function rulesWithUnknownSubjects(
  rules: readonly StoredRule[],
  known: readonly { id: string }[],
): { rule: string; subjects: string[]; unknown: string[] }[] {
  if (known.length === 0) return [];
  const ids = new Set(known.map(({ id }) => id));
  return rules.flatMap(({ id, is_enabled, subjects }) => {
    const unknown = is_enabled && subjects !== "all" ? subjects.filter((subject) => !ids.has(subject)) : [];
    return unknown.length === 0 || subjects === "all" ? [] : [{ rule: id, subjects: [...subjects], unknown }];
  });
}
