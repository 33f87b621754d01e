import { market } from "./market.ts";
import { orders } from "./orders.ts";
import type { WorkloadType } from "./workload.ts";

/** By the name of the pipeline. */
export const WORKLOADS: Readonly<Record<string, WorkloadType>> = { crypto: market, ecommerce: orders };

export function workloadOf(pipeline: string): WorkloadType {
  const found = WORKLOADS[pipeline];
  if (found === undefined) throw new Error(`Unknown pipeline "${pipeline}"`);
  return found;
}
