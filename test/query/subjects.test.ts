import assert from "node:assert/strict";
import { test } from "node:test";
import { crypto } from "../../pipelines/crypto.ts";
import { coinNames } from "../../pipelines/crypto/coin-names.ts";
import type { OperatingError } from "../../src/base/errors.ts";
import type { KnownSubject } from "../../src/pipeline/definition.ts";
import { firstSubject, nearestSubjects, resolveSubject, subjectId } from "../../src/query/subjects.ts";

const coin = (
  id: string,
  symbol: string,
  name: string,
  rank: number | null = null,
  is_delisted = false,
): KnownSubject =>
  coinNames.known({
    crypto_id: id,
    symbol,
    name,
    market_cap_rank: rank === null ? null : String(rank),
    is_delisted: String(is_delisted),
  });

const COINS = [
  coin("bitcoin", "BTC", "Bitcoin", 1),
  coin("bitcoin-wormhole", "BTC", "Bitcoin (Wormhole)", 2_400),
  coin("ethereum", "ETH", "Ethereum", 2),
  coin("ethereum-classic", "ETC", "Ethereum Classic", 30),
  coin("barnbridge", "BOND", "BarnBridge", 900),
  coin("bonded-finance", "BOND", "Bonded Finance"),
  coin("usual-usd", "USD0", "Usual USD", 200),
  coin("coinbase:USUAL-USD", "USUAL-USD", "USUAL-USD on coinbase"),
  coin("binance:币安人生USDT", "币安人生USDT", "币安人生USDT on binance"),
  coin("kraken:AAPLx/USD", "AAPLx/USD", "AAPLx/USD on kraken"),
  coin("kraken:AAPLX/USD", "AAPLX/USD", "AAPLX/USD on kraken"),
  coin("old-token", "TKN", "Token", 5, true),
  coin("new-token", "TKN", "Token Network", 700),
  coin("close-one", "TIE", "Close One", 50),
  coin("close-two", "TIE", "Close Two", 60),
];

const MEANT: [given: string, id: string][] = [
  ["BTC", "bitcoin"],
  ["btc", "bitcoin"],
  [" Bitcoin ", "bitcoin"],
  ["BITCOIN", "bitcoin"],
  ["bitcoin-wormhole", "bitcoin-wormhole"],
  ["Ethereum classic", "ethereum-classic"],
  ["usual-usd", "usual-usd"],
  ["coinbase:USUAL-USD", "coinbase:USUAL-USD"],
  ["coinbase:usual-usd", "coinbase:USUAL-USD"],
  ["币安人生usdt", "binance:币安人生USDT"],
  ["AAPLx/USD", "kraken:AAPLx/USD"],
  ["AAPLX/USD", "kraken:AAPLX/USD"],
  ["TKN", "new-token"],
  ["old-token", "old-token"],
];
for (const [given, id] of MEANT) {
  test(`"${given}" means ${id}`, () => assert.equal(resolveSubject("coin", given, COINS).id, id));
}

test("a pair of a recording is found by its coin's symbol and name", () => {
  const pairs = [
    coin("btcusdt", "BTCUSDT", "BTCUSDT"),
    coin("ethusd", "ETHUSD", "ETHUSD"),
    coin("usdt", "USDT", "USDT"),
  ];
  const FOUND: [string, string][] = [
    ["BTC", "btcusdt"],
    ["bitcoin", "btcusdt"],
    ["BTCUSDT", "btcusdt"],
    ["Ethereum", "ethusd"],
    ["usdt", "usdt"],
  ];
  for (const [given, id] of FOUND) assert.equal(resolveSubject("coin", given, pairs).id, id, given);
});

test("a symbol of several coins is an error that lists them, unless one ranks far higher", () => {
  assert.throws(() => resolveSubject("coin", "bond", COINS), {
    code: "AMBIGUOUS_SUBJECT",
    message:
      'Ambiguous coin "bond": it matches 2 coins: barnbridge (BOND, BarnBridge), bonded-finance (BOND, Bonded Finance)',
  });
  assert.throws(() => resolveSubject("coin", "TIE", COINS), { code: "AMBIGUOUS_SUBJECT" });
});

test("a symbol that is another coin's id in other case is ambiguous, unless one ranks far higher", () => {
  for (const given of ["USUAL-USD", "Usual-Usd"]) {
    assert.throws(() => resolveSubject("coin", given, COINS), {
      code: "AMBIGUOUS_SUBJECT",
      message: /usual-usd.*coinbase:USUAL-USD|coinbase:USUAL-USD.*usual-usd/,
    });
  }
  const coins = [coin("solana", "SOL", "Solana", 5), coin("sol", "SOLX", "Sol Token", 2_000)];
  assert.equal(resolveSubject("coin", "SOL", coins).id, "solana");
  assert.equal(resolveSubject("coin", "sol", coins).id, "sol");
});

test("a stablecoin whose symbol ends in USD is not taken for a pair", () => {
  const STABLECOINS = [
    ["paypal-usd", "PYUSD", "PayPal USD"],
    ["first-digital-usd", "FDUSD", "First Digital USD"],
    ["crvusd", "CRVUSD", "crvUSD"],
    ["first-digital-usd", "FDUSD", "FIRST-DIGITAL-USD"],
  ];
  for (const [id = "", symbol = "", name = ""] of STABLECOINS)
    assert.deepEqual(coin(id, symbol, name).other_names, [], name);
  assert.deepEqual(coin("coinbase:PYUSD-USD", "PYUSD-USD", "PYUSD-USD on coinbase").other_names, ["PYUSD"]);
  assert.deepEqual(coin("btcusdt", "BTCUSDT", "BTCUSDT").other_names, ["BTC", "bitcoin"]);
});

test("a question about Bitcoin finds it under the name that each lake uses", () => {
  const names = crypto.questions[0]?.options["coin"]?.default_names ?? assert.fail();
  const LAKES: [known: KnownSubject[], id: string | undefined][] = [
    [COINS, "bitcoin"],
    [[coin("x:BTCUSDT", "BTCUSDT", "BTCUSDT on x"), coin("x:ETHUSDT", "ETHUSDT", "ETHUSDT on x")], "x:BTCUSDT"],
    [[coin("btcusdt", "BTCUSDT", "BTCUSDT"), coin("btcusd", "BTCUSD", "BTCUSD")], "btcusdt"],
    [[coin("btc", "BTC", "BTC")], "btc"],
    [[coin("ethereum", "ETH", "Ethereum", 2)], undefined],
    [[], undefined],
  ];
  for (const [known, id] of LAKES) assert.equal(firstSubject("coin", names, known)?.id, id);
});

test("in a lake without coins, names of listed coins are resolved, and others are a retryable error", () => {
  assert.equal(subjectId(crypto, "BTC", []), "bitcoin");
  assert.equal(subjectId(crypto, "ethereum", []), "ethereum");
  assert.equal(subjectId(crypto, "TKN", COINS), "new-token");
  assert.throws(() => subjectId(crypto, "TKN", []), {
    code: "LAKE_EMPTY",
    is_retryable: true,
    message: /^Cannot resolve "TKN".*no coins yet/,
  });
  assert.throws(() => subjectId(crypto, "nothing", COINS), { code: "SUBJECT_NOT_FOUND" });
});

test("an unknown name is an error with the nearest matches", () => {
  const failure = (given: string): OperatingError => {
    try {
      return assert.fail(resolveSubject("coin", given, COINS).id);
    } catch (error) {
      return error as OperatingError;
    }
  };
  assert.equal(failure("bitcon").code, "SUBJECT_NOT_FOUND");
  assert.match(failure("bitcon").message, /^Unknown coin "bitcon"$/);
  assert.match(failure("bitcon").next_step, /^Nearest matches: bitcoin \(BTC, Bitcoin\)/);
  assert.match(failure("etherium").next_step, /ethereum/);
  assert.match(failure("AAPL").next_step, /kraken:AAPL/);
  assert.doesNotMatch(failure("zzzzzzzzzz").next_step, /Nearest/);
  assert.ok(failure("x".repeat(10_000)).message.length < 200);
  assert.deepEqual(nearestSubjects("", COINS).length <= 5, true);
});
