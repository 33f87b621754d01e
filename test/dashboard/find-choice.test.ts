import assert from "node:assert/strict";
import { test } from "node:test";
import { findChoice, labelOf, type Choice } from "../../dashboard/pages/alerts/find-choice.ts";

const OPTIONS: readonly Choice[] = [
  { value: "bitcoin", name: "Bitcoin", also: ["BTC"] },
  { value: "usual-usd", name: "Usual USD", also: ["USD0"] },
  { value: "kraken:AAPLx/USD", name: "AAPLx/USD on kraken", also: ["AAPLx/USD"] },
  { value: "kraken:AAPLX/USD", name: "AAPLX/USD on kraken", also: ["AAPLX/USD"] },
];

const MEANT: [text: string, value: string | null][] = [
  ["btc", "bitcoin"],
  ["BITCOIN", "bitcoin"],
  [" Usual-USD ", "usual-usd"],
  ["kraken:AAPLX/USD", "kraken:AAPLX/USD"],
  ["kraken:AAPLx/USD", "kraken:AAPLx/USD"],
  ["kraken:aaplx/usd", null],
  ["aaplx/usd", null],
  ["dogecoin", null],
  ...OPTIONS.map((option): [string, string] => [labelOf(option), option.value]),
];
for (const [text, value] of MEANT) {
  test(`"${text}" selects ${value ?? "nothing, because none or several match"}`, () =>
    assert.equal(findChoice(text, OPTIONS)?.value ?? null, value));
}
