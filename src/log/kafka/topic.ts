import type { ConfigDescription } from "@platformatic/kafka";
import { OperatingError } from "../../errors.ts";

/** The largest payload that a record may have; Kafka's brokers take requests of 100 MB unless told otherwise. */
export const PAYLOAD_MAX_BYTES = 64 * 1024 * 1024;
const NO_LIMIT = "-1";
const MAX_REPLICAS = 3;
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

/** How often a new topic is kept: on as many brokers as there are, up to three, of which one may be away. */
export function replication(brokers: number): { replicas: number; in_sync: number } {
  const replicas = Math.min(MAX_REPLICAS, brokers);
  return { replicas, in_sync: Math.max(1, replicas - 1) };
}

/**
 * The topic of the records and, beside it, that of the producers' positions (a compacted one: the last record of a key counts).
 * `flush.messages=1` is fsync before the acknowledgement, on every replica that counts. Nothing is forgotten but by `prune`.
 * Times are the broker's: by them it forgets a producer's numbers after a day, and a replay's records are older than that.
 */
export function planTopics(topic: string, partitions: number): [TopicPlan, TopicPlan] {
  const durable = { "flush.messages": "1", "unclean.leader.election.enable": "false", "message.timestamp.type": "LogAppendTime" };
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

/** Throws TOPIC_SETTINGS_DIFFER for a topic that was made by other rules. */
export function checkSettings({ name, settings }: TopicPlan, described: ConfigDescription | undefined): void {
  const present = new Map(described?.configs.map((config) => [config.name, config.value]));
  const wrong = Object.entries(settings).filter(([setting, wanted]) => present.get(setting) !== wanted);
  if (wrong.length === 0) return;
  const told = wrong.map(([setting, wanted]) => `${setting} is ${present.get(setting) ?? "unknown"}, not ${wanted}`);
  throw new OperatingError("TOPIC_SETTINGS_DIFFER", `Topic ${name} was made with other settings, and could lose records or leave gaps: ${told.join("; ")}`, {
    next_step: `Set them (kafka-configs.sh --alter --entity-type topics --entity-name ${name} --add-config ${wrong.map(([setting, wanted]) => `${setting}=${wanted}`).join(",")}), or choose another topic.`,
  });
}
