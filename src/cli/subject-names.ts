import { withSubjectIds } from "../alert/rule-subjects.ts";
import type { QuerySession } from "../duckdb/session.ts";
import type { KnownSubject, Pipeline } from "../pipeline/definition.ts";
import { objectsOf, stored } from "../query/ask.ts";
import { knownSubjects, subjectId } from "../query/subjects.ts";
import { withLake, type CommonOptions } from "./context.ts";

/**
 * Replaces the subject names of a rule by ids. Opens the lake only if the rule names subjects. Throws
 * SUBJECT_NOT_FOUND, AMBIGUOUS_SUBJECT, LAKE_EMPTY.
 */
export async function ruleWithIds(
  options: CommonOptions,
  pipelines: readonly Pipeline[],
  json: object,
  before: unknown = null,
): Promise<object> {
  if (!("subjects" in json) || !Array.isArray(json.subjects)) return json;
  return withLake(options, pipelines, ({ session, pipeline }) => withIds(session, pipeline, json, before));
}

/** Resolves a subject name to its id. Opens the lake. Throws SUBJECT_NOT_FOUND, AMBIGUOUS_SUBJECT, LAKE_EMPTY. */
export async function subjectTyped(
  options: CommonOptions,
  pipelines: readonly Pipeline[],
  given: string,
): Promise<string> {
  return withLake(options, pipelines, async ({ session, pipeline }) =>
    subjectId(pipeline, given, await subjectsOf(session, pipeline)),
  );
}

/** `ruleWithIds` for an open lake. */
export async function withIds(
  session: QuerySession,
  pipeline: Pipeline,
  json: object,
  before: unknown = null,
): Promise<object> {
  const known = await subjectsOf(session, pipeline);
  return (await withSubjectIds(json, before, async (given) => subjectId(pipeline, given, known))) as object;
}

/** All subjects of the lake; empty before the first increment. */
export async function subjectsOf(session: QuerySession, pipeline: Pipeline): Promise<KnownSubject[]> {
  await session.hold();
  if (!session.has(pipeline.subjects.table)) return [];
  return knownSubjects(pipeline, stored, async (sql) => objectsOf(await session.query(sql)));
}
