import { createHmac } from "node:crypto";
import { retryAfter_ms } from "../../base/backoff.ts";
import { secretBytes, type Sink } from "../sink.ts";
import { DeliveryFailed, type Attempt, type DeliveryMessage } from "./message.ts";

/**
 * Sends a message signed by Standard Webhooks (standardwebhooks.com, "Signature scheme"): HMAC-SHA256 over
 * `id.timestamp.body`. The id is the same at every attempt, so that a receiver can detect a repeat.
 */
export async function sendWebhook(
  sink: Extract<Sink, { kind: "webhook" }>,
  message: DeliveryMessage,
  attempt: Attempt,
): Promise<void> {
  const { id, ...payload } = message;
  const body = JSON.stringify(payload);
  const timestamp = String(Math.floor(attempt.now_us / 1_000_000));
  const signature = createHmac("sha256", secretBytes(sink.secret))
    .update(`${id}.${timestamp}.${body}`)
    .digest("base64");
  await post(
    sink.url,
    body,
    { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` },
    attempt,
  );
}

/** Sends to Slack's incoming webhooks, and to compatible ones. */
export async function sendSlack(
  sink: Extract<Sink, { kind: "slack" }>,
  { type, data }: DeliveryMessage,
  attempt: Attempt,
): Promise<void> {
  const is_over = type === "alert.recovered";
  const text = is_over
    ? `Recovered: ${data.message}`
    : `${data.severity === "critical" ? "CRITICAL: " : ""}${data.message}`;
  const details = [
    `rule ${data.rule_name}`,
    `since ${data.opened_at}`,
    ...(data.ended_at ? [`until ${data.ended_at}`] : []),
    ...(data.source ? [data.source] : []),
  ];
  const blocks = [
    { type: "section", text: { type: "mrkdwn", text: `*${escaped(text)}*` } },
    { type: "context", elements: [{ type: "mrkdwn", text: escaped(details.join(" · ")) }] },
  ];
  await post(sink.url, JSON.stringify({ text: escaped(text), blocks }), {}, attempt);
}

/** Escapes the only three characters that docs.slack.dev ("Escaping text") names. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

async function post(
  url: string,
  body: string,
  headers: Record<string, string>,
  { signal, now_us }: Attempt,
): Promise<void> {
  let response: Response;
  try {
    // A redirect would send the signature and the alert to another server.
    response = await fetch(url, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", "user-agent": "coinlake", ...headers },
      signal,
      redirect: "manual",
    });
    await response.body?.cancel();
  } catch (error) {
    throw new DeliveryFailed(signal.aborted ? "no answer in time" : `no answer: ${causeOf(error)}`);
  }
  const { status } = response;
  if (status >= 200 && status < 300) return;
  const is_final = status >= 300 && status < 500 && status !== 408 && status !== 429;
  throw new DeliveryFailed(`answered ${status}`, {
    is_final,
    retry_after_ms: retryAfter_ms(response.headers.get("retry-after"), now_us),
  });
}

/** Only the error's code, because messages contain addresses. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "the connection failed";
}
