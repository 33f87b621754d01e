import { Command, InvalidArgumentError, Option } from "commander";
import type { Alert, Delivery } from "../../alert/alert.ts";
import type { AlertQuery } from "../../alert/facade.ts";
import { subjectOfAlerts } from "../../alert/rule-subjects.ts";
import type { Column, Pipeline } from "../../pipeline/definition.ts";
import type { CommonOptions } from "../context.ts";
import { subjectTyped } from "../subject-names.ts";
import { formatTable } from "../table.ts";
import { layoutOf, withTableOptions, type TableOptions } from "../table-options.ts";
import { withAlerts } from "../with-alerts.ts";

export const ALERT_COLUMNS: readonly Column[] = [
  { name: "opened_at", header: "since (UTC)", kind: "time" },
  { name: "ended_at", header: "until (UTC)", kind: "time" },
  { name: "rule", header: "rule", kind: "text" },
  { name: "message", header: "what", kind: "text" },
  { name: "ticks", header: "ticks", kind: "count" },
];

export function alertRow({ opened_at, ended_at, rule_id, message, ticks }: Alert): (string | null)[] {
  return [opened_at, ended_at, rule_id, message, String(ticks)];
}

const DELIVERY_COLUMNS: readonly Column[] = [
  { name: "sink", header: "sink", kind: "text" },
  { name: "event", header: "event", kind: "text" },
  { name: "state", header: "state", kind: "text" },
  { name: "attempts", header: "attempts", kind: "count" },
  { name: "sent_at", header: "sent (UTC)", kind: "time" },
  { name: "next_attempt_at", header: "next attempt (UTC)", kind: "time" },
  { name: "last_error", header: "last error", kind: "text" },
];

type AlertsOptions = CommonOptions &
  TableOptions & { rule?: string; subject?: string; active?: boolean; limit: number; cursor?: string };

export function alertsCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  // Positional options: those after `report` belong to that subcommand.
  return withTableOptions(withCommon(new Command("alerts").enablePositionalOptions()))
    .description("list alerts, newest first, or show one with its deliveries")
    .argument("[alert]", "id of the alert to show")
    .option("--rule <id>", "list alerts of one rule only")
    .option("--subject <id>", "list alerts of one subject, by id, symbol or name")
    .option("--active", "list only alerts that have not ended")
    .option("--limit <n>", "maximum number of alerts to list", parseLimit, 50)
    .option("--cursor <cursor>", "continue after the previous page (default: first page)")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- alerts --active --limit 10")
    .addCommand(reportCommand(pipelines, withCommon))
    .action((id: string | undefined, options: AlertsOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        if (id !== undefined) {
          const alert = book.getAlert(id);
          output.result(output.is_json ? JSON.stringify(alert, null, 2) : formatAlert(alert));
          return;
        }
        const { subject } = options;
        const asked =
          subject === undefined
            ? options
            : {
                ...options,
                subject: await subjectOfAlerts(book, subject, (given) => subjectTyped(options, pipelines, given)),
              };
        const page = book.listAlerts(queryOf(asked));
        if (output.is_json) output.result(JSON.stringify(page, null, 2));
        else if (page.items.length === 0) output.say("No alerts");
        else output.result(formatTable(ALERT_COLUMNS, page.items.map(alertRow), layoutOf(options)));
        if (!output.is_json && page.next !== null) output.say(`More: alerts --cursor ${page.next}`);
      }),
    );
}

type ReportOptions = CommonOptions & { failed?: string; succeeded?: boolean };

function reportCommand(pipelines: readonly Pipeline[], withCommon: (command: Command) => Command): Command {
  return withCommon(new Command("report"))
    .description("report the result of an external job")
    .argument("<job>", "name of the job")
    .addOption(new Option("--failed <reason>", "report a failure; fires an alert").conflicts("succeeded"))
    .option("--succeeded", "report a success; ends the job's alert")
    .addHelpText("after", '\nExample:\n  npm run -s coinlake -- alerts report backup --failed "the disk is full"')
    .action((job: string, options: ReportOptions, command: Command) => {
      const { failed, succeeded } = options;
      if (failed === undefined && !succeeded)
        command.error("error: missing result: give --failed REASON or --succeeded");
      return withAlerts(options, pipelines, async ({ book, output }) => {
        const events = await book.reportJob({ job, failure: failed ?? null });
        if (output.is_json) return output.result(JSON.stringify(events, null, 2));
        for (const { event, alert } of events) output.say(`${event}: ${alert.message}`);
        if (events.length === 0)
          output.say(
            succeeded ? `${job} succeeded; it had no active alert` : `${job} failed again; its alert is already active`,
          );
      });
    });
}

function queryOf({ rule, subject, active, limit, cursor }: AlertsOptions): AlertQuery {
  return {
    limit,
    ...(rule === undefined ? {} : { rule }),
    ...(subject === undefined ? {} : { subject }),
    ...(active ? { state: "active" as const } : {}),
    ...(cursor === undefined ? {} : { cursor }),
  };
}

function formatAlert(alert: Alert & { deliveries: Delivery[] }): string {
  const { deliveries, ...rest } = alert;
  const lines = Object.entries(rest).map(
    ([name, value]) =>
      `${name.padEnd(16)}${value !== null && typeof value === "object" ? JSON.stringify(value) : (value ?? "–")}`,
  );
  if (deliveries.length === 0) return lines.join("\n");
  const rows = deliveries.map(({ sink, event, state, attempts, sent_at, next_attempt_at, last_error }) => [
    sink,
    event,
    state,
    String(attempts),
    sent_at,
    next_attempt_at,
    last_error,
  ]);
  return `${lines.join("\n")}\n${formatTable(DELIVERY_COLUMNS, rows)}`;
}

export function parseLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1 || limit > 1_000)
    throw new InvalidArgumentError("Use a whole number from 1 to 1,000.");
  return limit;
}
