import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigDescription } from "@platformatic/kafka";
import { checkTopic, planTopics, replication, type FoundTopic } from "../../../src/log/kafka/topic.ts";

const [PLAN] = planTopics("prices", 4);
const THREE_BROKERS = replication(3);

function found(in_sync: number, replicas: number): FoundTopic {
  const settings = { ...PLAN.settings, "min.insync.replicas": String(in_sync) };
  return {
    settings: {
      configs: Object.entries(settings).map(([name, value]) => ({ name, value })),
    } as unknown as ConfigDescription,
    replicas,
  };
}

test("a topic with settings less safe than the cluster allows is rejected with the command that corrects them", () => {
  assert.throws(() => checkTopic(PLAN, THREE_BROKERS, found(1, 3)), {
    code: "TOPIC_SETTINGS_DIFFER",
    message: /: min\.insync\.replicas is 1, not 2$/,
    next_step: /--add-config min\.insync\.replicas=2\)/,
  });
  assert.throws(() => checkTopic(PLAN, THREE_BROKERS, found(2, 2)), {
    code: "TOPIC_SETTINGS_DIFFER",
    message: /kept on 2 brokers, not 3/,
    next_step: /kafka-reassign-partitions/,
  });
  assert.throws(() => checkTopic(PLAN, THREE_BROKERS, { settings: undefined, replicas: 3 }), {
    message: /min\.insync\.replicas is unknown, not 2/,
  });
});

test("a topic with settings as safe as required, or safer, is accepted", () => {
  checkTopic(PLAN, THREE_BROKERS, found(2, 3));
  checkTopic(PLAN, THREE_BROKERS, found(3, 4));
  checkTopic(PLAN, replication(1), found(1, 1));
});
