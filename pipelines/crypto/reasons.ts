import { projectVar } from "../project-var.ts";

const MAX_EVENT_SKEW_S = projectVar("dbt_crypto", "max_event_skew_s");

/** Explains each rejection reason with its limit, a variable of the dbt project. */
export const reasons: Readonly<Record<string, string>> = {
  not_utf8: "the message is not UTF-8 text",
  empty_payload: "the message is empty",
  payload_too_large: "the message is larger than 4 MiB or has more than 200,000 values",
  invalid_json: "the message is not valid JSON",
  unrecognised_shape: "the message has no known format",
  not_a_trade: "the message of a trade feed is not a trade",
  element_not_object: "the list holds something other than an object",
  missing_id: "no coin or product is named",
  missing_price: "no price is given",
  price_not_a_number: "the price is not a number",
  price_not_positive: "the price is zero or negative",
  price_out_of_range: "the price is above 1,000,000,000 US dollars, or below 1e-24 and rounds to zero",
  missing_time: "no time is given",
  invalid_time: "the time cannot be read",
  time_before_2009: "the time is before 2009-01-01 UTC, when there was no coin to trade",
  late_event: `the event was more than ${MAX_EVENT_SKEW_S} seconds old when it was received`,
  future_event: `the event's time was more than ${MAX_EVENT_SKEW_S} seconds ahead of the clock when it was received`,
};
