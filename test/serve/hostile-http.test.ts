import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { checkToken } from "../../src/serve/guard/authentication.ts";
import type { Health } from "../../src/serve/schemas/status.ts";
import { Lakes, type TestLake } from "../dbt/lake.ts";
import { startRunning, type Running } from "./running.ts";

const TOKEN = "correct horse battery staple";

interface Answered {
  status: number;
  head: string;
  body: string;
}

let lakes: Lakes;
let lake: TestLake;

before(async () => {
  lakes = await Lakes.open();
  lake = await lakes.fresh();
});
after(() => lakes.close());

describe("the server under hostile requests", () => {
  let running: Running;

  before(async () => {
    running = await startRunning(lake);
  });
  after(() => running.close());

  /** Sends unmodified bytes, because client libraries would correct them. */
  async function raw(text: string, { port } = running.server): Promise<Answered> {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(text);
    let answer = "";
    socket.setEncoding("latin1").on("data", (chunk: string) => (answer += chunk));
    await once(socket, "close").catch(() => {});
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), head, body };
  }

  const request = (line: string, headers: Record<string, string> = {}, body = "") => {
    const all = { Host: `127.0.0.1:${running.server.port}`, Connection: "close", ...headers };
    return raw(
      `${line} HTTP/1.1\r\n${Object.entries(all)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("")}\r\n${body}`,
    );
  };

  /** Asserts that the server still answers a correct client. */
  async function answersHonestly(): Promise<void> {
    const response = await running.get("/api/status");
    assert.equal(response.status, 200);
    await response.arrayBuffer();
  }

  test("rejects foreign Host headers, against DNS rebinding", async () => {
    for (const host of [
      "evil.example",
      "evil.example:4000",
      "127.0.0.1.evil.example",
      "localhost.evil.example:80",
      "",
      "127.0.0.1@evil.example",
      "[::1].evil",
      "2130706433",
      "0.0.0.0",
    ]) {
      for (const path of ["/api/status", "/", "/healthz", "/metrics", "/api/events", "/login"]) {
        const { status } = await request(`GET ${path}`, { Host: host });
        assert.ok(status === 421 || status === 400, `${host} ${path}: ${status}`);
      }
    }
    for (const host of [`localhost:${running.server.port}`, "LOCALHOST", "[::1]:1"])
      assert.equal((await request("GET /healthz", { Host: host })).status, 200, host);
    assert.equal((await raw("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")).status, 400, "no Host at all");
    const two = await raw(
      `GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n`,
    );
    assert.ok(two.status === 421 || two.status === 400, `two names: ${two.status}`);
  });

  test("rejects changes and the event stream for pages of other sites", async () => {
    const body = JSON.stringify({ sql: "select 1" });
    const json = { "Content-Type": "application/json", "Content-Length": String(body.length) };
    for (const foreign of [
      { Origin: "http://evil.example" },
      { Origin: "null" },
      { Origin: "http://127.0.0.1:1" },
      { "Sec-Fetch-Site": "cross-site" },
      { "Sec-Fetch-Site": "same-site" },
    ] as Record<string, string>[]) {
      for (const line of [
        "POST /api/sql",
        "POST /api/rules",
        "PUT /api/rules/x",
        "DELETE /api/rules/x",
        "DELETE /api/sql/x",
        "POST /login",
      ]) {
        const { status, body: answer } = await request(line, { ...json, ...foreign }, body);
        assert.equal(status, 403, `${line} ${JSON.stringify(foreign)}: ${answer}`);
      }
      assert.equal((await request("GET /api/events", foreign)).status, 403);
    }
    const own = { Origin: `http://127.0.0.1:${running.server.port}`, "Sec-Fetch-Site": "same-origin" };
    assert.equal((await request("POST /api/sql", { ...json, ...own }, body)).status, 200);
  });

  test("accepts only valid JSON bodies, so that no form of another site is accepted", async () => {
    const body = JSON.stringify({ sql: "select 1" });
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "",
      "application/json-patch+json",
      "text/plain; application/json",
    ]) {
      assert.equal(
        (await request("POST /api/sql", { "Content-Type": type, "Content-Length": String(body.length) }, body)).status,
        415,
        type,
      );
    }
    for (const bad of [
      "",
      "{",
      "[]",
      "null",
      '"text"',
      "{}",
      '{"sql":1}',
      '{"sql":""}',
      '{"sql":"select 1","max_rows":1e9}',
      '{"sql":"select 1","unknown":1}',
      '{"sql":"select 1","query_id":"../x"}',
      "\u0000",
      '{"__proto__":{"sql":"select 1"}}',
    ]) {
      const { status } = await request(
        "POST /api/sql",
        { "Content-Type": "application/json", "Content-Length": String(Buffer.byteLength(bad)) },
        bad,
      );
      assert.equal(status, 400, bad);
    }
  });

  test("serves no other file of the machine, for any path", async () => {
    const paths = [
      "/../../../../etc/passwd",
      "/..%2f..%2f..%2fetc%2fpasswd",
      "/%2e%2e/%2e%2e/etc/passwd",
      "/assets/../../../../etc/passwd",
      "/assets/..%5c..%5cpackage.json",
      "//etc/passwd",
      "/\\etc\\passwd",
      "/assets/%00",
      "/package.json",
      "/.git/config",
      "/assets/",
      "/index.html%00.js",
      "/api/../package.json",
      "/api/tables/..%2f..%2fetc%2fpasswd/files",
      "/api/log/topics/..%2f..%2flog.db/messages",
      "/api/coins/..%2f..%2fetc%2fpasswd",
      "/%ff%fe",
      "/%",
      "http://evil.example/etc/passwd",
    ];
    for (const path of paths) {
      const { status, body } = await request(`GET ${path}`);
      assert.doesNotMatch(body, /root:|"dependencies"|\[core\]/, path);
      assert.ok([200, 400, 404, 421].includes(status), `${path}: ${status}`);
      if (status === 200) assert.match(body, /<!doctype html>/i, path);
    }
  });

  test("rejects other methods and invalid requests with a message and without a stack trace", async () => {
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"]) {
      const { status } = await request(
        `${method} /api/status`,
        { "Content-Type": "application/json", "Content-Length": "2" },
        "{}",
      );
      assert.ok([404, 405].includes(status), `${method}: ${status}`);
    }
    for (const text of [
      "nonsense\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "GET /\u0000 HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n",
      "\r\n\r\n\r\n",
      "CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]) {
      const { status } = await raw(text);
      assert.ok(
        status === 400 ||
          status === 404 ||
          status === 405 ||
          status === 421 ||
          status === 505 ||
          status === 408 ||
          status === 0,
        `${JSON.stringify(text)}: ${status}`,
      );
    }
    // Two lengths, or a length beside chunks: if two servers interpret them differently, one's body is the other's
    // request.
    for (const headers of [
      "Content-Length: 5\r\nContent-Length: 6",
      "Content-Length: 5\r\nTransfer-Encoding: chunked",
      "Transfer-Encoding: chunked, identity",
    ]) {
      const { status } = await raw(
        `POST /api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}\r\n\r\n` +
          "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
      );
      assert.equal(status, 400, headers);
    }
    await answersHonestly();
  });

  test("limits the size of headers and bodies", async () => {
    assert.equal((await request("GET /api/status", { "X-Long": "x".repeat(20_000) })).status, 431);
    assert.equal((await request(`GET /api/status?${"x".repeat(20_000)}`)).status, 431);
    const large = JSON.stringify({ sql: `select '${"x".repeat(300_000)}'` });
    assert.equal(
      (
        await request(
          "POST /api/sql",
          { "Content-Type": "application/json", "Content-Length": String(large.length) },
          large,
        )
      ).status,
      413,
    );
    const chunk = `${(65_536).toString(16)}\r\n${"x".repeat(65_536)}\r\n`;
    assert.equal(
      (
        await request(
          "POST /api/sql",
          { "Content-Type": "application/json", "Transfer-Encoding": "chunked" },
          chunk.repeat(8),
        )
      ).status,
      413,
    );
    // The connection outlives the response: a reset during sending could discard the response.
    const socket = connect(running.server.port, "127.0.0.1");
    socket.write(
      "POST /api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        "Transfer-Encoding: chunked\r\n\r\n" +
        chunk.repeat(8),
    );
    const [rejected] = (await once(socket, "data")) as [Buffer];
    assert.match(rejected.toString(), /^HTTP\/1\.1 413 .*"code":"BODY_TOO_LARGE"/s);
    socket.write(`${chunk}0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    assert.match(String(await once(socket, "data")), /^HTTP\/1\.1 200 /);
    socket.destroy();
    const deep = `{"sql":"select 1","query_id":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
    assert.equal(
      (
        await request(
          "POST /api/sql",
          { "Content-Type": "application/json", "Content-Length": String(deep.length) },
          deep,
        )
      ).status,
      400,
    );
    await answersHonestly();
  });

  test("answers other clients while slow, partial and idle clients wait, and closes slow ones", async () => {
    const slow: Socket[] = [];
    for (let index = 0; index < 200; index += 1) {
      const socket = connect(running.server.port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      if (index % 4 === 0) socket.write("GET /api/status HTTP/1.1\r\nHost: loc");
      if (index % 4 === 1)
        socket.write(
          "POST /api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        );
      if (index % 4 === 2) socket.end("GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      slow.push(socket);
      if (index % 50 === 0) await answersHonestly();
    }
    await answersHonestly();
    // The server closes one connection of each kind, each after the server's timeout.
    const drip = connect(running.server.port, "127.0.0.1");
    drip.on("error", () => {});
    await once(drip, "connect");
    const closed = once(drip, "close");
    const timer = setInterval(() => drip.write("X"), 500);
    drip.write("GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    drip.resume();
    await closed;
    clearInterval(timer);
    for (const socket of slow) socket.destroy();
    await answersHonestly();
  });

  test("sends security headers with pages and data, and no page with inline code", async () => {
    for (const path of ["/", "/api/status", "/api/nothing", "/metrics"]) {
      const { headers } = await running.get(path);
      assert.match(headers.get("content-security-policy") ?? "", /default-src 'self'.*frame-ancestors 'none'/, path);
      assert.doesNotMatch(headers.get("content-security-policy") ?? "", /unsafe/, path);
      assert.equal(headers.get("x-content-type-options"), "nosniff", path);
      assert.equal(headers.get("referrer-policy"), "same-origin", path);
      assert.equal(headers.get("access-control-allow-origin"), null, path);
      assert.equal(headers.get("x-powered-by"), null, path);
    }
    const page = await (await running.get("/")).text();
    assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)[^>]*>|<style|\bon\w+=/i);
  });

  test("still answers, and has reported no error, after these requests", async () => {
    await answersHonestly();
    assert.deepEqual(running.errors, []);
  });

  test("requires a token of sufficient length on every host but loopback", () => {
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "127.0.0.1.evil.example"]) {
      assert.throws(() => checkToken(host, null), { code: "TOKEN_REQUIRED_FOR_HOST" }, host);
      assert.throws(() => checkToken(host, "short"), { code: "TOKEN_TOO_SHORT" }, host);
    }
    for (const host of ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
      assert.doesNotThrow(() => checkToken(host, null));
  });
});

describe("the server with a token", () => {
  let running: Running;

  before(async () => {
    running = await startRunning(lake, { token: TOKEN });
  });
  after(() => running.close());

  test("answers nothing but its health without the token", async () => {
    for (const path of ["/api/status", "/api/coins", "/api/events", "/api/openapi.json", "/metrics", "/", "/lake"]) {
      for (const headers of [
        {},
        { authorization: "Bearer wrong" },
        { authorization: `Basic ${TOKEN}` },
        { cookie: `coinlake_session=${TOKEN}` },
        { cookie: "coinlake_session=" },
      ] as Record<string, string>[]) {
        const response = await running.get(path, { headers, redirect: "manual" });
        assert.equal(response.status, 401, `${path} ${JSON.stringify(headers)}`);
        assert.doesNotMatch(await response.text(), new RegExp(TOKEN));
      }
    }
    assert.equal((await running.get("/healthz")).status, 200);
    assert.deepEqual((await running.json<Health>("/readyz")).problems, []);
    const page = await running.get("/lake", { headers: { accept: "text/html" }, redirect: "manual" });
    assert.deepEqual([page.status, page.headers.get("location")], [303, "/login"]);
  });

  test("accepts the token in a header, and the log-in page's session cookie, also for the event stream", async () => {
    assert.equal((await running.get("/api/status", { headers: { authorization: `Bearer ${TOKEN}` } })).status, 200);
    const login = (token: string) =>
      running.get("/login", { method: "POST", body: new URLSearchParams({ token }), redirect: "manual" });
    assert.equal((await login("wrong")).status, 401);
    const entered = await login(TOKEN);
    assert.deepEqual([entered.status, entered.headers.get("location")], [303, "/"]);
    const cookie = entered.headers.get("set-cookie") ?? "";
    assert.match(cookie, /HttpOnly/);
    assert.match(cookie, /SameSite=Strict/);
    assert.doesNotMatch(cookie, new RegExp(encodeURIComponent(TOKEN)));
    const own = { cookie: cookie.split(";")[0] ?? "" };
    assert.equal((await running.get("/api/status", { headers: own })).status, 200);
    const stream = await running.get("/api/events", { headers: own });
    assert.equal(stream.headers.get("content-type"), "text/event-stream");
    await stream.body?.cancel();
  });

  test("limits the rate of wrong tokens, and never of the correct one", async () => {
    const statuses: number[] = [];
    for (let guess = 0; guess < 40; guess += 1)
      statuses.push((await running.get("/api/status", { headers: { authorization: `Bearer guess ${guess}` } })).status);
    assert.ok(statuses.includes(429));
    assert.equal((await running.get("/api/status", { headers: { authorization: `Bearer ${TOKEN}` } })).status, 200);
  });
});
