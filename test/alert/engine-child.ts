import { setTimeout as wait } from "node:timers/promises";
import { alertsFile } from "../../src/alert/open.ts";
import { AlertStore } from "../../src/alert/sqlite/store.ts";
import { knownMarket } from "./known-market.ts";
import { Tape, runEngine } from "./tape.ts";

/**
 * A process whose engine judges a known market into a file, to be killed at any moment: FOLDER, FILE, and by how much the tail
 * begins past the last commit (or before it). Ends by itself when everything is judged and delivered; given how many ticks it may
 * judge at most, it waits there to be killed.
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
  // An alert by the rule as it was is not kept: nothing may come before the edited one is taken up.
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
