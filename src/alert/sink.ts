import { randomBytes } from "node:crypto";
import { z } from "zod";
import { OperatingError } from "../base/errors.ts";

/** The dashboard: the list of alerts and the event stream, without a delivery. */
export const PAGE_SINK = "page";

const SLUG = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

const id = z
  .string()
  .regex(SLUG, "lower-case letters, digits and hyphens, at most 64")
  .refine((value) => value !== PAGE_SINK, '"page" is always there');
const url = z.url({ protocol: /^https?$/ }).max(2_000);

/** Standard Webhooks: the secret is base64 of 24 to 64 bytes behind a prefix. */
const secret = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, "whsec_ and base64")
  .refine((value) => isKeyLength(secretBytes(value).length), "24 to 64 bytes behind whsec_");

/** An argument or a path, which the operating system ends at a NUL character. */
const text = z
  .string()
  .min(1)
  .max(4_000)
  .refine((value) => !value.includes("\0"), "no NUL character");

/** A destination of alerts. URLs of chat tools are secrets, like keys: neither is ever shown again. */
export const sinkSchema = z.discriminatedUnion("kind", [
  z.strictObject({ id, kind: z.literal("webhook"), url, secret }),
  z.strictObject({ id, kind: z.literal("slack"), url }),
  z.strictObject({
    id,
    kind: z.literal("command"),
    argv: z.array(text).min(1).max(100),
    timeout_ms: z.number().int().min(100).max(600_000).default(30_000),
  }),
  z.strictObject({ id, kind: z.literal("file"), path: text }),
]);
export type Sink = z.output<typeof sinkSchema>;

/** The fields of a sink that are not secret. */
export interface SinkView {
  id: string;
  kind: Sink["kind"] | "page";
  /** Host, program or file; no path of a URL, no argument, no secret. */
  target: string;
}

/** Throws INVALID_SINK that names the field. A webhook without a secret gets one. */
export function parseSink(json: unknown): Sink {
  const is_unsigned =
    typeof json === "object" && json !== null && "kind" in json && json.kind === "webhook" && !("secret" in json);
  const parsed = sinkSchema.safeParse(
    is_unsigned ? { ...json, secret: `whsec_${randomBytes(32).toString("base64")}` } : json,
  );
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw badSink(`${issue?.path.join(".") || "the sink"}: ${issue?.message ?? "not valid"}`);
}

export function badSink(message: string): OperatingError {
  return new OperatingError("INVALID_SINK", `Not a valid sink: ${message}`, {
    next_step: "Correct that field; `npm run -s coinlake -- rules sinks add --help` shows a sink of each kind.",
  });
}

export function viewOfSink(sink: Sink): SinkView {
  switch (sink.kind) {
    case "webhook":
    case "slack":
      return { id: sink.id, kind: sink.kind, target: new URL(sink.url).host };
    case "command":
      return { id: sink.id, kind: sink.kind, target: sink.argv[0] ?? "" };
    case "file":
      return { id: sink.id, kind: sink.kind, target: sink.path };
  }
}

export function secretBytes(text: string): Buffer {
  return Buffer.from(text.slice("whsec_".length), "base64");
}

function isKeyLength(length: number): boolean {
  return length >= 24 && length <= 64;
}
