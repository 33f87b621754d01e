import { OperatingError } from "../base/errors.ts";
import type { PartitionLag } from "../log/kafka/log.ts";
import type { ServiceStatus } from "./status.ts";

/** Who is to read a topic to its end. */
export interface Reader {
  topic: string;
  consumer: string;
}

export interface Lag extends Reader {
  /** Records of the topic that it has yet to read; null where nobody can say. */
  records_behind: number | null;
  /** Why nobody can: the topic is not made yet, or no place of the consumer was ever told. */
  unknown?: "no topic" | "no place";
}

/** A broker may take requests and yet not know its consumers: one that just started reads up on them first. */
const ANSWER_TIMEOUT_MS = 10_000;

/** How far readers are behind, by what they told Kafka last; null while it does not run. Throws LOG_UNREACHABLE, LOG_REFUSED. */
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
    if (error instanceof OperatingError && error.code === "NO_SUCH_TOPIC")
      return { records_behind: null, unknown: "no topic" };
    throw error;
  }
}
