import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { afterEach, beforeEach, test } from "node:test";
import { coingecko, coingeckoEnvironment, type CoingeckoOptions } from "../../producers/coingecko.ts";
import type { Producer, SourceReport } from "../../src/producer/producer.ts";
import { NO_FOLDER, collect, textOf } from "../producer/collect.ts";
import { FakeClock } from "../producer/fake-clock.ts";
import { CoingeckoServer, PAGE, type Command } from "./coingecko-server.ts";

let server: CoingeckoServer;
beforeEach(async () => {
  server = await CoingeckoServer.start();
  server.otherwise = { do: "answer", body: PAGE };
});
afterEach(async () => await server.stop());

const KEY = "CG-SecretSecretSecret";
const poller = (options: Partial<CoingeckoOptions> = {}): Producer =>
  coingecko({
    demo_key: null,
    pro_key: null,
    base_url: server.base_url,
    timeout_ms: 5000,
    random: () => 0.5,
    ...options,
  });
const never = new AbortController().signal;

/** Reads a number of records, then aborts, so that the producer ends as in operation. */
async function pull(
  producer: Producer,
  records: number,
  options: { clock?: FakeClock; position?: string | null } = {},
) {
  const { clock = new FakeClock(), position = null } = options;
  const abort = new AbortController();
  const reports: SourceReport[] = [];
  const pulled = { texts: [] as string[], at_us: [] as number[], position, reports, clock };
  const report = (said: SourceReport): void => void reports.push(said);
  for await (const batch of producer.batches({ position, clock, signal: abort.signal, folder: NO_FOLDER, report })) {
    for (const record of batch.records) {
      pulled.texts.push(textOf(record));
      pulled.at_us.push(record.ingested_at_us);
    }
    pulled.position = batch.position ?? pulled.position;
    if (pulled.texts.length >= records) abort.abort();
  }
  return pulled;
}

const codes = (reports: readonly SourceReport[]): string[] =>
  reports.map(({ code }) => code).filter((code) => code !== "BUDGET" && code !== "ATTRIBUTION");

test("the poller records a page byte for byte, compressed or not, with the time of its receipt", async () => {
  server.commands.push({ do: "answer", body: PAGE }, { do: "answer", body: PAGE, gzip: true });
  const clock = new FakeClock();
  const { records } = await collect(poller(), { clock, max_records: 2 });
  assert.deepEqual(records.map(textOf), [PAGE, PAGE]);
  assert.deepEqual(
    records.map(({ key, source }) => [key, source]),
    [
      ["coingecko", "coingecko"],
      ["coingecko", "coingecko"],
    ],
  );
  assert.equal(records[0]?.ingested_at_us, Date.parse("2025-10-10T12:00:00Z") * 1000);
});

test("requests ask for pages of 250 coins by market cap, and each page is one record", async () => {
  const { texts } = await pull(poller({ pages: 3 }), 3);
  assert.equal(texts.length, 3);
  assert.deepEqual(
    server.pages.map(({ query }) => query),
    [1, 2, 3].map((page) => ({
      vs_currency: "usd",
      order: "market_cap_desc",
      per_page: "250",
      page: String(page),
      price_change_percentage: "1h,24h",
    })),
  );
});

const KEYS: [string, Partial<CoingeckoOptions>, string | undefined, string | undefined][] = [
  ["no key", {}, undefined, undefined],
  ["a demo key", { demo_key: KEY }, KEY, undefined],
  ["a paid key", { pro_key: KEY }, undefined, KEY],
  ["both keys", { demo_key: "CG-demo", pro_key: KEY }, undefined, KEY],
];
for (const [title, options, demo, pro] of KEYS) {
  test(`with ${title}, requests send the expected API key headers`, async () => {
    await pull(poller(options), 1);
    const { headers } = server.pages[0]!;
    assert.deepEqual([headers["x-cg-demo-api-key"], headers["x-cg-pro-api-key"]], [demo, pro]);
  });
}

const FAULTS: { title: string; command: Command; code: string; delay_s?: number; kept?: string; used?: number }[] = [
  {
    title: "429 with JSON and retry-after",
    command: {
      do: "answer",
      status: 429,
      headers: { "retry-after": "120" },
      body: '{"status":{"error_code":429,"error_message":"limit"}}',
    },
    code: "RATE_LIMITED",
    delay_s: 120,
  },
  {
    title: "429 with a date in retry-after",
    command: {
      do: "answer",
      status: 429,
      headers: { "retry-after": "Fri, 10 Oct 2025 12:00:30 GMT" },
      body: "error code: 1015",
    },
    code: "RATE_LIMITED",
    delay_s: 30,
  },
  {
    title: "429 as bare text without retry-after",
    command: { do: "answer", status: 429, headers: { "content-type": "text/plain" }, body: "error code: 1015" },
    code: "RATE_LIMITED",
    delay_s: 1,
  },
  {
    title: "429 with a retry-after of a day",
    command: { do: "answer", status: 429, headers: { "retry-after": "86400" }, body: "" },
    code: "RATE_LIMITED",
    delay_s: 600,
  },
  { title: "status 500", command: { do: "answer", status: 500, body: "oops" }, code: "BAD_STATUS", delay_s: 1 },
  {
    title: "status 503 with retry-after",
    command: { do: "answer", status: 503, headers: { "retry-after": "7" }, body: "<html>" },
    code: "BAD_STATUS",
    delay_s: 7,
  },
  { title: "status 404", command: { do: "answer", status: 404, body: "{}" }, code: "BAD_STATUS" },
  { title: "status 401", command: { do: "answer", status: 401, body: `{"error":"${KEY}"}` }, code: "KEY_REJECTED" },
  {
    title: "a redirect",
    command: { do: "answer", status: 302, headers: { location: "http://127.0.0.1:1/" }, body: "" },
    code: "BAD_STATUS",
  },
  { title: "status 204", command: { do: "answer", status: 204, body: "" }, code: "BAD_STATUS" },
  { title: "no response", command: { do: "hang" }, code: "TIMED_OUT" },
  {
    title: "a response that stalls half-way",
    command: { do: "hang_mid_body", body: PAGE },
    code: "TIMED_OUT",
    kept: PAGE,
    used: 2,
  },
  {
    title: "a response that is cut half-way",
    command: { do: "cut_mid_body", body: PAGE },
    code: "BODY_CUT",
    kept: PAGE,
    used: 2,
  },
  { title: "a connection that is cut", command: { do: "cut" }, code: "CONNECTION_LOST" },
];
for (const { title, command, code, delay_s, kept, used = 1 } of FAULTS) {
  test(`after ${title} the poller reports ${code}, waits and retries`, async () => {
    server.commands.push(command);
    const { texts, reports, position, clock } = await pull(
      poller({ demo_key: KEY, timeout_ms: 250 }),
      kept === undefined ? 1 : 2,
    );
    assert.deepEqual(texts, kept === undefined ? [PAGE] : [kept, PAGE]);
    assert.deepEqual(codes(reports).slice(0, 1), [code]);
    assert.match(reports.find((said) => said.code === code)!.message, /Retrying in \d+ s\.$/);
    if (delay_s !== undefined)
      assert.equal(
        clock.waits_ms.reduce((sum, wait_ms) => sum + wait_ms, 0),
        delay_s * 1000,
      );
    assert.deepEqual(JSON.parse(position!).used, used);
    assert.ok(!JSON.stringify(reports).includes(KEY));
  });
}

const NO_DATA: { title: string; body: string | Uint8Array; code: string }[] = [
  { title: "an HTML page", body: "<!DOCTYPE html><title>Just a moment...</title>", code: "BODY_NOT_JSON" },
  { title: "no bytes", body: "", code: "BODY_NOT_JSON" },
  { title: "half a page of JSON", body: PAGE.slice(0, 500), code: "BODY_NOT_JSON" },
  { title: "bytes that are not UTF-8", body: Buffer.from([0xff, 0xfe, 0x00]), code: "BODY_NOT_JSON" },
  {
    title: "the rate limit",
    body: `{"status":{"error_code":429,"error_message":"limit of ${KEY}"}}`,
    code: "RATE_LIMITED",
  },
  { title: "another error", body: '{"error":"coin not found"}', code: "NOT_A_PAGE" },
  { title: "another status", body: '{"status":{"error_code":10002}}', code: "NOT_A_PAGE" },
  { title: "a number", body: "7", code: "NOT_A_PAGE" },
  { title: "null", body: "null", code: "NOT_A_PAGE" },
  { title: "an empty list", body: "[]", code: "EMPTY_PAGE" },
];
for (const { title, body, code } of NO_DATA) {
  test(`a body of ${title} with status 200 is recorded, costs a credit and is a failure with backoff`, async () => {
    const no_data: Command = { do: "answer", headers: { "content-type": "text/html" }, body };
    server.commands.push(no_data, no_data);
    const producer = poller({ demo_key: KEY });
    const states: string[] = [];
    const abort = new AbortController();
    const clock = new FakeClock();
    const reports: SourceReport[] = [];
    const payloads: Buffer[] = [];
    for await (const { records, position } of producer.batches({
      position: null,
      clock,
      signal: abort.signal,
      folder: NO_FOLDER,
      report: (said) => void reports.push(said),
    })) {
      payloads.push(...records.map(({ payload }) => Buffer.from(payload)));
      states.push(producer.status!().state);
      if (payloads.length === 3) abort.abort();
      assert.equal(JSON.parse(position!).used, payloads.length);
    }
    assert.deepEqual(payloads, [Buffer.from(body), Buffer.from(body), Buffer.from(PAGE)]);
    // The third batch is yielded before its page counts as read.
    assert.deepEqual(states, ["connecting", "failed", "failed"]);
    assert.deepEqual(codes(reports).slice(0, 2), [code, code]);
    assert.deepEqual(clock.waits_ms.slice(0, 2), [1000, 2000]);
    assert.ok(!JSON.stringify(reports).includes(KEY));
  });
}

test("an empty page after the last page of coins is not a failure", async () => {
  server.commands.push({ do: "answer", body: PAGE }, { do: "answer", body: "[]" }, { do: "answer", body: PAGE });
  const { reports } = await pull(poller({ pages: 2 }), 3);
  assert.deepEqual(codes(reports), []);
});

test("consecutive failures double the wait, and a success resets it and is reported", async () => {
  const broken: Command = { do: "answer", status: 502, body: "" };
  server.commands.push(broken, broken, broken, { do: "answer", body: PAGE }, broken);
  const { clock, reports } = await pull(poller({ calls_per_month: 1_000_000 }), 2);
  assert.deepEqual(clock.waits_ms, [1000, 2000, 4000, 30_000, 30_000, 1000]);
  assert.deepEqual(codes(reports), ["BAD_STATUS", "BAD_STATUS", "BAD_STATUS", "RECOVERED", "BAD_STATUS"]);
});

test("the monthly budget sets the poll interval: 10,000 calls allow one about every four minutes", async () => {
  const clock = new FakeClock("2025-10-01T00:00:00Z");
  const { at_us, reports } = await pull(poller(), 3, { clock });
  const gaps_s = at_us.slice(1).map((at, index) => (at - at_us[index]!) / 1e6);
  assert.ok(
    gaps_s.every((gap_s) => Math.abs(gap_s - (31 * 86_400) / 10_000) < 0.1),
    gaps_s.join(" "),
  );
  assert.match(
    reports.find(({ message }) => message.includes("1 of 10000"))!.message,
    /9999 left; next poll at 2025-10-01T00:04:27Z/,
  );
});

test("polls are one minute apart even if the budget allows more", async () => {
  const { at_us } = await pull(poller({ calls_per_month: 10_000_000 }), 3);
  assert.deepEqual(
    at_us.map((at) => (at - at_us[0]!) / 1e6),
    [0, 60, 120],
  );
});

test("a poller that has spent its monthly budget reports it and waits for the next month", async () => {
  const clock = new FakeClock("2025-10-31T23:00:00Z");
  const { at_us, reports, position } = await pull(poller({ calls_per_month: 1 }), 2, { clock });
  assert.deepEqual(
    at_us.map((at) => new Date(at / 1000).toISOString()),
    ["2025-10-31T23:00:00.000Z", "2025-11-01T00:00:00.000Z"],
  );
  assert.deepEqual(JSON.parse(position!), { month: "2025-11", used: 1, polled_at_us: at_us[1] });
  assert.deepEqual(codes(reports), ["BUDGET_SPENT"]);
});

test("the monthly budget is never exceeded, despite failures and restarts", async () => {
  const clock = new FakeClock("2025-10-31T12:00:00Z");
  let position: string | null = null;
  const paid = new Map<string, number>();
  for (let start = 0; start < 40; start += 1) {
    server.commands.push({ do: "cut_mid_body", body: PAGE }, { do: "answer", status: 429, body: "" });
    const pulled = await pull(poller({ calls_per_month: 20, pages: 3 }), 2, { clock, position });
    position = pulled.position;
    for (const at of pulled.at_us)
      paid.set(
        new Date(at / 1000).toISOString().slice(0, 7),
        (paid.get(new Date(at / 1000).toISOString().slice(0, 7)) ?? 0) + 1,
      );
    clock.jump_ms(60_000);
  }
  assert.ok(paid.size > 2 && [...paid.values()].every((used) => used <= 20), JSON.stringify([...paid]));
});

test("a restarted poller restores the spent credits and the last poll time, and makes no extra call", async () => {
  const clock = new FakeClock();
  const first = await pull(poller(), 1, { clock });
  clock.jump_ms(5000);
  const second = await pull(poller(), 1, { clock, position: first.position });
  assert.equal(JSON.parse(second.position!).used, 2);
  assert.ok(second.at_us[0]! - first.at_us[0]! > 60_000_000);
});

test("after nine hours of sleep the poller polls once, not once for every missed poll", async () => {
  const clock = new FakeClock();
  const first = await pull(poller(), 1, { clock });
  clock.jump_ms(9 * 3_600_000);
  const { at_us } = await pull(poller(), 3, { clock, position: first.position });
  const gaps_s = at_us.slice(1).map((at, index) => (at - at_us[index]!) / 1e6);
  assert.ok(
    gaps_s.every((gap_s) => gap_s >= 60),
    gaps_s.join(" "),
  );
});

test("a clock that is set back delays the next poll by at most one interval", async () => {
  const clock = new FakeClock("2025-10-10T12:00:00Z");
  const first = await pull(poller(), 1, { clock });
  clock.jump_ms(-86_400_000);
  const begun_us = clock.now_us();
  const { at_us } = await pull(poller(), 1, { clock, position: first.position });
  assert.ok(at_us[0]! - begun_us < 300_000_000);
});

test("an abort ends the poller while a request is pending", async () => {
  server.commands.push({ do: "answer", body: PAGE }, { do: "hang" });
  const abort = new AbortController();
  const clock = new FakeClock();
  const given: string[] = [];
  const asked = async (): Promise<void> => {
    while (server.pages.length < 2) await new Promise((resolve) => void setImmediate(resolve));
    abort.abort();
  };
  const hung = asked();
  for await (const { records } of poller({ timeout_ms: 60_000 }).batches({
    position: null,
    clock,
    signal: abort.signal,
    folder: NO_FOLDER,
    report: () => {},
  }))
    given.push(...records.map(textOf));
  await hung;
  assert.deepEqual(given, [PAGE]);
});

test("a probe succeeds when CoinGecko answers, even with a rate limit, and its credit is counted", async () => {
  server.commands.push(
    { do: "answer", body: '{"gecko_says":"(V3) To the Moon!"}' },
    { do: "answer", status: 429, body: "error code: 1015" },
  );
  const producer = poller();
  await producer.probe(never);
  await producer.probe(never);
  assert.equal(JSON.parse((await pull(producer, 1)).position!).used, 2);
});

const UNREACHABLE: [string, Command, RegExp][] = [
  ["an error", { do: "answer", status: 503, body: "" }, /status 503/],
  ["a rejected key", { do: "answer", status: 401, body: "" }, /rejected the key/],
  ["no response", { do: "hang" }, /no complete answer/],
  ["a captive portal's page", { do: "answer", body: "<html>Log in to the hotel" }, /not CoinGecko/],
];
for (const [title, command, message] of UNREACHABLE) {
  test(`a probe that gets ${title} fails and reports why the source cannot be used`, async () => {
    server.commands.push(command);
    await assert.rejects(poller({ timeout_ms: 100 }).probe(never), { code: "SOURCE_UNREACHABLE", message });
  });
}

test("a failed probe distinguishes a closed port from a host name that does not resolve", async () => {
  const free = createServer();
  await new Promise<void>((resolve) => void free.listen(0, "127.0.0.1", resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  await assert.rejects(poller({ base_url: `http://127.0.0.1:${port}` }).probe(never), {
    code: "SOURCE_UNREACHABLE",
    message: /connection refused/,
  });
  await assert.rejects(poller({ base_url: "http://coinlake.invalid" }).probe(never), {
    code: "SOURCE_UNREACHABLE",
    message: /could not be resolved/,
  });
});

test("the API key appears in no error, report or inspected object", async () => {
  server.otherwise = { do: "answer", status: 401, body: `bad key ${KEY}` };
  const producer = poller({ demo_key: KEY });
  assert.ok(!inspect(producer, { depth: 9, showHidden: true }).includes(KEY));
  await assert.rejects(producer.probe(never), (error) => !inspect(error, { depth: 9 }).includes(KEY));
  assert.throws(
    () => poller({ demo_key: `${KEY}\n` }),
    (error) => (error as { code?: string }).code === "INVALID_API_KEY" && !inspect(error).includes(KEY),
  );
});

test("options that are not given come from the environment", async (context) => {
  const before = { ...process.env };
  context.after(() => void (process.env = before));
  Object.assign(process.env, { COINGECKO_API_KEY: KEY, COINGECKO_BASE_URL: server.base_url });
  delete process.env["COINGECKO_PRO_API_KEY"];
  await pull(coingecko(), 1);
  assert.equal(server.pages[0]?.headers["x-cg-demo-api-key"], KEY);
});

test("options come from the environment; an empty value counts as absent, and an invalid one is rejected", () => {
  assert.deepEqual(
    coingeckoEnvironment({ COINGECKO_API_KEY: " k ", COINGECKO_PRO_API_KEY: "", COINGECKO_BASE_URL: "http://x" }),
    { demo_key: "k", pro_key: null, base_url: "http://x" },
  );
  assert.deepEqual(coingeckoEnvironment({}), { demo_key: null, pro_key: null, base_url: null });
  for (const base_url of ["nowhere", "ftp://x", "http://user:pass@x"])
    assert.throws(() => poller({ base_url }), { code: "INVALID_BASE_URL" });
  for (const options of [{ pages: 0 }, { calls_per_month: 0 }, { timeout_ms: 0.5 }])
    assert.throws(() => poller(options), RangeError);
});

test("an invalid stored position stops the poller, so that no spent credit is forgotten", async () => {
  for (const position of ["", "{}", '{"month":"2025-10","used":"1","polled_at_us":null}']) {
    await assert.rejects(collect(poller(), { position }), { code: "INVALID_POSITION" });
  }
});

test("the status shows the state: connecting, live, failed with the reason, ended", async () => {
  const source = poller();
  assert.deepEqual([source.status?.().state, source.status?.().heard_at_us], ["connecting", null]);
  const clock = new FakeClock();
  const abort = new AbortController();
  server.commands.push({ do: "answer", body: PAGE }, { do: "answer", status: 500, body: "" });
  const states: string[] = [];
  const messages: string[] = [];
  const report = ({ code }: SourceReport): void =>
    queueMicrotask(() => {
      const status = source.status?.() ?? assert.fail();
      states.push(`${code}: ${status.state}`);
      if (status.message !== null) messages.push(status.message);
    });
  let batches = 0;
  for await (const _ of source.batches({ position: null, clock, signal: abort.signal, folder: NO_FOLDER, report })) {
    batches += 1;
    if (batches === 3) break;
  }
  assert.deepEqual(states.slice(1), [
    "BUDGET: connecting",
    "BUDGET: live",
    "BAD_STATUS: failed",
    "RECOVERED: live",
    "BUDGET: live",
  ]);
  assert.match(messages[0] ?? "", /status 500/);
  const { state, heard_at_us, silent_after_ms } = source.status?.() ?? assert.fail();
  assert.equal(state, "ended");
  assert.equal(heard_at_us, clock.now_us());
  assert.ok(silent_after_ms >= 2 * 60_000);
});
