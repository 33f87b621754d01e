import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { ServerResponse } from "node:http";
import { DatabaseSync } from "node:sqlite";
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Alert, Delivery } from "../../src/alert/alert.ts";
import { appendToFile } from "../../src/alert/deliver/file.ts";
import { messageOf } from "../../src/alert/deliver/message.ts";
import { AlertStore } from "../../src/alert/sqlite/store.ts";
import type { DeliveryLimits } from "../../src/alert/deliver/deliverer.ts";
import { temporaryFolder } from "../support/coinlake.ts";
import { startReceiver } from "./receiver.ts";
import { FALL, MINUTE_US, ticksOf } from "./streams.ts";
import { Tape, runEngine, type Running } from "./tape.ts";
import { eventually } from "../support/eventually.ts";

const folder = temporaryFolder();
after(() => folder.remove());
let folders = 0;
const freshFolder = () => join(folder.path, String((folders += 1)));

const SECRET = `whsec_${Buffer.from("a key of twenty-four bytes or more").toString("base64")}`;
const FAST: Partial<DeliveryLimits> = { base_ms: 5, cap_ms: 20, timeout_ms: 2_000 };
const FELL = ticksOf([
  { at_us: 0, value: "100" },
  { at_us: MINUTE_US, value: "94" },
  { at_us: 2 * MINUTE_US, value: "100" },
]);

interface Delivered {
  alert: Alert & { deliveries: Delivery[] };
  running: Running;
  at: string;
}

/** Delivers one fall and its recovery to a sink, and waits until every delivery has finished. */
async function tell(
  sink: object,
  options: { delivery?: Partial<DeliveryLimits>; rule?: object } = {},
): Promise<Delivered> {
  const at = freshFolder();
  const tape = new Tape(FELL);
  const running = await runEngine(at, tape, { delivery: { ...FAST, ...options.delivery } });
  await running.engine.createSink({ id: "s", ...sink });
  await running.engine.createRule({
    id: "fall",
    name: "Falls <fast> & deep",
    condition: FALL,
    sinks: ["page", "s"],
    ...options.rule,
  });
  await running.engine.idle();
  tape.absorbAll();
  await running.engine.idle();
  const alert = await settled(running);
  await running.stop();
  return { alert, running, at };
}

async function settled({ engine }: Running): Promise<Delivered["alert"]> {
  const delivered = (): Delivered["alert"] | null => {
    const [first] = engine.listAlerts().items;
    const alert = engine.getAlert(first!.id);
    return alert.deliveries.every(({ state }) => state !== "waiting") ? alert : null;
  };
  return eventually(delivered, { what: "an end of every delivery" });
}

const states = ({ deliveries }: Delivered["alert"]) => deliveries.map(({ event, state }) => `${event} ${state}`);

describe("a webhook", () => {
  test("is signed over id, time and body as in Standard Webhooks, and receives a recovery after an alert", async () => {
    const receiver = await startReceiver((_received, response) => response.writeHead(204).end());
    const { alert } = await tell({ kind: "webhook", url: receiver.url, secret: SECRET });
    await receiver.close();
    assert.deepEqual(states(alert), ["fired sent", "recovered sent"]);
    const [fired, recovered] = receiver.requests;
    assert.deepEqual(
      [fired, recovered].map((request) => request?.headers["webhook-id"]),
      [`${alert.id}-fired`, `${alert.id}-recovered`],
    );
    for (const { headers, body } of receiver.requests) {
      const key = Buffer.from(SECRET.slice("whsec_".length), "base64");
      const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
      assert.equal(headers["webhook-signature"], `v1,${createHmac("sha256", key).update(signed).digest("base64")}`);
      assert.equal(headers["content-type"], "application/json");
    }
    const { type, data } = JSON.parse(fired!.body) as { type: string; data: Alert };
    assert.deepEqual([type, data.id, data.state, data.value], ["alert.fired", alert.id, "active", "94"]);
  });

  test("is retried after a 500, a 429 and a cut connection, with the same id", async () => {
    const receiver = await startReceiver((_received, response, count) => {
      if (count === 1) response.writeHead(500).end();
      else if (count === 2) response.writeHead(429, { "retry-after": "0" }).end();
      else if (count === 3) response.destroy();
      else response.writeHead(200).end();
    });
    const { alert } = await tell({ kind: "webhook", url: receiver.url }, { rule: { is_recovery_notified: false } });
    await receiver.close();
    assert.deepEqual(
      alert.deliveries.map(({ state, attempts, event, last_error }) => ({ state, attempts, event, last_error })),
      [{ state: "sent", attempts: 4, event: "fired", last_error: null }],
    );
    assert.equal(new Set(receiver.requests.map(({ headers }) => headers["webhook-id"])).size, 1);
  });

  for (const status of [400, 410, 302]) {
    test(`fails without a retry on status ${status}, and the report omits the URL`, async () => {
      const receiver = await startReceiver((_received, response) =>
        response.writeHead(status, { location: "http://127.0.0.1:9/" }).end(),
      );
      const { alert, running } = await tell({ kind: "webhook", url: receiver.url });
      await receiver.close();
      assert.deepEqual(states(alert), ["fired failed", "recovered failed"]);
      assert.equal(receiver.requests.length, 2);
      assert.deepEqual(
        alert.deliveries.map(({ last_error }) => last_error),
        [`answered ${status}`, `answered ${status}`],
      );
      assert.equal(running.reports[0]?.code, "ALERT_NOT_DELIVERED");
      assert.doesNotMatch(JSON.stringify([running.reports, alert]), /secret|127\.0\.0\.1/);
    });
  }

  test("that does not answer is cut off at the timeout, retried, and given up after the deadline", async () => {
    const receiver = await startReceiver(() => {});
    const { alert } = await tell(
      { kind: "webhook", url: receiver.url },
      { delivery: { timeout_ms: 30, give_up_after_ms: 150 }, rule: { is_recovery_notified: false } },
    );
    await receiver.close();
    const [delivery] = alert.deliveries;
    assert.deepEqual([delivery?.state, delivery?.last_error], ["failed", "no answer in time"]);
    assert.ok((delivery?.attempts ?? 0) > 1);
  });

  test("that does not answer does not delay other sinks", async () => {
    const silent = await startReceiver(() => {});
    const at = freshFolder();
    const tape = new Tape(FELL);
    const running = await runEngine(at, tape, { delivery: { ...FAST, timeout_ms: 60_000 } });
    const path = join(folder.path, "beside.jsonl");
    await running.engine.createSink({ id: "silent", kind: "webhook", url: silent.url });
    await running.engine.createSink({ id: "file", kind: "file", path });
    await running.engine.createRule({ id: "fall", name: "Falls", condition: FALL, sinks: ["silent", "file"] });
    await running.engine.idle();
    tape.absorbAll();
    await eventually(() => existsSync(path) && readFileSync(path, "utf8").split("\n").length >= 3, {
      what: "two messages in the file",
    });
    await running.stop();
    await silent.close();
  });
});

test("a delivery is sent once while the outbox is locked, and not revived after its sink is gone", async (context) => {
  const at = freshFolder();
  const tape = new Tape(FELL);
  let locked: DatabaseSync | null = null;
  const held: ServerResponse[] = [];
  const receiver = await startReceiver((_received, response, count) => {
    if (count > 1) return void held.push(response);
    locked = new DatabaseSync(join(at, "alerts.db"));
    locked.exec("BEGIN IMMEDIATE");
    response.end();
  });
  const running = await runEngine(at, tape, { delivery: FAST });
  context.after(async () => {
    locked?.close();
    await running.stop();
    await receiver.close();
  });
  const { engine } = running;
  await engine.createSink({ id: "s", kind: "webhook", url: receiver.url });
  await engine.createRule({ id: "fall", name: "Falls", condition: FALL, sinks: ["s"] });
  await engine.idle();
  tape.absorb(2);
  const report = await eventually(() => running.reports[0], { what: "the report of the failed write" });
  assert.deepEqual([report.code, receiver.requests.length], ["ALERTS_LOCKED", 1]);
  locked!.exec("ROLLBACK");
  const [alert] = engine.listAlerts().items;
  const deliveries = () => engine.getAlert(alert!.id).deliveries.map(({ state, attempts }) => ({ state, attempts }));
  await eventually(() => deliveries()[0]?.state === "sent", { what: "the end of the delivery" });
  assert.deepEqual([deliveries(), receiver.requests.length], [[{ state: "sent", attempts: 1 }], 1]);

  tape.absorb(1);
  await eventually(() => held.length === 1, { what: "the delivery of the recovery" });
  await engine.deleteRule("fall");
  await engine.deleteSink("s");
  assert.equal(deliveries()[1]?.state, "failed");
  await running.stop();
  // The attempt that was under way ends afterwards.
  const store = new AlertStore(join(at, "alerts.db"));
  const end = { next_attempt_at_us: 1, sent_at_us: null, last_error: "status 500" };
  await store.endDelivery(2, { ...end, state: "waiting" });
  assert.deepEqual(
    store.deliveriesOf(alert!.id).map(({ state }) => state),
    ["sent", "failed"],
  );
  await store.endDelivery(2, { ...end, state: "sent" });
  assert.deepEqual(
    store.deliveriesOf(alert!.id).map(({ state }) => state),
    ["sent", "sent"],
  );
  store.close();
});

test("a delivery that was not made when the process ended is made by the next process", async () => {
  const receiver = await startReceiver((_received, response, count) =>
    response.writeHead(count === 1 ? 503 : 200).end(),
  );
  const at = freshFolder();
  const tape = new Tape(FELL.slice(0, 2));
  const first = await runEngine(at, tape, { delivery: { ...FAST, base_ms: 600, cap_ms: 600 } });
  await first.engine.createSink({ id: "s", kind: "webhook", url: receiver.url });
  await first.engine.createRule({ id: "fall", name: "Falls", condition: FALL, sinks: ["s"] });
  await first.engine.idle();
  tape.absorbAll();
  await first.engine.idle();
  await eventually(() => receiver.requests.length > 0, { what: "a request to the receiver" });
  await first.stop();
  const second = await runEngine(at, new Tape(FELL.slice(0, 2), 2), { delivery: FAST });
  assert.deepEqual(states(await settled(second)), ["fired sent"]);
  await second.stop();
  await receiver.close();
});

test("Slack receives text and blocks with markup characters escaped", async () => {
  const receiver = await startReceiver((_received, response) => response.end("ok"));
  await tell({ kind: "slack", url: receiver.url });
  await receiver.close();
  const [fired, recovered] = receiver.requests.map(
    ({ body }) => JSON.parse(body) as { text: string; blocks: unknown[] },
  );
  assert.equal(fired?.text, "a fell 6 % within 10 minutes: from 100 to 94");
  assert.match(JSON.stringify(fired?.blocks), /Falls &lt;fast&gt; &amp; deep/);
  assert.match(recovered?.text ?? "", /^Recovered: a fell/);
});

describe("a command", () => {
  const node = (script: string) => ({ kind: "command", argv: [process.execPath, "-e", script] });

  test("gets the alert on its standard input, and an environment without coinlake's secrets", async () => {
    const out = join(folder.path, "command.json");
    process.env["COINLAKE_TEST_TOKEN"] = "secret";
    const script =
      `let text = ""; process.stdin.on("data", (d) => (text += d))` +
      `.on("end", () => require("fs").appendFileSync(process.argv[1], ` +
      `JSON.stringify({ input: JSON.parse(text), env: Object.keys(process.env) }) + "\\n"))`;
    const { alert } = await tell({ kind: "command", argv: [process.execPath, "-e", script, out] });
    delete process.env["COINLAKE_TEST_TOKEN"];
    assert.deepEqual(states(alert), ["fired sent", "recovered sent"]);
    const [first] = readFileSync(out, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { input: { id: string; data: Alert }; env: string[] });
    assert.equal(first?.input.id, `${alert.id}-fired`);
    assert.ok(first?.env.includes("PATH") && !first.env.some((name) => name.startsWith("COINLAKE")));
  });

  test("that fails, cannot be started or does not end is given up with the reason", async () => {
    const limits = { give_up_after_ms: 300 };
    const rule = { is_recovery_notified: false };
    const failing = await tell(node("process.exit(3)"), { delivery: limits, rule });
    const missing = await tell(
      { kind: "command", argv: [join(folder.path, "no-such-program")] },
      { delivery: limits, rule },
    );
    const endless = await tell(
      { ...node("setInterval(() => {}, 1000)"), timeout_ms: 150 },
      { delivery: { give_up_after_ms: 1 }, rule },
    );
    assert.deepEqual(
      [failing, missing, endless].map(({ alert }) => [alert.deliveries[0]?.state, alert.deliveries[0]?.last_error]),
      [
        ["failed", "ended with exit code 3"],
        ["failed", "could not be started: ENOENT"],
        ["failed", "did not end in time"],
      ],
    );
  });
});

test("a program that the operating system cannot start is a failed attempt, and delivery continues", async () => {
  const plain = join(folder.path, "plain-file");
  writeFileSync(plain, "");
  const { alert } = await tell(
    { kind: "command", argv: [join(plain, "program")] },
    { delivery: { give_up_after_ms: 40 } },
  );
  assert.deepEqual(
    alert.deliveries.map(({ last_error }) => last_error),
    ["could not be started: ENOTDIR", "could not be started: ENOTDIR"],
  );
});

describe("a file", () => {
  const message = async () =>
    messageOf({
      event: "fired",
      alert: (await tell({ kind: "file", path: join(freshFolder(), "..", "any.jsonl") })).alert,
    });
  const attemptWith = (resume: string | null, notes: string[] = []) => ({
    signal: new AbortController().signal,
    now_us: 0,
    resume,
    note: async (note: string) => void notes.push(note),
  });

  test("gets one line of JSON per event", async () => {
    const path = join(folder.path, "alerts.jsonl");
    const { alert } = await tell({ kind: "file", path });
    const lines = readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: string });
    assert.deepEqual(
      lines.map(({ id }) => id),
      [`${alert.id}-fired`, `${alert.id}-recovered`],
    );
  });

  test("holds a line exactly once, whether the previous attempt wrote all, a part or none of it", async () => {
    const notice = await message();
    const line = `${JSON.stringify(notice)}\n`;
    for (const left of ["", line, line.slice(0, 40), `${line}{"by":"another"}\n`, line.slice(0, -1)]) {
      const path = join(freshFolder(), "..", `torn-${folders}.jsonl`);
      writeFileSync(path, '{"before":1}\n');
      const notes: string[] = [];
      await appendToFile({ id: "s", kind: "file", path }, notice, attemptWith(null, notes));
      truncateSync(path, Number(notes[0]));
      appendFileSync(path, left);
      await appendToFile({ id: "s", kind: "file", path }, notice, attemptWith(notes[0] ?? null));
      const text = readFileSync(path, "utf8");
      assert.equal(text.split(line).length, 2, JSON.stringify(left));
      assert.equal(text, `{"before":1}\n${line}${left.includes("another") ? '{"by":"another"}\n' : ""}`);
    }
  });

  test("that cannot be written is given up with the reason", async () => {
    const { alert } = await tell(
      { kind: "file", path: join(folder.path, "no-such-folder", "x") },
      { delivery: { give_up_after_ms: 40 } },
    );
    assert.deepEqual(
      alert.deliveries.map(({ last_error }) => last_error),
      ["could not be written: ENOENT", "could not be written: ENOENT"],
    );
  });
});

test("a sink that a rule names cannot be deleted", async () => {
  const { engine, stop } = await runEngine(freshFolder(), new Tape([]));
  await engine.createSink({ id: "s", kind: "file", path: "x" });
  await engine.createRule({ id: "fall", name: "Falls", condition: FALL, sinks: ["s"] });
  await assert.rejects(engine.createSink({ id: "s", kind: "file", path: "y" }), { code: "SINK_EXISTS" });
  await assert.rejects(engine.deleteSink("s"), { code: "SINK_IN_USE" });
  await assert.rejects(engine.deleteSink("none"), { code: "SINK_NOT_FOUND" });
  await engine.deleteRule("fall");
  await engine.deleteSink("s");
  assert.deepEqual(
    engine.listSinks().map(({ id }) => id),
    ["page"],
  );
  await stop();
});
