import type { Part, PartName } from "./service.ts";
import { airflow } from "./definitions/airflow.ts";
import { hive } from "./definitions/hive.ts";
import { kafka } from "./definitions/kafka.ts";
import { minio } from "./definitions/minio.ts";
import { postgres } from "./definitions/postgres.ts";
import { spark } from "./definitions/spark.ts";

/** In the order in which they start: a part comes after those it needs. */
export const PARTS: readonly Part[] = [kafka, minio, postgres, hive, spark, airflow];

export function partNamed(name: string): Part | undefined {
  return PARTS.find((part) => part.name === name);
}

/** These parts and all that they need, in the order in which they start. */
export function withNeeds(names: readonly PartName[]): Part[] {
  const wanted = new Set<PartName>(names);
  for (const part of PARTS.toReversed()) if (wanted.has(part.name)) part.needs.forEach((need) => wanted.add(need));
  return PARTS.filter(({ name }) => wanted.has(name));
}
