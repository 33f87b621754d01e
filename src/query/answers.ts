import type { Lake } from "../lake/lake.ts";
import type { Answer } from "./ask.ts";

/** Answers as plain data, identical on the command line and over HTTP; values are text, so that no digit is lost. */
export function plainAnswers(lake: Pick<Lake, "name" | "kind">, answers: readonly Answer[]) {
  return { lake: lake.name, kind: lake.kind, answers: answers.map(plainAnswer) };
}

export function plainAnswer(answer: Answer) {
  return {
    question: answer.number,
    title: answer.title,
    as_of: answer.as_of,
    parts: answer.parts.map(({ definition, result, snapshots, lake_at, note, sql }) => ({
      title: definition.title || answer.title,
      columns: definition.columns.map(({ name, header, kind, is_optional }) => ({
        name,
        header,
        kind,
        is_optional: is_optional ?? false,
      })),
      rows: result.rows.map((row) =>
        Object.fromEntries(result.columns.map(({ name }, index) => [name, row[index] ?? null])),
      ),
      note,
      lake_at,
      snapshots,
      sql,
    })),
  };
}
