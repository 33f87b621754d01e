import { OperatingError } from "../../src/base/errors.ts";

/**
 * Budget of a plan: every page of a poll with status 200 costs one credit.
 */
export interface Budget {
  calls_per_month: number;
  pages: number;
}

/** The credits of a calendar month in UTC, stored in the log with the records so that they survive restarts. */
export interface Credits {
  /** `2025-10` */
  month: string;
  used: number;
  /** Time of the last page; null before the first. */
  polled_at_us: number | null;
}

/** The source's data changes once a minute, so more frequent requests are useless. */
export const SHORTEST_INTERVAL_US = 60_000_000;

export function creditsOf(position: string | null, now_us: number): Credits {
  if (position === null) return { month: monthOf(now_us), used: 0, polled_at_us: null };
  try {
    const { month, used, polled_at_us } = JSON.parse(position) as Partial<Credits>;
    const is_time = polled_at_us === null || typeof polled_at_us === "number";
    if (typeof month === "string" && typeof used === "number" && is_time) return { month, used, polled_at_us };
  } catch (error) {
    throw unreadablePosition(position, error);
  }
  throw unreadablePosition(position, undefined);
}

/**
 * The credits, reset in a new month. A clock that steps back to the month before does not reset them.
 */
export function renewed(credits: Credits, now_us: number): Credits {
  const month = monthOf(now_us);
  return month > credits.month ? { ...credits, month, used: 0 } : credits;
}

export function creditsLeft(credits: Credits, { calls_per_month }: Budget): number {
  return Math.max(0, calls_per_month - credits.used);
}

/**
 * Time of the next poll, in microseconds. The remaining credits are spread evenly over the rest of the month, with the
 * price of one poll held in reserve at its end. The interval counts from the last poll, not from a timetable, so a
 * machine that slept polls once when it wakes, not once for each missed poll. If the credits do not cover a poll, the
 * next poll is at the start of the next month.
 */
export function nextPollAt_us(credits: Credits, budget: Budget, now_us: number): number {
  const polls_left = Math.floor(creditsLeft(credits, budget) / budget.pages);
  const renewal_us = nextMonthAt_us(credits.month);
  if (polls_left === 0) return renewal_us;
  if (credits.polled_at_us === null) return now_us;
  const polled_at_us = Math.min(credits.polled_at_us, now_us);
  const interval_us = Math.max(SHORTEST_INTERVAL_US, (renewal_us - polled_at_us) / polls_left);
  return Math.max(now_us, Math.round(polled_at_us + interval_us));
}

function monthOf(at_us: number): string {
  return new Date(at_us / 1000).toISOString().slice(0, 7);
}

function nextMonthAt_us(month: string): number {
  const [year = 0, number = 1] = month.split("-").map(Number);
  // Date.UTC counts months from 0, so this month's number is the next month's index.
  return Date.UTC(year, number, 1) * 1000;
}

function unreadablePosition(position: string, cause: unknown): OperatingError {
  return new OperatingError("INVALID_POSITION", `Invalid stored position of CoinGecko: ${position.slice(0, 100)}`, {
    next_step: "Restore the log from a backup, or start a new lake (another --data folder).",
    cause,
  });
}
