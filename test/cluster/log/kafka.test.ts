import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import { setTimeout as wait } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { Admin, Producer } from "@platformatic/kafka";
import { lagInKafka } from "../../../src/services/lag.ts";
import type { ServiceStatus } from "../../../src/services/status.ts";
import { openKafkaLog, type KafkaLog } from "../../../src/log/kafka/log.ts";
import { planTopics } from "../../../src/log/kafka/topic.ts";
import { logContract, message } from "../../log/contract.ts";
import { Servers } from "../servers.ts";

let servers: Servers;
let brokers: string[];
let prefixes = 0;
const newPrefix = (): string => `test-${(prefixes += 1)}.`;

before(async () => {
  servers = await Servers.start("kafka");
  brokers = [servers.environment.COINLAKE_KAFKA_BROKERS ?? ""];
});
after(async () => {
  await servers?.leave();
});

logContract("The Kafka log", async () => {
  const prefix = newPrefix();
  return {
    open: () => openKafkaLog({ brokers, prefix }),
    dispose: async () => {},
  };
});

const ALL = { max_records: 1_000_000, max_bytes: 1_000_000_000 };
const clientOptions = () => ({ clientId: "somebody-else", bootstrapBrokers: brokers });

describe("the Kafka log and its cluster", () => {
  async function withLogs(count: number, body: (prefix: string, ...logs: KafkaLog[]) => Promise<void>): Promise<void> {
    const prefix = newPrefix();
    const logs = await Promise.all(Array.from({ length: count }, () => openKafkaLog({ brokers, prefix })));
    try {
      await body(prefix, ...logs);
    } finally {
      await Promise.all(logs.map((log) => log.close()));
    }
  }

  async function asSomebodyElse(body: (admin: Admin, producer: Producer) => Promise<void>): Promise<void> {
    const admin = new Admin(clientOptions());
    const producer = new Producer({ ...clientOptions(), idempotent: true, retries: 3 });
    try {
      await body(admin, producer);
    } finally {
      await Promise.all([admin.close(), producer.close()]);
    }
  }

  it("rejects and keeps an existing topic with fewer partitions, or settings that would lose records", async () => {
    await withLogs(1, async (prefix, log) => {
      await asSomebodyElse(async (admin) => {
        await admin.createTopics({ topics: [`${prefix}few`], partitions: 1, replicas: 1 });
        await assert.rejects(log.createTopic("few", 4), {
          code: "TOPIC_PARTITIONS_DIFFER",
          message: /has 1 partitions, not 4/,
        });
        await admin.createTopics({ topics: [`${prefix}forgetful`], partitions: 4, replicas: 1 });
        await assert.rejects(log.createTopic("forgetful", 4), {
          code: "TOPIC_SETTINGS_DIFFER",
          message: /retention\.ms is 604800000, not -1/,
          next_step: /--add-config flush\.messages=1/,
        });
        assert.equal((await log.bounds("few")).length, 1);
      });
    });
  });

  it("accepts an existing topic with the settings that Coinlake would give it", async () => {
    await withLogs(1, async (prefix, log) => {
      await asSomebodyElse(async (admin) => {
        for (const { name, partitions, settings } of planTopics(`${prefix}t`, 2)) {
          const configs = Object.entries(settings).map(([setting, value]) => ({ name: setting, value }));
          await admin.createTopics({ topics: [name], partitions, replicas: 1, configs });
        }
        await log.createTopic("t", 2);
        await log.append("t", [message("x")]);
      });
    });
  });

  it("reads records of another writer without a source, and rejects the offset gap of a transaction", async () => {
    await withLogs(1, async (prefix, log) => {
      await log.createTopic("t", 1);
      await log.createTopic("u", 1);
      await log.append("t", [message("ours")]);
      await asSomebodyElse(async (_, producer) => {
        const sent_ms = Date.now();
        await producer.send({ messages: [{ topic: `${prefix}t`, value: Buffer.from("theirs"), timestamp: 1n }] });
        const [ours, theirs] = await log.read("t", 0, 0, ALL);
        assert.deepEqual(
          [ours?.source, theirs?.source, theirs?.key, String(theirs?.payload)],
          [message("ours").source, "", "", "theirs"],
        );
        assert.ok(
          theirs!.ingested_at_us >= sent_ms * 1000 && theirs!.ingested_at_us <= Date.now() * 1000,
          "when the broker took it, not the sender's time",
        );
        const transaction = await producer.beginTransaction();
        const headers = new Map([
          [Buffer.from("source"), Buffer.from("s")],
          [Buffer.from("ingested_at_us"), Buffer.from("1")],
        ]);
        await transaction.send({
          messages: [{ topic: `${prefix}u`, key: Buffer.from("k"), value: Buffer.from("theirs"), headers }],
        });
        await transaction.commit();
        // A transaction's end marker follows the commit.
        await log.waitForAppend("u", [{ partition: 0, begin: 0, end: 1 }], AbortSignal.timeout(10_000));
        await assert.rejects(log.read("u", 0, 0, ALL), { code: "FOREIGN_RECORD", message: /\/0, offset 1:/ });
      });
    });
  });

  it("wakes a waiting reader when another process appends, and sends few requests while idle", async () => {
    await withLogs(2, async (_, here, there) => {
      await here.createTopic("t", 3);
      const ends = await here.bounds("t");
      let requests = 0;
      const count = (): void => void (requests += 1);
      const controller = new AbortController();
      const waits = Array.from({ length: 5 }, () => here.waitForAppend("t", ends, controller.signal));
      channel("tracing:plt:kafka:connections:api:start").subscribe(count);
      await wait(3_000);
      channel("tracing:plt:kafka:connections:api:start").unsubscribe(count);
      assert.ok(requests <= 8, `${requests} requests in three seconds`);
      const appended_ms = performance.now();
      await there.append("t", [message("x")]);
      await Promise.all(waits);
      assert.ok(performance.now() - appended_ms < 900, "the append itself wakes the reader, not its next poll");
    });
  });

  it("reports a consumer's lag once the consumer has committed offsets", async () => {
    await withLogs(1, async (_, log) => {
      await log.createTopic("t", 2);
      await log.append(
        "t",
        Array.from({ length: 10 }, (_, i) => message(String(i), `key ${i}`)),
      );
      const ends = await log.bounds("t");
      assert.deepEqual(
        (await log.lag("t", "bronze")).map(({ next, behind }) => [next, behind]),
        ends.map(({ end }) => [null, end]),
      );
      await log.commitOffsets("t", "bronze", new Map(ends.map(({ partition, end }) => [partition, end - 1])));
      assert.deepEqual(
        (await log.lag("t", "bronze")).map(({ next, behind }) => [next, behind]),
        ends.map(({ end }) => [end - 1, 1]),
      );
    });
  });

  it("reports an unknown lag for a consumer without committed offsets and for a missing topic", async () => {
    await withLogs(1, async (prefix, log) => {
      await log.createTopic("t", 1);
      await log.append("t", [message("x")]);
      const [topic, none, consumer] = [`${prefix}t`, `${prefix}none`, `${prefix}bronze`];
      const running = {
        part: "kafka",
        state: "running",
        ports: { kafka: Number(brokers[0]?.split(":")[1]) },
      } as unknown as ServiceStatus;
      const lag = () =>
        lagInKafka(
          [running],
          [
            { topic, consumer },
            { topic: none, consumer },
          ],
        );
      const unmade = { topic: none, consumer, records_behind: null, unknown: "no topic" };
      assert.deepEqual(await lag(), [{ topic, consumer, records_behind: null, unknown: "no place" }, unmade]);
      await log.commitOffsets("t", "bronze", new Map([[0, 0]]));
      assert.deepEqual(await lag(), [{ topic, consumer, records_behind: 1 }, unmade]);
    });
  });

  it("rejects a record above the size limit before its batch is sent, and accepts records at the limit", async () => {
    await withLogs(1, async (_, log) => {
      await log.createTopic("t", 2);
      const too_large = new Uint8Array(64 * 1024 * 1024 + 1);
      await assert.rejects(log.append("t", [message("small"), { ...message("x"), payload: too_large }]), {
        code: "RECORD_TOO_LARGE",
      });
      assert.deepEqual(
        (await log.bounds("t")).map(({ end }) => end),
        [0, 0],
      );
      // Together they exceed the maximum request size of a broker.
      await log.append(
        "t",
        ["a", "b"].map((key) => ({ ...message("x", key), payload: too_large.subarray(1) })),
      );
      assert.equal(
        (await log.bounds("t")).reduce((sum, { end }) => sum + end, 0),
        2,
      );
    });
  });
});
