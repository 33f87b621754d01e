/**
 * Converts a recorded session of Kraken's v1 feed to the v2 format. v1 has no trade numbers: this function numbers the
 * trades per product, in order. Digits are copied as text; times change from decimal seconds to RFC 3339 with
 * microseconds.
 */
export function krakenSessionAsV2(session: string): string {
  const newest = new Map<string, number>();
  return session
    .split("\n")
    .map((line) => {
      const [head, clock] = /^(\d+\.\d+): /.exec(line) ?? [];
      if (head === undefined || clock === undefined)
        return line.replace(/^wss:\/\/ws\.kraken\.com /, "wss://ws.kraken.com/v2 ");
      return `${clock}: ${messageAsV2(line.slice(head.length), newest)}`;
    })
    .join("\n");
}

type V1Trade = [price: string, volume: string, time: string, side: string, order_type: string, misc: string];

function messageAsV2(text: string, newest: Map<string, number>): string {
  const message = JSON.parse(text) as unknown;
  if (!Array.isArray(message))
    return (message as { event?: string }).event === "heartbeat" ? '{"channel":"heartbeat"}' : statusAsV2(text);
  const [, trades, , pair] = message as [number, V1Trade[], string, string];
  const symbol = pair.replace(/\bXBT\b/, "BTC").replace(/\bXDG\b/, "DOGE");
  const rows = trades.map(([price, volume, time, side, order_type]) => {
    const id = (newest.get(symbol) ?? 0) + 1;
    newest.set(symbol, id);
    return (
      `{"symbol":"${symbol}","side":"${side === "b" ? "buy" : "sell"}",` +
      `"price":${price},"qty":${volume},` +
      `"ord_type":"${order_type === "m" ? "market" : "limit"}",` +
      `"trade_id":${id},"timestamp":"${isoOf(time)}"}`
    );
  });
  return `{"channel":"trade","type":"update","data":[${rows.join(",")}]}`;
}

/** v1's other events become v2's status: both are transport. */
function statusAsV2(text: string): string {
  const { event, status = "online" } = JSON.parse(text) as { event?: string; status?: string };
  return JSON.stringify({ channel: "status", type: "update", data: [{ system: status, v1_event: event }] });
}

function isoOf(seconds_text: string): string {
  const [seconds = "", decimals = ""] = seconds_text.split(".");
  return new Date(Number(seconds) * 1000).toISOString().replace(/\.000Z$/, `.${decimals.padEnd(6, "0").slice(0, 6)}Z`);
}
