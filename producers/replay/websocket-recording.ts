import { epochTime } from "../../src/producer/epoch.ts";
import type { Line } from "./lines.ts";
import type { LineReader, TimedRecord } from "./line-records.ts";

/**
 * A recorded session of WebSocket connections, one line per event:
 *
 *   wss://feed.example.com <-> 1618677816.8434298                the client connected
 *   wss://feed.example.com <- 1618677817.020616: {"type": …}     the client sent
 *   1618677817.061845: {"type": …}                               the server sent
 *
 * A message from the server is a record, byte for byte. Its source is that of the last address above it; its key is the
 * product if the message names one. The clock counts seconds since the epoch, or smaller units, which its magnitude
 * determines; decimals beyond microseconds are rounded, without floating point.
 */
const FROM_CLIENT = /^(wss?:\/\/\S+) <->? \d+(?:\.\d+)?(?:: |$)/;
const FROM_SERVER = /^(\d{1,19}(?:\.\d{1,9})?): /;
/** Longer than either of the two line prefixes. */
const HEAD_BYTES = 16_384;

const KNOWN_SOURCES = ["binance", "coinbase", "kraken"];

export function isWebsocketRecording(first: Buffer): boolean {
  return FROM_CLIENT.test(headOf(first));
}

export function websocketRecording(): LineReader {
  let source = "replay";
  return {
    isRecord({ bytes, is_torn }) {
      const address = is_torn ? undefined : FROM_CLIENT.exec(headOf(bytes))?.[1];
      if (address !== undefined) source = sourceOf(address);
      return address === undefined;
    },
    read: (line) => (line.is_torn ? null : received(line, source)),
  };
}

function received({ bytes }: Line, source: string): TimedRecord | null {
  const [head, time_text = ""] = FROM_SERVER.exec(headOf(bytes)) ?? [];
  const time = head === undefined ? null : epochTime(time_text);
  if (head === undefined || time === null) return null;
  const payload = bytes.subarray(head.length);
  return {
    key: productOf(payload) ?? source,
    source,
    payload,
    ingested_at_us: time.at_us,
    time_text,
    time_unit: time.unit,
  };
}

function headOf(bytes: Buffer): string {
  return bytes.toString("latin1", 0, HEAD_BYTES);
}

/** The `source` name of the live feed at this address, or the host if no live feed has it. */
function sourceOf(address: string): string {
  const host = URL.canParse(address) ? new URL(address).hostname : address;
  return KNOWN_SOURCES.find((source) => host.split(".").includes(source)) ?? host;
}

/**
 * The product of a message, as the exchange names it, in Binance's and Coinbase's objects, Kraken's objects and its
 * older arrays.
 */
function productOf(payload: Buffer): string | null {
  let message: unknown;
  try {
    message = JSON.parse(payload.toString("utf8"));
  } catch {
    return null;
  }
  const trade = fieldOf(message, "data") ?? message;
  const named = [
    fieldOf(trade, "product_id"),
    fieldOf(trade, "s"),
    fieldOf(Array.isArray(trade) ? trade[0] : trade, "symbol"),
    Array.isArray(message) ? message.at(-1) : null,
  ];
  return named.find((product): product is string => typeof product === "string" && product !== "") ?? null;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
