import { Command } from "commander";
import { backTest } from "../../alert/back-test.ts";
import type { BackTest } from "../../alert/facade.ts";
import { sqlHistory } from "../../alert/history.ts";
import { describeCondition } from "../../alert/message.ts";
import type { StoredRule } from "../../alert/rule.ts";
import { openAlertBook } from "../../alert/open.ts";
import { systemClock } from "../../base/clock.ts";
import type { Column, Pipeline } from "../../pipeline/definition.ts";
import { lakeEmpty } from "../../query/ask.ts";
import { parseTime, withLake, type CommonOptions } from "../context.ts";
import { formatTime } from "../format.ts";
import { ruleWithIds, withIds } from "../subject-names.ts";
import { formatTable } from "../table.ts";
import { layoutOf, withTableOptions, type TableOptions } from "../table-options.ts";
import { parseJson, withAlerts } from "../with-alerts.ts";
import { ALERT_COLUMNS, alertRow, parseLimit } from "./alerts.ts";
import { sinksCommand } from "./sinks.ts";

type Decorate = (command: Command) => Command;

/** Rows per page of history: this process may use more memory than a server. */
const PAGE_ROWS = 50_000;

const EXAMPLES = `
A rule of each kind. Every kind also takes subjects, severity, cooldown_seconds, hysteresis_percent,
is_recovery_notified and sinks.
  {"name":"Falls","condition":{"kind":"change","direction":"fall","percent":5,"window_minutes":10}}
  {"name":"Above","condition":{"kind":"crosses","direction":"above","level":"100000"},"subjects":["ID"]}
  {"name":"Volume","condition":{"kind":"volume_spike","window_minutes":5,"times":4,"baseline_windows":12}}
  {"name":"Fewer","condition":{"kind":"volume_fall","window_minutes":10,"percent":50,"baseline_windows":6}}
  {"name":"Volatile","condition":{"kind":"volatility","window_minutes":30,"percent":0.5}}
  {"name":"Silence","condition":{"kind":"silent","seconds":60,"source":"all"}}
  {"name":"Late","condition":{"kind":"lag","layer":"gold","seconds":120}}
  {"name":"A job failed","condition":{"kind":"failed","job":"all"}}

Example:
  npm run -s coinlake -- rules add '{"name":"Silence","condition":{"kind":"silent","seconds":60,"source":"all"}}'`;

export function rulesCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return new Command("rules")
    .description("manage alert rules and test them on the lake's history")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules list")
    .addCommand(listCommand(pipelines, withCommon))
    .addCommand(showCommand(pipelines, withCommon))
    .addCommand(addCommand(pipelines, withCommon))
    .addCommand(editCommand(pipelines, withCommon))
    .addCommand(switchCommand("enable", true, pipelines, withCommon))
    .addCommand(switchCommand("disable", false, pipelines, withCommon))
    .addCommand(deleteCommand(pipelines, withCommon))
    .addCommand(testCommand(pipelines, withCommon))
    .addCommand(sinksCommand(pipelines, withCommon));
}

const RULE_COLUMNS: readonly Column[] = [
  { name: "id", header: "id", kind: "text" },
  { name: "condition", header: "fires when", kind: "text" },
  { name: "subjects", header: "subjects", kind: "text" },
  { name: "severity", header: "severity", kind: "text" },
  { name: "is_enabled", header: "enabled", kind: "text" },
  { name: "sinks", header: "sinks", kind: "text" },
];

function ruleRow({ id, condition, subjects, severity, is_enabled, sinks }: StoredRule): string[] {
  return [
    id,
    describeCondition(condition),
    subjects === "all" ? "all" : subjects.join(", "),
    severity,
    is_enabled ? "yes" : "no",
    sinks.join(", "),
  ];
}

function listCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withTableOptions(withCommon(new Command("list")))
    .description("list the lake's rules")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules list --json")
    .action((options: CommonOptions & TableOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        const rules = book.listRules();
        output.result(
          output.is_json
            ? JSON.stringify(rules, null, 2)
            : formatTable(RULE_COLUMNS, rules.map(ruleRow), layoutOf(options)),
        );
      }),
    );
}

function showCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("show"))
    .description("show one rule as JSON")
    .argument("<rule>", "id of the rule")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules show fall-5-percent-10-minutes")
    .action((id: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) =>
        output.result(JSON.stringify(book.getRule(id), null, 2)),
      ),
    );
}

function addCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("add"))
    .description("create a rule, effective within 1 s in running pipelines")
    .argument("<json>", "rule as JSON; - reads standard input")
    .addHelpText("after", EXAMPLES)
    .action((json: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        const rule = await book.createRule(await ruleWithIds(options, pipelines, await parseJson(json)));
        if (output.is_json) output.result(JSON.stringify(rule, null, 2));
        else output.say(`Created the rule ${rule.id}: ${describeCondition(rule.condition)}`);
      }),
    );
}

function editCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("edit"))
    .description("change fields of a rule and reset its state")
    .argument("<rule>", "id of the rule")
    .argument("<json>", "fields to change, as JSON; - reads standard input")
    .addHelpText(
      "after",
      `\nExample:\n  npm run -s coinlake -- rules edit fall-5-percent-10-minutes '{"cooldown_seconds":3600}'`,
    )
    .action((id: string, json: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        const before = book.getRule(id);
        const rule = await book.replaceRule(id, {
          ...before,
          ...(await ruleWithIds(options, pipelines, await parseJson(json), before.subjects)),
        });
        if (output.is_json) output.result(JSON.stringify(rule, null, 2));
        else output.say(`Changed the rule ${id}: ${describeCondition(rule.condition)}`);
      }),
    );
}

function switchCommand(
  name: "enable" | "disable",
  is_enabled: boolean,
  pipelines: readonly Pipeline[],
  withCommon: Decorate,
): Command {
  return withCommon(new Command(name))
    .description(is_enabled ? "enable a rule" : "disable a rule and end its active alerts")
    .argument("<rule>", "id of the rule")
    .addHelpText("after", `\nExample:\n  npm run -s coinlake -- rules ${name} fall-5-percent-10-minutes`)
    .action((id: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        const rule = await book.replaceRule(id, { ...book.getRule(id), is_enabled });
        if (output.is_json) output.result(JSON.stringify(rule, null, 2));
        else output.say(`${is_enabled ? "Enabled" : "Disabled"} the rule ${id}`);
      }),
    );
}

function deleteCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("delete"))
    .description("delete a rule and end its active alerts; history remains")
    .argument("<rule>", "id of the rule")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules delete fall-5-percent-10-minutes")
    .action((id: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        await book.deleteRule(id);
        if (output.is_json) output.result(JSON.stringify({ deleted: id }));
        else output.say(`Deleted the rule ${id}`);
      }),
    );
}

type TestOptions = CommonOptions & { from?: number; to?: number; limit: number };

function testCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  return withCommon(new Command("test"))
    .description("list the alerts a rule would have fired before")
    .argument("<rule>", "rule id, or rule as JSON; - reads standard input")
    .option("--from <time>", "list alerts from this event time on (default: all)", parseTime)
    .option("--to <time>", "read updates before this event time (default: all)", parseTime)
    .option("--limit <n>", "maximum number of alerts to list", parseLimit, 1_000)
    .addHelpText(
      "after",
      `\nExamples:
  npm run -s coinlake -- rules test fall-5-percent-10-minutes --from 2023-03-14T00:00:00Z --to 2023-03-15T00:00:00Z
  npm run -s coinlake -- rules test '{"name":"x","condition":{"kind":"volatility","window_minutes":30,"percent":0.5}}'`,
    )
    .action((which: string, options: TestOptions) =>
      withLake(options, pipelines, async ({ open, session, pipeline, output }) => {
        // Pinned snapshots: the whole test reads one state of the lake.
        await session.hold();
        if (!session.has(pipeline.reconciliation.accepted)) throw lakeEmpty(pipeline);
        const is_json = /^\s*\{|^-$/.test(which);
        const rule = is_json
          ? await withIds(session, pipeline, await parseJson(which))
          : await storedRule(open.lake.folder, pipeline, which);
        const history = sqlHistory({
          query: (sql) => session.query(sql),
          pipeline,
          over: "tables",
          page_rows: PAGE_ROWS,
        });
        const range = { ...rangeOf("from", options.from), ...rangeOf("to", options.to), limit: options.limit };
        const found = await backTest(history, rule, {
          ...range,
          lateness_s: pipeline.alerts.lateness_s,
          now_us: systemClock.now_us(),
        });
        output.result(output.is_json ? JSON.stringify(found, null, 2) : formatBackTest(found));
      }),
    );
}

async function storedRule(folder: string, pipeline: Pipeline, id: string): Promise<StoredRule> {
  const book = await openAlertBook(folder, pipeline, systemClock);
  try {
    return book.getRule(id);
  } finally {
    await book.close();
  }
}

function rangeOf(name: "from" | "to", at_ms: number | undefined): Partial<Record<"from" | "to", string>> {
  return at_ms === undefined ? {} : { [name]: new Date(at_ms).toISOString() };
}

function formatBackTest({ rule, from, to, ticks, subjects, fired, alerts }: BackTest): string {
  const times = from && to ? `, ${formatTime(from)} to ${formatTime(to)}` : "";
  const range = `${ticks.toLocaleString("en")} updates of ${subjects.toLocaleString("en")} subjects${times}`;
  const condition = `${rule.id}: fires when ${describeCondition(rule.condition)}`;
  const summary = `${condition}\n${range}: ${fired.toLocaleString("en")} alerts`;
  const cut = fired > alerts.length ? `\n(the first ${alerts.length} are listed)` : "";
  return alerts.length === 0 ? summary : `${summary}\n${formatTable(ALERT_COLUMNS, alerts.map(alertRow))}${cut}`;
}
