import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { pricePoller } from "../../examples/price-poller.ts";
import { runProducer } from "../../src/log/run-producer.ts";
import { openSqliteLog } from "../../src/log/sqlite/log.ts";
import { FakeClock } from "../producer/fake-clock.ts";
import { temporaryFolder } from "../support/coinlake.ts";

const TOPIC = "prices";
const folder = temporaryFolder();
after(() => folder.remove());

test("the example stores answers byte for byte, continues after a failed poll, and resumes its position", async () => {
  let requests = 0;
  const answers: string[] = [];
  const server = createServer((_, response) => {
    requests += 1;
    if (requests === 2) return void response.writeHead(503).end();
    const answer =
      `{ "product":"BTC-USD", "price":"104235.1${requests}", ` +
      `"time":"2026-01-31T12:00:0${requests}Z", "id":${requests} }\n`;
    answers.push(answer);
    response.end(answer);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const log = openSqliteLog({ file: join(folder.path, "log.db") });
  await log.createTopic(TOPIC, 1);
  const codes: string[] = [];

  async function runFor(records: number): Promise<void> {
    const stop = new AbortController();
    let appended = 0;
    await runProducer({
      producer: pricePoller({ url, source: "example", interval_ms: 10_000 }),
      log,
      topic: TOPIC,
      lake_folder: folder.path,
      clock: new FakeClock(),
      signal: stop.signal,
      report: ({ code }) => void codes.push(code),
      appended: (count) => {
        appended += count;
        if (appended >= records) stop.abort();
      },
    });
  }

  try {
    await runFor(2);
    await runFor(1);
    const stored = await log.read(TOPIC, 0, 0, { max_records: 10, max_bytes: 1_000_000 });
    assert.deepEqual(
      stored.map(({ payload }) => Buffer.from(payload).toString()),
      answers,
    );
    assert.deepEqual(codes, ["POLL_FAILED"]);
    assert.equal(await log.position(TOPIC, `example:${url}`), "3");
  } finally {
    await log.close();
    server.close();
    server.closeAllConnections();
  }
});
