import type { ConfigDescription } from "@platformatic/kafka";
import { OperatingError } from "../../base/errors.ts";

/** The largest payload that a record may have; Kafka's brokers take requests of 100 MB unless told otherwise. */
export const PAYLOAD_MAX_BYTES = 64 * 1024 * 1024;
const NO_LIMIT = "-1";
const MAX_REPLICAS = 3;
export const IN_SYNC_SETTING = "min.insync.replicas";
/** Positions are rewritten all the time: only closed segments are compacted, and all of it is read at a start. */
const POSITIONS_SEGMENT_BYTES = 4 * 1024 * 1024;

export interface TopicPlan {
  name: string;
  partitions: number;
  /** Without them the log would not keep its word: an existing topic must have the same. */
  settings: Readonly<Record<string, string>>;
}

export function positionsTopic(topic: string): string {
  return `${topic}.positions`;
}

/** On how many brokers a topic is kept, and how many of them must have a record before it is acknowledged. */
export interface Replication {
  replicas: number;
  in_sync: number;
}

/** How often a topic is to be kept: on as many brokers as there are, up to three, of which one may be away. */
export function replication(brokers: number): Replication {
  const replicas = Math.min(MAX_REPLICAS, brokers);
  return { replicas, in_sync: Math.max(1, replicas - 1) };
}

/**
 * The topic of the records and, beside it, that of the producers' positions (a compacted one: the last record of a key
 * counts). `flush.messages=1` is fsync before the acknowledgement, on every replica that counts. Nothing is forgotten
 * but by `prune`. Times are the broker's: by them it forgets a producer's numbers after a day, and a replay's records
 * are older than that.
 */
export function planTopics(topic: string, partitions: number): [TopicPlan, TopicPlan] {
  const durable = {
    "flush.messages": "1",
    "unclean.leader.election.enable": "false",
    "message.timestamp.type": "LogAppendTime",
  };
  return [
    {
      name: topic,
      partitions,
      settings: {
        ...durable,
        "cleanup.policy": "delete",
        "retention.ms": NO_LIMIT,
        "retention.bytes": NO_LIMIT,
        // Room for one record's frame beside its payload.
        "max.message.bytes": String(PAYLOAD_MAX_BYTES + 1024 * 1024),
      },
    },
    {
      name: positionsTopic(topic),
      partitions: 1,
      settings: { ...durable, "cleanup.policy": "compact", "segment.bytes": String(POSITIONS_SEGMENT_BYTES) },
    },
  ];
}

/** How an existing topic is. */
export interface FoundTopic {
  settings: ConfigDescription | undefined;
  /** Of the partition that has the fewest. */
  replicas: number;
}

/**
 * Throws TOPIC_SETTINGS_DIFFER for a topic that was made by other rules. One that is kept more often, or asks for more
 * in sync, will do.
 */
export function checkTopic({ name, settings }: TopicPlan, { replicas, in_sync }: Replication, found: FoundTopic): void {
  const present = new Map(found.settings?.configs.map((config) => [config.name, config.value]));
  const wrong = Object.entries(settings).filter(([setting, wanted]) => present.get(setting) !== wanted);
  if (!(Number(present.get(IN_SYNC_SETTING)) >= in_sync)) wrong.push([IN_SYNC_SETTING, String(in_sync)]);
  const told = wrong.map(([setting, wanted]) => `${setting} is ${present.get(setting) ?? "unknown"}, not ${wanted}`);
  const remedies = [];
  if (wrong.length > 0)
    remedies.push(
      `kafka-configs.sh --alter --entity-type topics --entity-name ${name} --add-config ${wrong.map(([setting, wanted]) => `${setting}=${wanted}`).join(",")}`,
    );
  if (found.replicas < replicas) {
    told.push(`it is kept on ${found.replicas} brokers, not ${replicas}`);
    remedies.push("kafka-reassign-partitions.sh");
  }
  if (told.length === 0) return;
  throw new OperatingError(
    "TOPIC_SETTINGS_DIFFER",
    `Topic ${name} was made with other settings, and could lose records or leave gaps: ${told.join("; ")}`,
    {
      next_step: `Mend it (${remedies.join("; ")}), or choose another topic.`,
    },
  );
}
