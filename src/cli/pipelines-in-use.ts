import { listLakes, readDescription } from "../lake/lake.ts";

/**
 * Names of the pipelines with a lake of the cluster profile in the data folder; the first pipeline before there is one.
 */
export function pipelinesInUse(data_folder: string, pipelines: readonly string[]): readonly string[] {
  const lakes = listLakes(data_folder).flatMap((name) => readDescription(data_folder, name) ?? []);
  const used = new Set(lakes.filter(({ profile }) => profile === "cluster").map(({ pipeline }) => pipeline));
  const found = pipelines.filter((name) => used.has(name));
  return found.length > 0 ? found : pipelines.slice(0, 1);
}
