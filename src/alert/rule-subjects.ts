import { OperatingError } from "../base/errors.ts";
import type { AlertBook } from "./facade.ts";
import type { StoredRule } from "./rule.ts";

/**
 * Replaces the symbols and names of subjects in a rule's JSON by ids. A value that is not a list of texts stays
 * unchanged: the rule's schema reports the error. Subjects that the rule already had stay where the lake does not know
 * them. Throws the errors of `resolve` for all others.
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

/** Null where the name matches no subject or several. */
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
 * The subject by which a filter selects alerts. Alerts are about subjects, sources, layers and jobs, and also about
 * former subjects. The text itself is used where alerts with this subject exist; else the id of the subject that it
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
 * Enabled rules, each with those of its subjects that are not in `known`: for these it never fires. Empty where `known`
 * is empty.
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
