import { setTimeout as wait } from "node:timers/promises";
import { alertsFile } from "../../src/alert/open.ts";
import { AlertStore } from "../../src/alert/sqlite/store.ts";
import { knownMarket } from "./known-market.ts";
import { Tape, runEngine } from "./tape.ts";

/**
 * A process whose engine evaluates a known market and delivers alerts to a file, so that tests can kill it at any
 * moment. Arguments: FOLDER, FILE, the offset of the tail's start from the last commit (may be negative), and the
 * maximum number of ticks to evaluate, after which it waits to be killed. Without a maximum it exits when everything is
 * evaluated and delivered.
 */
const [folder = "", path = "", shift = "0", most = ""] = process.argv.slice(2);
const { ticks, rule } = knownMarket();

const store = new AlertStore(alertsFile(folder));
const committed = store.progress()["t/0"] ?? 0;
store.close();
const tape = new Tape(ticks, committed === 0 ? 0 : Math.max(0, Math.min(ticks.length, committed + Number(shift))));

const { engine, stop } = await runEngine(folder, tape, { rules: [{ ...rule, sinks: ["page"] }] });
if (engine.listSinks().length === 1) await engine.createSink({ id: "file", kind: "file", path });
if (!engine.getRule(rule.id).sinks.includes("file")) {
  await engine.replaceRule(rule.id, { ...rule, sinks: ["page", "file"] });
  // The engine keeps no alert of the earlier version of the rule, so no tick may arrive before it has loaded the edited
  // one.
  await engine.idle();
}
process.stdout.write("running\n");
const end = most === "" ? ticks.length : Number(most);
while (!tape.is_at_end) {
  if ((tape.state().next["t/0"] ?? 0) >= end) {
    await wait(10);
    continue;
  }
  tape.absorb(25);
  await wait(1);
}
await engine.idle();
while (engine.state().deliveries.waiting > 0) await wait(5);
await stop();
process.stdout.write("done\n");
