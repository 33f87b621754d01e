import { pollUrl } from "./poll.ts";
import type { Producer } from "../src/producer/producer.ts";

/** Where the readings come from; __NAME___URL names another address. */
const DEFAULT_URL = "__url__";
const POLL_INTERVAL_MS = 10_000;

/** Polls the readings: each answer is a JSON array of objects, stored as received. */
export function __name__(): Producer {
  const url = process.env["__NAME___URL"] ?? DEFAULT_URL;
  return pollUrl({ url, source: "__name__", interval_ms: POLL_INTERVAL_MS });
}
