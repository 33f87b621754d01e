import { effect, signal } from "@preact/signals";
import type { PipelineInfo } from "../../src/serve/schemas/definition.ts";
import { ApiError, get } from "./api.ts";
import { status } from "./status.ts";

/** The server's pipeline; null until it is loaded. It does not change while the server runs. */
export const pipeline = signal<PipelineInfo | null>(null);

const RETRY_MS = 2_000;

/** The pipeline in a page: pages are shown once it is loaded. */
export function pipelineInfo(): PipelineInfo {
  if (pipeline.value === null) throw new Error("the pipeline is not loaded yet");
  return pipeline.value;
}

async function load(): Promise<void> {
  try {
    const info = await get<PipelineInfo>("/api/pipeline");
    // `early.ts` preloads this page's modules at the next start.
    localStorage.setItem("coinlake.start_page", info.start_page);
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
    if (known !== undefined && running !== undefined && known !== running) location.assign("/");
  });
}
