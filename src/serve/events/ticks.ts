import { textOf } from "../../alert/evaluate/decimal.ts";
import { isoFromMicros } from "../../base/clock.ts";
import type { Tick } from "../../pipeline/definition.ts";
import { compareEvents } from "../../pipeline/event-order.ts";
import type { TicksEvent } from "../schemas/events.ts";

/** Collects the newest tick of each subject since the last `take`. */
export class LatestTicks {
  #newest = new Map<string, { tick: Tick; updates: number }>();
  /** Last published tick by subject: of two ticks with one event time, the later in event order may arrive first. */
  readonly #published = new Map<string, Tick>();

  get is_empty(): boolean {
    return this.#newest.size === 0;
  }

  /** Keeps the tick if it is newer in event order. */
  add(tick: Tick): void {
    const known = this.#newest.get(tick.subject);
    if (known === undefined) this.#newest.set(tick.subject, { tick, updates: 1 });
    else {
      known.updates += 1;
      if (compareEvents(tick, known.tick) > 0) known.tick = tick;
    }
  }

  take(): TicksEvent {
    const ticks = Array.from(this.#newest.values(), ({ tick: newest, updates }) => {
      const published = this.#published.get(newest.subject);
      const tick = published?.at_us === newest.at_us && compareEvents(published, newest) > 0 ? published : newest;
      if (published === undefined || compareEvents(tick, published) > 0) this.#published.set(tick.subject, tick);
      return {
        id: tick.subject,
        price: textOf(tick.value),
        price_at: isoFromMicros(tick.at_us),
        source: tick.source,
        updates,
      };
    });
    this.#newest = new Map();
    return { ticks };
  }
}
