import { effect, signal } from "@preact/signals";
import type { PipelineInfo, Pipelines } from "../../src/serve/schemas/definition.ts";
import { hrefOf, ownKey } from "../base.ts";
import { ApiError, get } from "./api.ts";
import { status } from "./status.ts";

/** The server's pipeline; null until it is loaded. It does not change while the server runs. */
export const pipeline = signal<PipelineInfo | null>(null);

/** The pipelines of the server; empty until they are loaded. */
export const pipelines = signal<Pipelines["items"]>([]);

const RETRY_MS = 2_000;

/** The pipeline in a page: pages are shown once it is loaded. */
export function pipelineInfo(): PipelineInfo {
  if (pipeline.value === null) throw new Error("the pipeline is not loaded yet");
  return pipeline.value;
}

async function load(): Promise<void> {
  try {
    const [info, all] = await Promise.all([get<PipelineInfo>("/api/pipeline"), get<Pipelines>("/api/pipelines")]);
    // `early.ts` preloads this page's modules at the next start.
    localStorage.setItem(ownKey("coinlake.start_page"), info.start_page);
    pipelines.value = all.items;
    pipeline.value = info;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    setTimeout(() => void load(), RETRY_MS);
  }
}

export function watchPipeline(): void {
  void load();
  // Another server may have taken the address.
  effect(() => {
    const [known, running] = [pipeline.value?.name, status.value?.lake.pipeline];
    if (known !== undefined && running !== undefined && known !== running) location.assign(hrefOf("/"));
  });
}
