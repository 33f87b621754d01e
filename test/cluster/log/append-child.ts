import { openKafkaLog } from "../../../src/log/kafka/log.ts";
import { message } from "../../log/contract.ts";

/** A process for tests to kill: appends numbered batches of 100 from its last position. Arguments: BROKER PREFIX */
const [broker = "", prefix = ""] = process.argv.slice(2);
const KEYS = ["bitcoin", "ether", "doge", "sol", "ada", "xrp"];
const log = await openKafkaLog({ brokers: [broker], prefix });
let next = Number((await log.position("t", "p")) ?? 0);
process.send?.("started");
for (;;) {
  const batch = Array.from({ length: 100 }, (_, i) => message(String(next + i), KEYS[(next + i) % KEYS.length]));
  next += batch.length;
  await log.append("t", batch, { producer: "p", position: String(next) });
}
