import { textOf } from "../../alert/evaluate/decimal.ts";
import { isoFromMicros } from "../../base/clock.ts";
import type { Tick } from "../../pipeline/definition.ts";
import { compareEvents } from "../../pipeline/event-order.ts";
import type { TicksEvent } from "../schemas/events.ts";

/** The newest tick of each subject since the last look, however many there were. */
export class LatestTicks {
  #newest = new Map<string, { tick: Tick; updates: number }>();
  /** The last that was told of each subject: of two ticks of one moment the later in the order of events may come first. */
  readonly #published = new Map<string, Tick>();

  get is_empty(): boolean {
    return this.#newest.size === 0;
  }

  /** By the order of events. */
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
      const told = this.#published.get(newest.subject);
      const tick = told?.at_us === newest.at_us && compareEvents(told, newest) > 0 ? told : newest;
      if (told === undefined || compareEvents(tick, told) > 0) this.#published.set(tick.subject, tick);
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
