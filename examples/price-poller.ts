import type { Producer } from "../src/producer/producer.ts";
import { OperatingError } from "../src/base/errors.ts";

/**
 * Polls one URL and stores each answer byte for byte. Silver accepts an answer such as
 * `{"product": "BTC-USD", "price": "104235.10", "time": "2026-01-31T12:00:00Z", "id": 7}`; equal ids of one day count
 * once.
 */
export function pricePoller({
  url,
  source,
  interval_ms,
}: {
  url: string;
  source: string;
  interval_ms: number;
}): Producer {
  async function poll(signal: AbortSignal): Promise<Uint8Array> {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    throw new OperatingError("SOURCE_UNREACHABLE", `${url} answered ${response.status}`, {
      next_step: "Check the address and the server.",
      is_retryable: true,
    });
  }
  return {
    id: `${source}:${url}`,
    kind: "live",
    probe: async (signal) => void (await poll(signal)),
    async *batches({ position, clock, signal, report }) {
      let polls = Number(position ?? 0);
      while (!signal.aborted) {
        try {
          const payload = await poll(signal);
          polls += 1;
          const record = { key: source, source, payload, ingested_at_us: clock.now_us() };
          // The log stores records and position in one transaction before the loop continues.
          yield { records: [record], position: String(polls) };
        } catch (error) {
          if (signal.aborted) return;
          report({ level: "warning", code: "POLL_FAILED", message: `${source}: ${String(error)}` });
        }
        await clock.wait(interval_ms, signal).catch(() => {});
      }
    },
  };
}
