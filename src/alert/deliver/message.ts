import type { Pending } from "../sqlite/rows.ts";

/** The message to every sink, in the payload format of Standard Webhooks; `id` is the same for every attempt. */
export interface DeliveryMessage {
  id: string;
  type: string;
  /** Time of the evaluation. */
  timestamp: string;
  data: Pending["alert"];
}

export function messageOf({ alert, event }: Pick<Pending, "alert" | "event">): DeliveryMessage {
  return {
    id: `${alert.id}-${event}`,
    type: `alert.${event}`,
    timestamp: event === "fired" ? alert.fired_at : (alert.ended_at ?? alert.fired_at),
    data: alert,
  };
}

/** A failed attempt. Its message is shown to people, so it contains no secret and no URL. */
export class DeliveryFailed extends Error {
  /** No later attempt can succeed. */
  readonly is_final: boolean;
  readonly retry_after_ms: number | null;

  constructor(
    message: string,
    {
      is_final = false,
      retry_after_ms = null,
      cause,
    }: { is_final?: boolean; retry_after_ms?: number | null; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.name = "DeliveryFailed";
    this.is_final = is_final;
    this.retry_after_ms = retry_after_ms;
  }
}

/** The context of one attempt. */
export interface Attempt {
  /** Aborts at the timeout and when the process stops. */
  signal: AbortSignal;
  now_us: number;
  /** The note of the attempt before, which may have succeeded unnoticed. */
  resume: string | null;
  /** Stores a note durably. Call it before sending. */
  note(resume: string): Promise<void>;
}
