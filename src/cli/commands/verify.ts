import { Command } from "commander";
import { OperatingError } from "../../errors.ts";
import { isClaimed } from "../../lake/ownership.ts";
import type { Pipeline } from "../../pipeline/definition.ts";
import { verify, type Books } from "../../query/verify.ts";
import { withLake, type CommonOptions } from "../context.ts";
import { styleResult } from "../output.ts";

export function verifyCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("verify"))
    .description("check the books: log against bronze against silver against gold")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- verify --json\n\nExits 1 when the books do not balance.")
    .action(async (options: CommonOptions) => {
      await withLake(options, pipelines, async ({ lake, session, pipeline, output }) => {
        const books = await verify(lake, session, pipeline, { is_running: isClaimed(lake.lake) });
        if (output.is_json) output.result(JSON.stringify({ lake: lake.lake.name, ...books }, null, 2));
        else output.result(formatBooks(books));
        const failed = books.checks.filter(({ is_true }) => !is_true);
        if (failed.length > 0) {
          throw new OperatingError("BOOKS_DO_NOT_BALANCE", `${failed.length} of ${books.checks.length} checks failed: ${failed.map(({ claim }) => claim).join("; ")}.`, {
            next_step: "Stop the pipeline, keep a copy of the lake's folder, and report what `verify --json` prints.",
          });
        }
      });
    });
}

export function formatBooks({ checks, figures }: Books): string {
  const count = (value: number) => value.toLocaleString("en").padStart(14);
  const lines = [
    `records waiting in the log        ${count(figures.log_waiting)}`,
    `records in bronze                 ${count(figures.bronze_records)}`,
    `  not yet in silver               ${count(figures.silver_waiting)}`,
    `elements judged by silver         ${count(figures.elements)}`,
    `  accepted                        ${count(figures.accepted)}`,
    `  duplicates                      ${count(figures.duplicates)}`,
    `    conflicting                   ${count(figures.conflicting)}`,
    `  refused                         ${count(figures.refused)}`,
    ...Object.entries(figures.refused_by_reason).map(([reason, value]) => `    ${reason.padEnd(30)}${count(value)}`),
    "",
    ...checks.map(({ claim, is_true, evidence }) => `${is_true ? styleResult("green", "✓") : styleResult("red", "✗")} ${claim} ${styleResult("dim", `(${evidence})`)}`),
  ];
  return lines.join("\n");
}
