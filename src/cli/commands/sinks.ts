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
  {"id":"hook","kind":"webhook","url":"https://example.org/alerts"}   signed as Standard Webhooks say; the secret is shown once
  {"id":"chat","kind":"slack","url":"https://hooks.slack.com/services/..."}
  {"id":"bell","kind":"command","argv":["notify-send","Coinlake"]}    the alert comes on its standard input, as JSON
  {"id":"book","kind":"file","path":"/var/log/alerts.jsonl"}          a line of JSON each

Example:
  npm run -s coinlake -- rules sinks add '{"id":"hook","kind":"webhook","url":"https://example.org/alerts"}'`;

/** Sinks are made here and nowhere else: what may run a command or reach a network is not for a web page to say. */
export function sinksCommand(pipelines: readonly Pipeline[], withCommon: Decorate): Command {
  const list = withCommon(new Command("list"))
    .description("where rules may send to")
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
    .description("make a sink; rules then name it by its id")
    .argument("<json>", "the sink, or - for standard input, which keeps a secret out of the shell's history")
    .addHelpText("after", EXAMPLES)
    .action((json: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        const given = await parseJson(json);
        const { sink, secret } = await book.createSink(given);
        const is_new_secret = secret !== null && !("secret" in given);
        if (output.is_json) output.result(JSON.stringify(is_new_secret ? { ...sink, secret } : sink, null, 2));
        else {
          output.say(
            `Made the sink ${sink.id} (${sink.kind}, ${sink.target}). Now name it in a rule: rules edit RULE '{"sinks":["page","${sink.id}"]}'`,
          );
          if (is_new_secret) output.result(`Its secret, shown this once: ${secret}`);
        }
      }),
    );
  const remove = withCommon(new Command("delete"))
    .description("delete a sink that no rule names; what still waits for it is given up")
    .argument("<sink>", "its id")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules sinks delete hook")
    .action((id: string, options: CommonOptions) =>
      withAlerts(options, pipelines, async ({ book, output }) => {
        await book.deleteSink(id);
        if (output.is_json) output.result(JSON.stringify({ deleted: id }));
        else output.say(`Deleted the sink ${id}.`);
      }),
    );
  return new Command("sinks")
    .description("where alerts go: webhooks, chats, commands, files")
    .addHelpText("after", "\nExample:\n  npm run -s coinlake -- rules sinks list")
    .addCommand(list)
    .addCommand(add)
    .addCommand(remove);
}
