import type { ConfigDescription } from "@platformatic/kafka";
import { OperatingError } from "../../base/errors.ts";

/** The maximum payload of a record; Kafka's brokers accept requests of 100 MB by default. */
export const PAYLOAD_MAX_BYTES = 64 * 1024 * 1024;
const NO_LIMIT = "-1";
const MAX_REPLICAS = 3;
export const IN_SYNC_SETTING = "min.insync.replicas";
/** Positions are rewritten continuously; Kafka compacts only closed segments, and each start reads the whole topic. */
const POSITIONS_SEGMENT_BYTES = 4 * 1024 * 1024;

export interface TopicPlan {
  name: string;
  partitions: number;
  /** Settings on which the log's guarantees depend: an existing topic must have the same. */
  settings: Readonly<Record<string, string>>;
}

export function positionsTopic(topic: string): string {
  return `${topic}.positions`;
}

/** A topic's number of replicas, and how many of them must have a record before it is acknowledged. */
export interface Replication {
  replicas: number;
  in_sync: number;
}

/** The replication of a new topic: as many replicas as brokers, up to three, one of which may be unavailable. */
export function replication(brokers: number): Replication {
  const replicas = Math.min(MAX_REPLICAS, brokers);
  return { replicas, in_sync: Math.max(1, replicas - 1) };
}

/**
 * The topic of the records, and the compacted topic of the producers' positions, where the last record of a key counts.
 * `flush.messages=1` is fsync before the acknowledgement, on every in-sync replica. Only `prune` deletes records.
 * Timestamps are the broker's: Kafka uses them to expire a producer's sequence numbers after a day, and a replay's
 * records are older than that.
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
        // The extra MiB holds the overhead of one record.
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

/** The configuration of an existing topic. */
export interface FoundTopic {
  settings: ConfigDescription | undefined;
  /** The lowest number of replicas among its partitions. */
  replicas: number;
}

/**
 * Throws TOPIC_SETTINGS_DIFFER for a topic with other settings. More replicas, or more in-sync replicas, are accepted.
 */
export function checkTopic({ name, settings }: TopicPlan, { replicas, in_sync }: Replication, found: FoundTopic): void {
  const present = new Map(found.settings?.configs.map((config) => [config.name, config.value]));
  const wrong = Object.entries(settings).filter(([setting, wanted]) => present.get(setting) !== wanted);
  if (!(Number(present.get(IN_SYNC_SETTING)) >= in_sync)) wrong.push([IN_SYNC_SETTING, String(in_sync)]);
  const differences = wrong.map(
    ([setting, wanted]) => `${setting} is ${present.get(setting) ?? "unknown"}, not ${wanted}`,
  );
  const remedies = [];
  if (wrong.length > 0)
    remedies.push(
      `kafka-configs.sh --alter --entity-type topics --entity-name ${name} --add-config ` +
        wrong.map(([setting, wanted]) => `${setting}=${wanted}`).join(","),
    );
  if (found.replicas < replicas) {
    differences.push(`it is kept on ${found.replicas} brokers, not ${replicas}`);
    remedies.push("kafka-reassign-partitions.sh");
  }
  if (differences.length === 0) return;
  throw new OperatingError(
    "TOPIC_SETTINGS_DIFFER",
    `Topic ${name} was made with other settings, and could lose records or leave gaps: ${differences.join("; ")}`,
    {
      next_step: `Change it (${remedies.join("; ")}), or choose another topic.`,
    },
  );
}
