import { withSubjectIds } from "../alert/rule-subjects.ts";
import type { QuerySession } from "../engine/embedded/session.ts";
import { OperatingError } from "../errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { objectsOf, stored } from "../query/ask.ts";
import { knownSubjects, resolveSubject } from "../query/subjects.ts";
import { withLake, type CommonOptions } from "./context.ts";

/** A rule as JSON, its subjects by id. Opens the lake only where the rule names some. Throws NO_SUCH_SUBJECT, AMBIGUOUS_SUBJECT. */
export async function ruleWithIds(options: CommonOptions, pipelines: readonly Pipeline[], json: object, before: unknown = null): Promise<object> {
  if (!("subjects" in json) || !Array.isArray(json.subjects)) return json;
  return withLake(options, pipelines, ({ session, pipeline }) => withIds(session, pipeline, json, before));
}

/**
 * What alerts are about, by the id that a name means. Alerts are also about sources, layers and jobs, and about subjects of the past: what
 * is no subject's name is looked for as typed. Throws AMBIGUOUS_SUBJECT.
 */
export async function subjectTyped(options: CommonOptions, pipelines: readonly Pipeline[], given: string): Promise<string> {
  try {
    const { subjects = [] } = (await ruleWithIds(options, pipelines, { subjects: [given] })) as { subjects?: string[] };
    return subjects[0] ?? given;
  } catch (error) {
    if (error instanceof OperatingError && error.code === "NO_SUCH_SUBJECT") return given;
    throw error;
  }
}

/** As `ruleWithIds`, in a lake that is open. */
export async function withIds(session: QuerySession, pipeline: Pipeline, json: object, before: unknown = null): Promise<object> {
  const tables = (await session.hold()).map(({ table }) => table);
  // Before the first increment nobody knows what there will be: ids are taken as typed.
  if (!tables.includes(pipeline.subjects.table)) return json;
  const known = await knownSubjects(pipeline, stored, async (sql) => objectsOf(await session.query(sql)));
  return (await withSubjectIds(json, before, async (given) => resolveSubject(pipeline.subjects.noun, given, known).id)) as object;
}
