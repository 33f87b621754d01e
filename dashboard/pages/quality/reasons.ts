/** What each reason of the quarantine means; limits are variables of the dbt project. */
const SENTENCES: Readonly<Record<string, string>> = {
  not_utf8: "the message is not UTF-8 text",
  empty_payload: "the message is empty",
  payload_too_large: "the message is larger than the limit for one payload",
  invalid_json: "the message is not valid JSON",
  unrecognised_shape: "the message has no known format",
  not_a_trade: "the message of a trade feed is not a trade",
  element_not_object: "the list holds something other than an object",
  missing_id: "no coin or product is named",
  missing_price: "no price is given",
  price_not_a_number: "the price is not a number",
  price_not_positive: "the price is zero or negative",
  price_out_of_range: "the price is above the limit, or rounds to zero",
  missing_time: "no time is given",
  invalid_time: "the time cannot be read",
  late_event: "the event is older than the accepted delay at receipt",
  future_event: "the event lies further in the future than clocks may differ",
};

/** Empty for a reason that a newer model gives. */
export function sayReason(reason: string): string {
  return SENTENCES[reason] ?? "";
}
