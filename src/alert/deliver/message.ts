import type { Pending } from "../sqlite/rows.ts";

/** What every sink is sent, in the payload's shape of Standard Webhooks; `id` is the same at every attempt. */
export interface DeliveryMessage {
  id: string;
  type: string;
  /** When it was judged. */
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

/** An attempt that failed; its message is shown, so it holds no secret and no URL. */
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

/** What a sink may use for one attempt. */
export interface Attempt {
  /** Aborts when time is up, or when the process is told to stop. */
  signal: AbortSignal;
  now_us: number;
  /** What the attempt before noted: it may have got through without our knowing. */
  resume: string | null;
  /** Makes a note durable, before anything is sent. */
  note(resume: string): Promise<void>;
}
