import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { UnknownOutcome } from "../../../src/base/errors.ts";
import { formatJson, parseJson } from "../../../src/iceberg/json.ts";
import type { Long } from "../../../src/iceberg/model.ts";
import { startCatalogServer } from "../../../src/catalog/server.ts";
import { appendOf as appendIn, openLake, PRICE_SCHEMA, type Lake } from "../lake.ts";

interface Reply {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

let lake: Lake;
let url = "";
before(async () => {
  lake = await openLake();
  url = (await lake.serve()).url;
  await call("POST", "/v1/namespaces", { namespace: ["bronze"] });
});
after(() => lake.close());

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const response = await fetch(url + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined
      ? {}
      : { body: typeof body === "string" || body instanceof Uint8Array ? (body as string) : formatJson(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === "" ? {} : parseJson(text)) as Record<string, unknown>,
  };
}

function assertError(reply: Reply, status: number, type: string): void {
  const { error } = reply.body as { error?: { message?: unknown; type?: unknown; code?: unknown } };
  assert.deepEqual(
    [reply.status, error?.type, error?.code, typeof error?.message],
    [status, type, status, "string"],
    JSON.stringify(reply.body),
  );
}

let tables = 0;
async function newTable(): Promise<string> {
  tables += 1;
  const name = `table_${tables}`;
  assert.equal(
    (await call("POST", "/v1/namespaces/bronze/tables", { name, schema: PRICE_SCHEMA, location: folderOf(name) }))
      .status,
    200,
  );
  return name;
}
const folderOf = (name: string) => `${lake.warehouse}/bronze/${name}`;
const appendOf = (name: string, ...numbers: [id: Long, sequence_number: number, parent_id: Long | null]) =>
  appendIn(...numbers, "main", folderOf(name));

describe("config", () => {
  test("lists the supported endpoints, without those of views", async () => {
    const { status, body } = await call("GET", "/v1/config?warehouse=any");
    assert.equal(status, 200);
    assert.deepEqual([body["defaults"], body["overrides"]], [{}, {}]);
    const endpoints = body["endpoints"] as string[];
    assert.ok(endpoints.includes("POST /v1/{prefix}/transactions/commit"));
    assert.ok(endpoints.includes("HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}"));
    assert.ok(!endpoints.some((endpoint) => endpoint.includes("view")));
  });
});

describe("namespaces", () => {
  test("support create, load, head, list, properties and drop", async () => {
    assert.deepEqual((await call("POST", "/v1/namespaces", { namespace: ["n"], properties: { a: "1" } })).body, {
      namespace: ["n"],
      properties: { a: "1" },
    });
    assert.deepEqual((await call("GET", "/v1/namespaces/n")).body, { namespace: ["n"], properties: { a: "1" } });
    assert.equal((await call("HEAD", "/v1/namespaces/n")).status, 204);
    assert.deepEqual(
      (await call("POST", "/v1/namespaces/n/properties", { updates: { b: "2" }, removals: ["a", "z"] })).body,
      { updated: ["b"], removed: ["a"], missing: ["z"] },
    );
    assert.deepEqual((await call("GET", "/v1/namespaces")).body, {
      namespaces: [["bronze"], ["n"]],
      "next-page-token": null,
    });
    assert.equal((await call("DELETE", "/v1/namespaces/n")).status, 204);
    assert.equal((await call("HEAD", "/v1/namespaces/n")).status, 404);
  });

  test("can be nested, with the unit separator in paths and any prefix", async () => {
    await call("POST", "/v1/namespaces", { namespace: ["a.b"] });
    await call("POST", "/v1/any-prefix/namespaces", { namespace: ["a.b", "ü c"] });
    assert.deepEqual((await call("GET", "/v1/namespaces?parent=a.b")).body["namespaces"], [["a.b", "ü c"]]);
    assert.deepEqual((await call("GET", `/v1/x/namespaces/a.b%1F${encodeURIComponent("ü c")}`)).body["namespace"], [
      "a.b",
      "ü c",
    ]);
    assertError(await call("DELETE", "/v1/namespaces/a.b"), 409, "NamespaceNotEmptyException");
  });

  test("answer mistakes with the spec's errors", async () => {
    assertError(await call("POST", "/v1/namespaces", { namespace: ["bronze"] }), 409, "AlreadyExistsException");
    assertError(await call("POST", "/v1/namespaces", { namespace: "bronze" }), 400, "BadRequestException");
    assertError(await call("POST", "/v1/namespaces", { namespace: [] }), 400, "BadRequestException");
    assertError(await call("GET", "/v1/namespaces/none"), 404, "NoSuchNamespaceException");
    assertError(await call("GET", "/v1/namespaces?parent=none"), 404, "NoSuchNamespaceException");
    assertError(
      await call("POST", "/v1/namespaces/bronze/properties", { updates: { a: "1" }, removals: ["a"] }),
      422,
      "UnprocessableEntityException",
    );
    assertError(
      await call("POST", "/v1/namespaces/none/properties", { updates: { a: "1" } }),
      404,
      "NoSuchNamespaceException",
    );
  });
});

describe("tables", () => {
  test("support create, load, commit, rename and drop, with exact 64-bit ids", async () => {
    const name = await newTable();
    const path = `/v1/namespaces/bronze/tables/${name}`;
    const id = 9223372036854775807n;
    const committed = await call("POST", path, {
      requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": null }],
      updates: appendOf(name, id, 1, null),
    });
    assert.equal(committed.status, 200);
    const loaded = await call("GET", path);
    assert.equal((loaded.body["metadata"] as Record<string, unknown>)["current-snapshot-id"], id);
    assert.deepEqual(loaded.body, committed.body);
    assert.equal((await call("HEAD", path)).status, 204);
    const rename = {
      source: { namespace: ["bronze"], name },
      destination: { namespace: ["bronze"], name: `${name}/new name` },
    };
    assert.equal((await call("POST", "/v1/tables/rename", rename)).status, 204);
    assert.equal((await call("HEAD", path)).status, 404);
    assert.equal((await call("DELETE", `${path}${encodeURIComponent("/new name")}?purgeRequested=true`)).status, 204);
    assertError(await call("GET", `${path}${encodeURIComponent("/new name")}`), 404, "NoSuchTableException");
  });

  test("a staged create returns metadata without a metadata location and creates no table", async () => {
    const staged = await call("POST", "/v1/namespaces/bronze/tables", {
      name: "staged",
      schema: PRICE_SCHEMA,
      "stage-create": true,
      "write-order": null,
    });
    assert.deepEqual(Object.keys(staged.body), ["metadata", "config"]);
    assert.equal((await call("HEAD", "/v1/namespaces/bronze/tables/staged")).status, 404);
  });

  test("are listed in pages, or completely without a page size", async () => {
    await call("POST", "/v1/namespaces", { namespace: ["pages"] });
    for (const name of ["a", "b", "c"])
      await call("POST", "/v1/namespaces/pages/tables", { name, schema: PRICE_SCHEMA });
    const first = await call("GET", "/v1/namespaces/pages/tables?pageSize=2&pageToken=");
    assert.deepEqual(first.body["identifiers"], [
      { namespace: ["pages"], name: "a" },
      { namespace: ["pages"], name: "b" },
    ]);
    const rest = await call(
      "GET",
      `/v1/namespaces/pages/tables?pageSize=2&pageToken=${String(first.body["next-page-token"])}`,
    );
    assert.deepEqual(rest.body, { identifiers: [{ namespace: ["pages"], name: "c" }], "next-page-token": null });
    assert.equal(((await call("GET", "/v1/namespaces/pages/tables")).body["identifiers"] as unknown[]).length, 3);
    for (const bad of ["0", "-1", "x", "1.5"])
      assertError(await call("GET", `/v1/namespaces/pages/tables?pageSize=${bad}`), 400, "BadRequestException");
  });

  test("an unchanged table is answered with 304 if the client sends its ETag", async () => {
    const path = `/v1/namespaces/bronze/tables/${await newTable()}`;
    const etag = (await call("GET", path)).headers.get("etag") ?? "";
    assert.equal((await call("GET", path, undefined, { "if-none-match": etag })).status, 304);
    assert.equal((await call("GET", `${path}?snapshots=refs`, undefined, { "if-none-match": etag })).status, 200);
    await call("POST", path, { updates: [{ action: "set-properties", updates: { a: "1" } }] });
    assert.equal((await call("GET", path, undefined, { "if-none-match": etag })).status, 200);
  });

  test("snapshots=refs returns only snapshots that a branch or tag references", async () => {
    const name = await newTable();
    const path = `/v1/namespaces/bronze/tables/${name}`;
    await call("POST", path, { updates: appendOf(name, 1, 1, null) });
    await call("POST", path, { updates: appendOf(name, 2, 2, 1) });
    const idsWith = async (mode: string) =>
      (
        (await call("GET", `${path}?snapshots=${mode}`)).body["metadata"] as { snapshots: { "snapshot-id": number }[] }
      ).snapshots.map((snapshot) => snapshot["snapshot-id"]);
    assert.deepEqual([await idsWith("all"), await idsWith("refs")], [[1, 2], [2]]);
    assertError(await call("GET", `${path}?snapshots=some`), 400, "BadRequestException");
  });

  test("a transaction changes all of its tables or none", async () => {
    const [left, right] = [await newTable(), await newTable()];
    const change = (name: string, id: number, parent: number | null) => ({
      identifier: { namespace: ["bronze"], name },
      requirements: [{ type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": parent }],
      updates: appendOf(name, id, 1, parent),
    });
    assertError(
      await call("POST", "/v1/transactions/commit", { "table-changes": [change(left, 1, null), change(right, 2, 77)] }),
      409,
      "CommitFailedException",
    );
    const current = async (name: string) =>
      ((await call("GET", `/v1/namespaces/bronze/tables/${name}`)).body["metadata"] as Record<string, unknown>)[
        "current-snapshot-id"
      ];
    assert.deepEqual([await current(left), await current(right)], [null, null]);
    assert.equal(
      (
        await call("POST", "/v1/transactions/commit", {
          "table-changes": [change(left, 1, null), change(right, 2, null)],
        })
      ).status,
      204,
    );
    assert.deepEqual([await current(left), await current(right)], [1, 2]);
  });

  test("are registered from their metadata file", async () => {
    const name = await newTable();
    const location = (await call("GET", `/v1/namespaces/bronze/tables/${name}`)).body["metadata-location"];
    await call("DELETE", `/v1/namespaces/bronze/tables/${name}`);
    assert.equal(
      (await call("POST", "/v1/namespaces/bronze/register", { name: "adopted", "metadata-location": location })).body[
        "metadata-location"
      ],
      location,
    );
    assertError(
      await call("POST", "/v1/namespaces/bronze/register", { name: "adopted", "metadata-location": location }),
      409,
      "AlreadyExistsException",
    );
    assert.equal(
      (
        await call("POST", "/v1/namespaces/bronze/register", {
          name: "adopted",
          "metadata-location": location,
          overwrite: true,
        })
      ).status,
      200,
    );
  });

  test("accept and discard metrics reports", async () => {
    assert.equal(
      (await call("POST", `/v1/namespaces/bronze/tables/${await newTable()}/metrics`, { "report-type": "scan-report" }))
        .status,
      204,
    );
  });

  test("answer mistakes with the spec's errors", async () => {
    const name = await newTable();
    const path = `/v1/namespaces/bronze/tables/${name}`;
    assertError(
      await call("POST", "/v1/namespaces/bronze/tables", { name, schema: PRICE_SCHEMA }),
      409,
      "AlreadyExistsException",
    );
    assertError(
      await call("POST", "/v1/namespaces/none/tables", { name, schema: PRICE_SCHEMA }),
      404,
      "NoSuchNamespaceException",
    );
    assertError(await call("POST", "/v1/namespaces/bronze/tables", { name: "x" }), 400, "BadRequestException");
    assertError(
      await call("POST", "/v1/namespaces/bronze/tables", { name: "x", schema: PRICE_SCHEMA, location: "ftp://x" }),
      400,
      "BadRequestException",
    );
    assertError(
      await call("POST", "/v1/namespaces/bronze/tables", {
        name: "x",
        schema: PRICE_SCHEMA,
        "partition-spec": { fields: [{}] },
      }),
      400,
      "BadRequestException",
    );
    assertError(await call("GET", "/v1/namespaces/none/tables"), 404, "NoSuchNamespaceException");
    assertError(await call("GET", "/v1/namespaces/bronze/tables/none"), 404, "NoSuchTableException");
    assertError(await call("DELETE", "/v1/namespaces/bronze/tables/none"), 404, "NoSuchTableException");
    assertError(await call("POST", "/v1/namespaces/bronze/tables/none", { updates: [] }), 404, "NoSuchTableException");
    assertError(await call("POST", path, { updates: [{ action: "explode" }] }), 400, "BadRequestException");
    assertError(await call("POST", path, { updates: [{}] }), 400, "BadRequestException");
    assertError(
      await call("POST", path, { requirements: [{ type: "assert-create" }], updates: [] }),
      409,
      "CommitFailedException",
    );
    assertError(await call("POST", "/v1/transactions/commit", {}), 400, "BadRequestException");
    const rename = (source: string, namespace: string, destination: string) => ({
      source: { namespace: ["bronze"], name: source },
      destination: { namespace: [namespace], name: destination },
    });
    assertError(await call("POST", "/v1/tables/rename", rename("none", "bronze", "x")), 404, "NoSuchTableException");
    assertError(await call("POST", "/v1/tables/rename", rename(name, "none", "x")), 404, "NoSuchNamespaceException");
    assertError(await call("POST", "/v1/tables/rename", rename(name, "bronze", name)), 409, "AlreadyExistsException");
  });
});

test("views are listed as empty, not found, and unsupported on creation", async () => {
  assert.deepEqual((await call("GET", "/v1/namespaces/bronze/views")).body["identifiers"], []);
  assertError(await call("GET", "/v1/namespaces/none/views"), 404, "NoSuchNamespaceException");
  assertError(await call("GET", "/v1/namespaces/bronze/views/v"), 404, "NoSuchViewException");
  assert.equal((await call("HEAD", "/v1/namespaces/bronze/views/v")).status, 404);
  assertError(await call("POST", "/v1/namespaces/bronze/views", {}), 406, "UnsupportedOperationException");
});

describe("invalid requests", () => {
  test("a body that is empty, not JSON, not UTF-8 or not an object is rejected", async () => {
    for (const body of ["{", "", "[1]", "null", '"text"', new Uint8Array([0x7b, 0xff, 0x7d])]) {
      assertError(await call("POST", "/v1/namespaces", body), 400, "BadRequestException");
    }
  });

  test("a body without a JSON content type is rejected, because another site's form cannot set that type", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]) {
      assertError(
        await call("POST", "/v1/namespaces", { namespace: ["form"] }, { "content-type": type }),
        415,
        "BadRequestException",
      );
    }
    assert.equal((await call("HEAD", "/v1/namespaces/form")).status, 404);
    assert.equal(
      (
        await call(
          "POST",
          "/v1/namespaces",
          { namespace: ["typed"] },
          { "content-type": "Application/JSON; charset=utf-8" },
        )
      ).status,
      200,
    );
  });

  test("a plus in a path means a space, as the reference client encodes names; %2B means a plus", async () => {
    assert.equal(
      (await call("POST", "/v1/namespaces/bronze/tables", { name: "a b", schema: PRICE_SCHEMA })).status,
      200,
    );
    assert.equal((await call("HEAD", "/v1/namespaces/bronze/tables/a+b")).status, 204);
    assert.equal((await call("HEAD", "/v1/namespaces/bronze/tables/a%20b")).status, 204);
    assert.equal((await call("HEAD", "/v1/namespaces/bronze/tables/a%2Bb")).status, 404);
  });

  test("unknown paths, unsupported methods and invalid percent-encoding are rejected", async () => {
    for (const path of ["/", "/v2/namespaces", "/v1", "/v1/a/b/c/d/e/f", "/v1/namespaces/bronze/things"])
      assertError(await call("GET", path), 404, "NoSuchEndpointException");
    assertError(await call("DELETE", "/v1/namespaces"), 405, "MethodNotAllowedException");
    assertError(await call("GET", "/v1/namespaces/%ff"), 400, "BadRequestException");
    assertError(await call("GET", "/v1/namespaces//tables"), 400, "BadRequestException");
  });

  test("a body that is too large is rejected, and an endless body is aborted", async () => {
    assertError(await call("POST", "/v1/namespaces", " ".repeat(17 * 1024 * 1024)), 413, "BadRequestException");
    const chunk = Buffer.alloc(1024 * 1024, " ");
    const sent = await new Promise<number>((resolve) => {
      const request = httpRequest(
        `${url}/v1/namespaces`,
        { method: "POST", headers: { "content-type": "application/json" } },
        (response) => response.resume(),
      );
      let chunks = 0;
      const pump = () => {
        while (!request.destroyed) {
          chunks += 1;
          if (!request.write(chunk)) return void request.once("drain", pump);
        }
      };
      request.on("error", () => resolve(chunks));
      request.on("close", () => resolve(chunks));
      pump();
    });
    assert.ok(sent < 200, `the server took ${sent} MiB`);
    assert.equal((await call("GET", "/v1/config")).status, 200);
  });

  test("a web page cannot use the catalog, neither under another host name nor from another origin", async () => {
    const statusFor = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        httpRequest(`${url}/v1/config`, { headers }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        })
          .on("error", reject)
          .end();
      });
    assert.equal(await statusFor({ host: "evil.example:8181" }), 403);
    assert.equal(await statusFor({ host: "127.0.0.1.evil.example" }), 403);
    assert.equal(await statusFor({ origin: "https://evil.example" }), 403);
    assert.equal(await statusFor({ origin: "null" }), 403);
    assert.equal(await statusFor({ "sec-fetch-site": "cross-site" }), 403);
    assert.equal(await statusFor({ "sec-fetch-site": "same-site" }), 403);
    assert.equal(await statusFor({ "sec-fetch-site": "none" }), 200);
    assert.equal(await statusFor({ host: "localhost:1" }), 200);
    assert.equal(await statusFor({ host: "[::1]:8181" }), 200);
  });

  test("bytes that are not HTTP are answered with 400, and the server stays available", async () => {
    const { port } = new URL(url);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), "127.0.0.1", () => socket.end("\x00\x01 not http\r\n\r\n"));
      let text = "";
      socket.on("data", (data: Buffer) => (text += data.toString()));
      socket.on("close", () => resolve(text));
      socket.on("error", reject);
    });
    assert.match(answer, /400/);
    assert.equal((await call("GET", "/v1/config")).status, 200);
  });
});

describe("the catalog server", () => {
  test("fails on a port in use with a next step", async () => {
    const { port } = new URL(url);
    await assert.rejects(startCatalogServer({ catalog: lake.catalog, port: Number(port) }), {
      code: "PORT_TAKEN",
      message: new RegExp(port),
      next_step: /another port with --catalog-port/,
    });
  });

  test("distinguishes an unknown outcome, a known failure and an internal error", async () => {
    const faults: unknown[] = [];
    const errors = [
      new UnknownOutcome("no answer", null),
      Object.assign(new UnknownOutcome("disk full", null), { code: "STORAGE_FULL" }),
      new TypeError("secret detail"),
    ];
    const catalog = new Proxy(lake.catalog, {
      get: (target, key) =>
        key === "commit" ? () => Promise.reject(errors.shift()) : (Reflect.get(target, key, target) as unknown),
    });
    const server = await startCatalogServer({ catalog, port: 0, onError: (error) => faults.push(error) });
    try {
      const commit = async () => {
        const response = await fetch(`${server.url}/v1/transactions/commit`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"table-changes":[]}',
        });
        return ((await response.json()) as { error: { code: number; type: string; message: string } }).error;
      };
      assert.deepEqual(await commit(), { message: "no answer", type: "CommitStateUnknownException", code: 500 });
      assert.deepEqual(await commit(), { message: "disk full", type: "ServiceUnavailableException", code: 503 });
      const fault = await commit();
      assert.deepEqual([fault.code, fault.message.includes("secret")], [500, false]);
      assert.equal(faults.length, 1);
    } finally {
      await server.close();
    }
  });

  test("requires its token for every request if it has one", async () => {
    const token = "0123456789abcdef0123456789abcdef";
    const server = await startCatalogServer({ catalog: lake.catalog, port: 0, token });
    try {
      const statusWith = async (headers: Record<string, string>, path = "/v1/namespaces") =>
        (await fetch(server.url + path, { headers })).status;
      assert.equal(await statusWith({}), 401);
      assert.equal(await statusWith({}, "/v1/config"), 401);
      assert.equal(await statusWith({ authorization: `Bearer ${token}x` }), 401);
      assert.equal(await statusWith({ authorization: `Basic ${token}` }), 401);
      assert.equal(await statusWith({ authorization: `bearer ${token}` }), 200);
      const rejected = await fetch(`${server.url}/v1/namespaces`);
      assert.equal(rejected.headers.get("www-authenticate"), "Bearer");
      assert.equal(((await rejected.json()) as { error: { type: string } }).error.type, "NotAuthorizedException");
    } finally {
      await server.close();
    }
  });

  test("closes even if a client keeps its connection open", async () => {
    const server = await startCatalogServer({ catalog: lake.catalog, port: 0 });
    await (await fetch(`${server.url}/v1/config`)).text();
    await server.close();
    await assert.rejects(fetch(`${server.url}/v1/config`));
  });
});
