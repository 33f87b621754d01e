import { openAlertBook } from "../alert/open.ts";
import { rulesWithUnknownSubjects } from "../alert/rule-subjects.ts";
import { systemClock } from "../base/clock.ts";
import { QuerySession } from "../duckdb/session.ts";
import type { OpenLake } from "../lake/open.ts";
import { OperatingError } from "../base/errors.ts";
import type { Pipeline } from "../pipeline/definition.ts";
import { subjectsOf } from "./subject-names.ts";

/** Rules about subjects that the lake does not know under these ids: names typed in an earlier version, or another source's ids. */
export async function warnOfSilentRules(
  lake: OpenLake,
  pipeline: Pipeline,
  warn: (text: string) => void,
): Promise<void> {
  const book = await openAlertBook(lake.lake.folder, pipeline, systemClock);
  const rules = book.listRules();
  await book.close();
  // Mostly rules are about all: then the lake need not be read.
  if (rules.every(({ subjects }) => subjects === "all")) return;
  const session = await QuerySession.open(lake);
  try {
    const known = await subjectsOf(session, pipeline);
    for (const { rule, subjects, unknown } of rulesWithUnknownSubjects(rules, known)) {
      const command = `npm run -s coinlake -- rules edit ${rule} '${JSON.stringify({ subjects })}'`;
      warn(
        `the rule ${rule} does not fire for ${unknown.join(", ")}: no ${pipeline.subjects.noun} of the lake has such an id. Name it again: ${command}`,
      );
    }
  } catch (error) {
    // A table that cannot be read is reported by what needs it; the run begins all the same.
    if (!(error instanceof OperatingError)) throw error;
  } finally {
    session.close();
  }
}
