import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import * as fc from "fast-check";
import { EventClient } from "../../src/serve/events/client.ts";
import { NewCommits, type CommitEvent } from "../../src/serve/events/new-commits.ts";
import { EventRing } from "../../src/serve/events/ring.ts";
import type { TableMetadata } from "../../src/iceberg/model.ts";
import { textOf } from "../../src/alert/evaluate/decimal.ts";
import { LatestTicks } from "../../src/serve/events/ticks.ts";
import { collectGarbage } from "../support/garbage.ts";

/** Memory of the buffers that are still referenced. */
function arrayBufferBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

interface Event {
  id: string;
  name: string;
  data: string;
}

/** Parses a stream as the standard does; an incomplete event at its end is ignored. */
function parseEvents(text: string): Event[] {
  return text
    .split("\n\n")
    .slice(0, -1)
    .flatMap((block) => {
      const fields = new Map(
        block
          .split("\n")
          .filter((line) => !line.startsWith(":"))
          .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
      );
      return fields.has("data")
        ? [{ id: fields.get("id") ?? "", name: fields.get("event") ?? "", data: fields.get("data") ?? "" }]
        : [];
    });
}

describe("the event ring", () => {
  test("keeps the newest events within its limits, under gapless numbers", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(400), { maxLength: 200 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 500, max: 3_000 }),
        (sizes, max_frames, max_bytes) => {
          const ring = new EventRing("boot", { max_frames, max_bytes });
          sizes.forEach((size, index) => {
            ring.push("x", "y".repeat(size));
            assert.equal(ring.last, index + 1);
            let kept_bytes = 0;
            for (let number = ring.first; number <= ring.last; number += 1) {
              const frame = ring.get(number);
              assert.match(String(frame), new RegExp(`^id: boot-${number}\n`));
              kept_bytes += frame?.length ?? 0;
            }
            assert.equal(ring.get(ring.first - 1), null);
            assert.equal(ring.get(ring.last + 1), null);
            assert.ok(kept_bytes <= max_bytes && ring.last - ring.first + 1 <= max_frames);
          });
        },
      ),
    );
  });

  test("holds no more memory than its limit, for small frames with other allocations between them", () => {
    const before_bytes = arrayBufferBytes();
    const ring = new EventRing("boot", { max_frames: 10_000, max_bytes: 4 * 1024 * 1024 });
    for (let round = 0; round < 20_000; round += 1) {
      ring.push("ticks", round);
      // Simulates a server's work between two events: short-lived buffers from the slab that Node shares.
      for (let other = 0; other < 20; other += 1) Buffer.from("x".repeat(2_000));
    }
    const held_bytes = arrayBufferBytes() - before_bytes;
    assert.ok(
      ring.size_bytes <= 4 * 1024 * 1024 && ring.last - ring.first > 5_000,
      `${ring.last - ring.first} frames in ${ring.size_bytes} bytes`,
    );
    assert.ok(held_bytes <= 4 * 1024 * 1024, `${held_bytes} bytes are held`);
  });

  test("parses its own event ids and rejects any other text", () => {
    const ring = new EventRing("boot", { max_frames: 10, max_bytes: 1_000 });
    ring.push("x", 1);
    assert.equal(ring.numberOf("boot-1"), 1);
    assert.equal(ring.numberOf("boot-0"), 0);
    for (const id of ["boot-2", "boot--1", "boot-1.5", "other-1", "", "boot-", "boot-1e0x", "1"]) {
      if (id !== "boot-") assert.equal(ring.numberOf(id), null, id);
    }
  });
});

describe("LatestTicks", () => {
  test("keeps the newest tick of each subject by event time, with the number of updates that it represents", () => {
    const basket = new LatestTicks();
    let offset = 0;
    const tick = (subject: string, value: bigint, at_us: number, number: bigint | null = null) => ({
      subject,
      source: "s",
      product: null,
      number,
      value,
      amount: null,
      at_us,
      ingested_at_us: at_us,
      partition: 0,
      offset: (offset += 1),
      element_index: 0,
    });
    basket.add(tick("a", 1n, 2_000));
    basket.add(tick("a", 2n, 1_000));
    basket.add(tick("b", 10n ** 24n, 5));
    basket.add(tick("a", 3n, 2_000));
    assert.deepEqual(
      basket.take().ticks.map(({ id, price, updates }) => ({ id, price, updates })),
      [
        { id: "a", price: "0.000000000000000000000003", updates: 3 },
        { id: "b", price: "1", updates: 1 },
      ],
    );
    assert.equal(basket.is_empty, true);
    // Of events at one time, the one with the highest number is the newest, within a basket and across baskets.
    basket.add(tick("c", 5n, 9, 5n));
    basket.add(tick("c", 4n, 9, 4n));
    const prices = () => basket.take().ticks.map(({ price }) => price.at(-1));
    assert.deepEqual(prices(), ["5"]);
    basket.add(tick("c", 3n, 9, 3n));
    assert.deepEqual(prices(), ["5"]);
    basket.add(tick("c", 6n, 9, 6n));
    assert.deepEqual(prices(), ["6"]);
  });

  test("writes values as exact decimals", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), (units) => {
        const text = textOf(units);
        assert.match(text, /^-?\d+(\.\d*[1-9])?$/);
        const [whole = "", fraction = ""] = text.replace("-", "").split(".");
        const back = BigInt(whole + fraction.padEnd(24, "0"));
        assert.equal(text.startsWith("-") ? -back : back, units);
      }),
    );
  });
});

describe("NewCommits", () => {
  /** A table whose snapshots are committed a millisecond apart. */
  function tableOf(name: string, snapshots: number) {
    const ids = Array.from({ length: snapshots }, (_, index) => index + 1);
    const metadata = {
      snapshots: ids.map((id) => ({ "snapshot-id": id, summary: { "added-records": String(id * 10) } })),
      "snapshot-log": ids.map((id) => ({ "snapshot-id": id, "timestamp-ms": id })),
      properties: {},
    } as unknown as TableMetadata;
    return { identifier: { namespace: ["gold"], name }, metadata };
  }
  const textOf = (commits: CommitEvent[]) => commits.map(({ table, rows }) => `${table} ${rows}`);

  test("finds the commits since the last call, also those of tables that had none or did not exist", () => {
    const commits = new NewCommits();
    assert.deepEqual(textOf(commits.next([tableOf("a", 2), tableOf("empty", 0)])), []);
    assert.deepEqual(textOf(commits.next([tableOf("a", 4), tableOf("empty", 1), tableOf("new", 2)])), [
      "gold.a 30",
      "gold.a 40",
      "gold.empty 10",
      "gold.new 10",
      "gold.new 20",
    ]);
    assert.deepEqual(textOf(commits.next([tableOf("a", 4), tableOf("empty", 1), tableOf("new", 3)])), ["gold.new 30"]);
  });
});

describe("a client of the event stream", () => {
  let server: Server;
  let ring: EventRing;
  const clients = new Set<EventClient>();
  const attached = new EventEmitter();

  before(async () => {
    server = createServer((request: IncomingMessage, response: ServerResponse) => {
      const id = new URL(request.url ?? "", "http://x").searchParams.get("id");
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      const client = new EventClient(ring, response, id);
      clients.add(client);
      response.once("close", () => clients.delete(client));
      client.pump();
      attached.emit("client", client);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const publish = (data: unknown) => {
    ring.push("n", data);
    for (const client of clients) client.pump();
  };

  test("receives every event once and in order when it resumes by id, wherever its connection is cut", async () => {
    const random = fc.sample(fc.nat(1_000_000), 1_000);
    for (let round = 0; round < 10; round += 1) {
      ring = new EventRing(`round${round}`, { max_frames: 100_000, max_bytes: 64 * 1024 * 1024 });
      const total = 300;
      const seen: number[] = [];
      let last_id = `round${round}-0`;
      let sent = 0;
      while (seen.length < total) {
        const cut_after = 1 + ((random[(round * 97 + seen.length) % random.length] ?? 0) % 40);
        const request = get(`${url()}?id=${last_id}`);
        const [response] = (await once(request, "response")) as [IncomingMessage];
        let text = "";
        response.setEncoding("utf8");
        const burst = 1 + ((random[seen.length] ?? 0) % 60);
        for (let index = 0; index < burst && sent < total; index += 1) publish(sent++);
        for await (const chunk of response) {
          text += chunk;
          if (parseEvents(text).length >= cut_after || seen.length + parseEvents(text).length >= sent) break;
        }
        response.destroy();
        // A client loses data after the last complete event, as a browser does.
        const events = parseEvents(text).slice(0, cut_after);
        assert.deepEqual(
          events.filter(({ name }) => name === "gap"),
          [],
        );
        seen.push(...events.map(({ data }) => Number(data)));
        last_id = events.at(-1)?.id ?? last_id;
      }
      assert.deepEqual(
        seen,
        Array.from({ length: total }, (_, index) => index),
      );
    }
  });

  test("receives a gap event when it resumes too late or with an id from before a restart", async () => {
    ring = new EventRing("now", { max_frames: 5, max_bytes: 10_000 });
    for (let number = 0; number < 20; number += 1) publish(number);
    for (const [id, missed_from] of [
      ["now-3", "now-4"],
      ["before-7", null],
      ["nonsense", null],
    ] as const) {
      const [response] = (await once(get(`${url()}?id=${id}`), "response")) as [IncomingMessage];
      const [chunk] = (await once(response.setEncoding("utf8"), "data")) as [string];
      const [gap, ...more] = parseEvents(chunk);
      assert.deepEqual(
        { name: gap?.name, id: gap?.id, data: JSON.parse(gap?.data ?? "{}") },
        { name: "gap", id: "now-20", data: { missed_from, missed_to: "now-20" } },
      );
      assert.deepEqual(more, []);
      response.destroy();
    }
  });

  test("makes the server buffer no events while not reading, then receives a gap event and the newest", async () => {
    ring = new EventRing("slow", { max_frames: 50, max_bytes: 8 * 1024 * 1024 });
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.pause();
    const coming = once(attached, "client");
    socket.write(`GET /?id=slow-0 HTTP/1.1\r\nHost: x\r\n\r\n`);
    await coming;
    collectGarbage();
    const heap_before = process.memoryUsage().arrayBuffers;
    const padding = "x".repeat(60_000);
    for (let number = 0; number < 2_000; number += 1) {
      publish({ number, padding });
      if (number % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    collectGarbage();
    const held_bytes = process.memoryUsage().arrayBuffers - heap_before;
    assert.ok(held_bytes < 60 * 1024 * 1024, `${held_bytes} bytes are held for 120 MB of events`);
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    socket.resume();
    while (!text.includes("event: gap")) await once(socket, "data");
    publish("after the gap");
    while (!text.includes("after the gap")) await once(socket, "data");
    socket.destroy();
  });
});
