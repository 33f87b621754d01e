import { isoFromMicros } from "../../clock.ts";
import { TICK_DECIMALS, type Tick } from "../../pipeline/definition.ts";
import type { TicksEvent } from "../schemas/events.ts";

/** The newest tick of each subject since the last look, however many there were. */
export class TickBasket {
  #newest = new Map<string, { tick: Tick; updates: number }>();

  get is_empty(): boolean {
    return this.#newest.size === 0;
  }

  /** By event time; of two at one time the later in the log, as everywhere. */
  add(tick: Tick): void {
    const known = this.#newest.get(tick.subject);
    if (known === undefined) this.#newest.set(tick.subject, { tick, updates: 1 });
    else {
      known.updates += 1;
      if (tick.at_us >= known.tick.at_us) known.tick = tick;
    }
  }

  take(): TicksEvent {
    const ticks = Array.from(this.#newest.values(), ({ tick, updates }) => ({
      id: tick.subject,
      price: decimalOf(tick.value),
      price_at: isoFromMicros(tick.at_us),
      source: tick.source,
      updates,
    }));
    this.#newest = new Map();
    return { ticks };
  }
}

/** A tick's units as decimal text without trailing zeros. */
export function decimalOf(units: bigint): string {
  const sign = units < 0n ? "-" : "";
  const digits = String(units < 0n ? -units : units).padStart(TICK_DECIMALS + 1, "0");
  const fraction = digits.slice(-TICK_DECIMALS).replace(/0+$/, "");
  return `${sign}${digits.slice(0, -TICK_DECIMALS)}${fraction === "" ? "" : `.${fraction}`}`;
}
