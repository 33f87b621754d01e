import { Command } from "commander";
import type { Column, Pipeline } from "../../pipeline/definition.ts";
import type { CommonOptions } from "../context.ts";
import { formatTable } from "../table.ts";
import { parseJson, withAlerts } from "../with-alerts.ts";

type Decorate = (command: Command) => Command;

const SINK_COLUMNS: readonly Column[] = [
  { name: "id", header: "id", kind: "text" },
  { name: "kind", header: "kind", kind: "text" },
  { name: "target", header: "target", kind: "text" },
];

const EXAMPLES = `
A sink of each kind:
  {"id":"hook","kind":"webhook","url":"https://example.org/alerts"}   signed (Standard Webhooks); prints the secret once
  {"id":"chat","kind":"slack","url":"https://hooks.slack.com/services/..."}
  {"id":"bell","kind":"command","argv":["notify-send","Coinlake"]}    receives the alert as JSON on standard input
  {"id":"book","kind":"file","path":"/var/log/alerts.jsonl"}          appends one line of JSON per alert

Example:
  npm run -s coinlake -- rules sinks add '{"id":"hook","kind":"webhook","url":"https://example.org/alerts"}'`;

/** Only the command line creates sinks: a web page must not decide what runs commands or reaches a network. */
export function sinksCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  const list = withCommon(new Command("list"))
    .description("list the configured sinks")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules sinks list")
    .action((options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        const sinks = book.listSinks();
        output.result(
          output.is_json
            ? JSON.stringify(sinks, null, 2)
            : formatTable(
                SINK_COLUMNS,
                sinks.map(({ id, kind, target }) => [id, kind, target]),
              ),
        );
      }),
    );
  const add = withCommon(new Command("add"))
    .description("create a sink that rules can use by its id")
    .argument("<json>", "sink as JSON; - reads standard input, which hides secrets")
    .addHelpText("after", EXAMPLES)
    .action((json: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        const given = await parseJson(json);
        const { sink, secret } = await book.createSink(given);
        const is_new_secret = secret !== null && !("secret" in given);
        if (output.is_json) output.result(JSON.stringify(is_new_secret ? { ...sink, secret } : sink, null, 2));
        else {
          output.say(
            `Created the sink ${sink.id} (${sink.kind}, ${sink.target}). ` +
              `Use it in a rule: rules edit RULE '{"sinks":["page","${sink.id}"]}'`,
          );
          if (is_new_secret) output.result(`Its secret, shown this once: ${secret}`);
        }
      }),
    );
  const remove = withCommon(new Command("delete"))
    .description("delete an unused sink and cancel its pending deliveries")
    .argument("<sink>", "id of the sink")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules sinks delete hook")
    .action((id: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        await book.deleteSink(id);
        if (output.is_json) output.result(JSON.stringify({ deleted: id }));
        else output.say(`Deleted the sink ${id}`);
      }),
    );
  return new Command("sinks")
    .description("manage alert sinks: webhooks, chats, commands and files")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules sinks list")
    .addCommand(list)
    .addCommand(add)
    .addCommand(remove);
}
