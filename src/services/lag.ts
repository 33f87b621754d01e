import { OperatingError } from "../base/errors.ts";
import type { PartitionLag } from "../log/kafka/log.ts";
import type { ServiceStatus } from "./status.ts";

/** A consumer of a topic. */
export interface Reader {
  topic: string;
  consumer: string;
}

export interface Lag extends Reader {
  /** Consumer lag in records; null where it is unknown. */
  records_behind: number | null;
  /** Why the lag is unknown: the topic does not exist yet, or the consumer has committed no offsets. */
  unknown?: "no topic" | "no place";
}

/** A broker that has just started loads its consumers' offsets before it can answer. */
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Consumer lag by the offsets committed to Kafka; null while Kafka does not run. Throws LOG_UNREACHABLE, LOG_REJECTED.
 */
export async function lagInKafka(status: readonly ServiceStatus[], readers: readonly Reader[]): Promise<Lag[] | null> {
  const kafka = status.find(({ part }) => part === "kafka");
  if (kafka?.state !== "running") return null;
  const { openKafkaLog } = await import("../log/kafka/log.ts");
  const log = await openKafkaLog({ brokers: [`127.0.0.1:${kafka.ports["kafka"]}`], timeout_ms: ANSWER_TIMEOUT_MS });
  try {
    return await Promise.all(
      readers.map(async (reader) => ({ ...reader, ...(await behind(() => log.lag(reader.topic, reader.consumer))) })),
    );
  } finally {
    await log.close();
  }
}

async function behind(readLag: () => Promise<PartitionLag[]>): Promise<Pick<Lag, "records_behind" | "unknown">> {
  try {
    const partitions = await readLag();
    if (partitions.every(({ next }) => next === null)) return { records_behind: null, unknown: "no place" };
    return { records_behind: partitions.reduce((sum, { behind: records }) => sum + records, 0) };
  } catch (error) {
    if (error instanceof OperatingError && error.code === "TOPIC_NOT_FOUND")
      return { records_behind: null, unknown: "no topic" };
    throw error;
  }
}
