import { readSetting, SETTINGS } from "../src/base/settings.ts";

const MINUTE_MS = 60_000;

/** Length of the past with which a new simulated lake begins, so that queries have data from the beginning. */
export function simulatedHistory_ms(): number {
  const name = "COINLAKE_SIMULATED_HISTORY_MINUTES";
  return Number(readSetting(name) ?? SETTINGS[name].default) * MINUTE_MS;
}
