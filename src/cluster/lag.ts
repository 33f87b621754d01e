import { OperatingError } from "../errors.ts";
import type { PartStatus } from "./status.ts";

/** Who is to read a topic to its end. */
export interface Reader {
  topic: string;
  consumer: string;
}

export interface Lag extends Reader {
  /** Records of the topic that it has yet to read; null before the topic is made. */
  records_behind: number | null;
}

/** How far readers are behind, by what they told Kafka last; null while it does not run. Throws LOG_UNREACHABLE. */
export async function lagOf(status: readonly PartStatus[], readers: readonly Reader[]): Promise<Lag[] | null> {
  const kafka = status.find(({ part }) => part === "kafka");
  if (kafka?.state !== "running") return null;
  const { openKafkaLog } = await import("../log/kafka/log.ts");
  const log = await openKafkaLog({ brokers: [`127.0.0.1:${kafka.ports["kafka"]}`] });
  try {
    return await Promise.all(readers.map(async (reader) => ({ ...reader, records_behind: await behind(() => log.lag(reader.topic, reader.consumer)) })));
  } finally {
    await log.close();
  }
}

async function behind(ask: () => Promise<{ behind: number }[]>): Promise<number | null> {
  try {
    return (await ask()).reduce((sum, { behind: records }) => sum + records, 0);
  } catch (error) {
    if (error instanceof OperatingError && error.code === "NO_SUCH_TOPIC") return null;
    throw error;
  }
}
