import { pipelineInfo } from "../../state/pipeline.ts";

/** Explains a rejection reason; empty for an unknown one. */
export function describeReason(reason: string): string {
  return pipelineInfo().reasons[reason] ?? "";
}
