import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { startParts, type RunningCluster } from "../../../src/cluster/cluster.ts";
import { openKafkaLog } from "../../../src/log/kafka/log.ts";
import { logContract } from "../../log/contract.ts";

let folder: string;
let cluster: RunningCluster;
let logs = 0;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "coinlake-kafka-"));
  cluster = await startParts(["kafka"], { folder, ports: "free" });
});
after(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true });
});

logContract("The Kafka log", async () => {
  const prefix = `contract-${(logs += 1)}.`;
  return {
    open: () => openKafkaLog({ brokers: [cluster.environment["COINLAKE_KAFKA_BROKERS"]!], prefix }),
    dispose: async () => {},
  };
});
