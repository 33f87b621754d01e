import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { channel } from "node:diagnostics_channel";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import type { Connection } from "@platformatic/kafka";
import { freePorts } from "../../../src/services/machine/port.ts";
import { openKafkaLog, type KafkaLog } from "../../../src/log/kafka/log.ts";
import type { Log } from "../../../src/log/log.ts";
import { message } from "../../log/contract.ts";
import { Broker } from "./broker.ts";

const ALL = { max_records: 1_000_000, max_bytes: 1_000_000_000 };
const KEYS = ["bitcoin", "ether", "doge", "sol", "ada", "xrp"];
const PRODUCE = 0;

/** `count` messages with numbers from `from`, each under one of the keys. */
const numbered = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => message(String(from + i), KEYS[(from + i) % KEYS.length]));

/** The numbers in the log by key, in log order. */
async function numbersByKey(log: Log): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>();
  for (const { partition, begin } of await log.bounds("t")) {
    for (const { key, payload } of await log.read("t", partition, begin, ALL))
      found.set(key, [...(found.get(key) ?? []), Number(Buffer.from(payload).toString())]);
  }
  return found;
}

/** Asserts that the log has each of the first `count` numbers once, in order under its key. */
async function assertWhole(log: Log, count: number): Promise<void> {
  const found = await numbersByKey(log);
  for (const [index, key] of KEYS.entries()) {
    const expected = Array.from(
      { length: Math.ceil((count - index) / KEYS.length) },
      (_, i) => index + i * KEYS.length,
    );
    assert.deepEqual(found.get(key), expected, key);
  }
}

describe("without a broker", () => {
  it("opening fails within seconds if nothing listens on the port, and the error has a next step", async () => {
    const [port] = await freePorts(1);
    const started_ms = performance.now();
    await assert.rejects(openKafkaLog({ brokers: [`127.0.0.1:${port}`] }), {
      code: "LOG_UNREACHABLE",
      is_retryable: true,
      message: new RegExp(`^Kafka at 127\\.0\\.0\\.1:${port} did not answer within [45]\\.\\d s: connect ECONNREFUSED`),
      next_step: /Check that the broker runs/,
    });
    assert.ok(performance.now() - started_ms < 7_000);
  });

  it("opening fails as fast if the server accepts the connection and never responds", async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const started_ms = performance.now();
      const brokers = [`127.0.0.1:${(silent.address() as AddressInfo).port}`];
      await assert.rejects(openKafkaLog({ brokers, connect_timeout_ms: 1_000 }), {
        code: "LOG_UNREACHABLE",
        message: /no answer came/,
      });
      assert.ok(performance.now() - started_ms < 3_000);
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});

describe("a broker that is killed", () => {
  let broker: Broker;
  let logs = 0;
  before(async () => {
    broker = await Broker.start();
  });
  after(async () => {
    await broker?.stop();
  });

  async function withLog(
    options: { timeout_ms?: number },
    body: (log: KafkaLog, prefix: string) => Promise<void>,
  ): Promise<void> {
    const prefix = `faults-${(logs += 1)}.`;
    const log = await openKafkaLog({ brokers: broker.brokers, prefix, ...options });
    try {
      await log.createTopic("t", 3);
      await body(log, prefix);
    } finally {
      await log.close();
    }
  }

  /** Drops the response to the next produce request; resolves to the connection of that request. */
  function deafenNextProduce(): Promise<Connection> {
    const sent = channel("tracing:plt:kafka:connections:api:start");
    return new Promise((resolve) => {
      const deafen = (request: unknown): void => {
        const { apiKey, connection } = request as { apiKey: number; connection: Connection };
        if (apiKey !== PRODUCE) return;
        sent.unsubscribe(deafen);
        connection.socket.pause();
        resolve(connection);
      };
      sent.subscribe(deafen);
    });
  }

  async function untilWritten(log: Log, count: number): Promise<void> {
    for (;;) {
      const bounds = await log.bounds("t");
      if (bounds.reduce((sum, { end }) => sum + end, 0) >= count) return;
      await log.waitForAppend("t", bounds, AbortSignal.timeout(1_000));
    }
  }

  it("a lost acknowledgement duplicates no record", async () => {
    await withLog({}, async (log) => {
      await log.append("t", numbered(0, 60));
      const deaf = deafenNextProduce();
      const appending = log.append("t", numbered(60, 60), { producer: "p", position: "120" });
      const connection = await deaf;
      await untilWritten(log, 120);
      connection.socket.destroy();
      await appending;
      await assertWhole(log, 120);
      assert.equal(await log.position("t", "p"), "120");
    });
  });

  it("a kill between the write and the acknowledgement duplicates no record when the append is retried", async () => {
    await withLog({}, async (log) => {
      await log.append("t", numbered(0, 60));
      const deaf = deafenNextProduce();
      const appending = log.append("t", numbered(60, 60), { producer: "p", position: "120" });
      await deaf;
      await untilWritten(log, 120);
      await broker.kill();
      await broker.restart();
      await appending;
      await log.append("t", numbered(120, 60));
      await assertWhole(log, 180);
    });
  });

  it("repeated kills under load lose no acknowledged record, keep the order and duplicate nothing", async () => {
    await withLog({ timeout_ms: 60_000 }, async (log) => {
      let appended = 0;
      const over = new AbortController();
      const appending = (async () => {
        while (!over.signal.aborted) {
          const batch = Array.from({ length: 4 }, (_, i) =>
            log.append("t", numbered(appended + i * 100, 100), {
              producer: "p",
              position: String(appended + (i + 1) * 100),
            }),
          );
          await Promise.all(batch);
          appended += 400;
        }
      })();
      for (const pause_ms of [300, 700]) {
        await wait(pause_ms);
        await broker.kill();
        await broker.restart();
      }
      await wait(500);
      over.abort();
      await appending;
      assert.ok(appended >= 1_200, `${appended} appended`);
      await assertWhole(log, appended);
      assert.equal(await log.position("t", "p"), String(appended));
    });
  });

  it("while it is down, requests and waiting readers fail in time; the same log works once it is back", async () => {
    await withLog({ timeout_ms: 3_000 }, async (log) => {
      await log.append("t", numbered(0, 60));
      const ends = await log.bounds("t");
      const waiting = log.waitForAppend("t", ends, new AbortController().signal);
      await broker.kill();
      const started_ms = performance.now();
      await Promise.all([
        assert.rejects(waiting, { code: "LOG_UNREACHABLE", is_retryable: true }),
        assert.rejects(log.read("t", 0, 0, ALL), { code: "LOG_UNREACHABLE", is_retryable: true }),
        assert.rejects(log.append("t", numbered(60, 60)), {
          code: "APPEND_UNCERTAIN",
          is_retryable: true,
          next_step: /counted once/,
        }),
      ]);
      assert.ok(performance.now() - started_ms < 8_000);
      await broker.restart();
      await log.append("t", numbered(60, 60));
      await assertWhole(log, 120);
    });
  });

  it("a killed producer leaves no position ahead of its records, and duplicates at most its last batches", async () => {
    await withLog({}, async (log, prefix) => {
      for (const run_ms of [400, 900, 650]) {
        const child = fork(join(import.meta.dirname, "append-child.ts"), [broker.brokers[0]!, prefix], {
          execArgv: ["--disable-warning=ExperimentalWarning"],
        });
        await once(child, "message");
        await wait(run_ms);
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      const position = Number(await log.position("t", "p"));
      assert.ok(position > 0);
      const found = await numbersByKey(log);
      const numbers = new Set([...found.values()].flat());
      for (let number = 0; number < position; number += 1)
        assert.ok(numbers.has(number), `${number} is behind the position, and not in the log`);
      for (const [key, list] of found)
        assert.deepEqual(
          [...new Set(list)],
          [...new Set(list)].sort((a, b) => a - b),
          `${key} came first in order`,
        );
      const doubled = [...found.values()].flat().length - numbers.size;
      assert.ok(doubled <= 3 * 100, `${doubled} doubled by three kills`);
    });
  });
});
