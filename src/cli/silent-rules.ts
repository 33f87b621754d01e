import { openAlertBook } from "../alert/open.ts";
import { rulesWithUnknownSubjects } from "../alert/rule-subjects.ts";
import { systemClock } from "../base/clock.ts";
import { QuerySession } from "../duckdb/session.ts";
import type { OpenLake } from "../lake/open.ts";
import { OperatingError } from "../base/errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { subjectsOf } from "./subject-names.ts";

/** Warns of rules whose subject ids the lake does not know: names from an earlier version, or ids of another source. */
export async function warnOfSilentRules(
  open: OpenLake,
  pipeline: Pipeline,
  warn: (text: string) => void,
): Promise<void> {
  const book = await openAlertBook(open.lake.folder, pipeline, systemClock);
  const rules = book.listRules();
  await book.close();
  // Most rules apply to all subjects; the lake is read only for others.
  if (rules.every(({ subjects }) => subjects === "all")) return;
  const session = await QuerySession.open(open);
  try {
    const known = await subjectsOf(session, pipeline);
    for (const { rule, subjects, unknown } of rulesWithUnknownSubjects(rules, known)) {
      const command = `npm run -s coinlake -- rules edit ${rule} '${JSON.stringify({ subjects })}'`;
      warn(
        `the rule ${rule} cannot fire for ${unknown.join(", ")}: no ${pipeline.subjects.noun} in the lake has ` +
          `this id. Correct the rule: ${command}`,
      );
    }
  } catch (error) {
    // The run starts regardless: the first reader of an unreadable table reports it.
    if (!(error instanceof OperatingError)) throw error;
  } finally {
    session.close();
  }
}
