import type { Service, ServiceName } from "./service.ts";
import { airflow } from "./definitions/airflow.ts";
import { hive } from "./definitions/hive.ts";
import { kafka } from "./definitions/kafka.ts";
import { minio } from "./definitions/minio.ts";
import { postgres } from "./definitions/postgres.ts";
import { spark } from "./definitions/spark.ts";

/** All services in start order: each comes after those it needs. */
export const SERVICES: readonly Service[] = [kafka, minio, postgres, hive, spark, airflow];

export function serviceNamed(name: string): Service | undefined {
  return SERVICES.find((service) => service.name === name);
}

/** These services and all that they need, in start order. */
export function withNeeds(names: readonly ServiceName[]): Service[] {
  const wanted = new Set<ServiceName>(names);
  for (const service of SERVICES.toReversed())
    if (wanted.has(service.name)) service.needs.forEach((need) => wanted.add(need));
  return SERVICES.filter(({ name }) => wanted.has(name));
}
